"""Who reads which partition of the log in Postgres: members with heartbeats, and one lease row a partition.

Every member runs the same small step each second, under the lock of the group's lease rows: say that it lives, drop
members that no longer do, give up what it holds beyond its fair share, take free partitions up to it. So there is no
coordinator to lose. All times are the server's. A taken lease gets a higher epoch, which fences whoever had it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from journey.errors import Fenced, LogUnavailable
from plumbing.clock import new_id
from plumbing.log.postgres_session import Connection, Session, Topic

# Longer than what `lost` may take (REVOKE_LIMIT) and a heartbeat, as none is sent meanwhile; takeover within 15 s.
_SESSION = timedelta(seconds=8)
_HEARTBEAT = timedelta(seconds=1)

_MAKE_LEASES = """
INSERT INTO log_leases (topic, group_name, partition) SELECT $1, $2, generate_series(0, $3 - 1)
ON CONFLICT DO NOTHING
"""
_LOCK = "SELECT partition FROM log_leases WHERE topic = $1 AND group_name = $2 ORDER BY partition FOR UPDATE"
_JOIN = """
INSERT INTO log_members (topic, group_name, member, incarnation, seen_at) VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (topic, group_name, member) DO UPDATE SET incarnation = excluded.incarnation, seen_at = excluded.seen_at
"""
_BEAT = """
UPDATE log_members SET seen_at = clock_timestamp()
WHERE topic = $1 AND group_name = $2 AND member = $3 AND incarnation = $4
RETURNING member
"""
_BURY = "DELETE FROM log_members WHERE topic = $1 AND group_name = $2 AND seen_at < clock_timestamp() - $3::interval"
_FREE = """
UPDATE log_leases SET member = NULL
WHERE topic = $1 AND group_name = $2 AND member NOT IN (
    SELECT member FROM log_members WHERE topic = $1 AND group_name = $2
)
"""
_NAMED = "SELECT true FROM log_members WHERE topic = $1 AND group_name = $2 AND member = $3"
_MEMBERS = "SELECT member FROM log_members WHERE topic = $1 AND group_name = $2 ORDER BY member"
_LEASES = "SELECT partition, member, epoch FROM log_leases WHERE topic = $1 AND group_name = $2 ORDER BY partition"
_TAKE = """
UPDATE log_leases SET member = $3, epoch = epoch + 1
WHERE topic = $1 AND group_name = $2 AND partition = ANY($4::integer[])
RETURNING partition, epoch
"""
_RELEASE = """
UPDATE log_leases SET member = NULL
FROM unnest($3::integer[], $4::bigint[]) AS mine (partition, epoch)
WHERE topic = $1 AND group_name = $2 AND log_leases.partition = mine.partition AND log_leases.epoch = mine.epoch
"""
_LEAVE = "DELETE FROM log_members WHERE topic = $1 AND group_name = $2 AND member = $3 AND incarnation = $4"


Leases = Mapping[int, int]
"""Partition → epoch: the right to read it until somebody takes it under a higher one."""

Gained = Callable[[Leases], Awaitable[None]]
Lost = Callable[[frozenset[int]], Awaitable[None]]


class Membership:
    """One member. `gained` and `lost` are awaited in its own task; a lease is given up after `lost` returned."""

    def __init__(self, session: Session, topic: Topic, group: str, member: str, *, gained: Gained, lost: Lost) -> None:
        self._session = session
        self._group = (topic.number, group)
        self._partitions = topic.partitions
        self._member = member
        self._incarnation = UUID(new_id())
        self._gained = gained
        self._lost = lost
        self._held: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join. A process that had this member's name is taken for gone, and its leases are taken anew."""
        async with self._session.use() as connection, connection.transaction():
            await connection.execute(_MAKE_LEASES, *self._group, self._partitions)
            await connection.execute(_JOIN, *self._group, self._member, self._incarnation)
        self._task = asyncio.create_task(self._beat_on())

    async def stop(self) -> None:
        """Leave, so that others can take over at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        with suppress(LogUnavailable):  # then the others notice by the missing heartbeat
            await self._give_up(frozenset(self._held))
            async with self._session.use() as connection:
                await connection.execute(_LEAVE, *self._group, self._member, self._incarnation)

    def check(self) -> None:
        """Raise what ended the heartbeats, if anything did."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    # --- the step -----------------------------------------------------------------------------------------------------

    async def _beat_on(self) -> None:
        while True:
            with suppress(LogUnavailable):  # reading fails as well, and tells
                await self._step()
            await asyncio.sleep(_HEARTBEAT.total_seconds())

    async def _step(self) -> None:
        try:
            async with self._session.use() as connection, connection.transaction():
                await connection.fetch(_LOCK, *self._group)
                await self._say_alive(connection)
                await connection.execute(_BURY, *self._group, _SESSION)
                await connection.execute(_FREE, *self._group)
                quota = await self._quota(connection)
                kept, taken = await self._take(connection, quota)
        except Fenced:
            await self._let_go(frozenset(self._held))
            raise
        await self._let_go(frozenset(self._held) - kept)
        self._held |= taken
        if taken:
            await self._gained(taken)
        await self._give_up(frozenset(sorted(self._held)[quota:]))

    async def _say_alive(self, connection: Connection) -> None:
        """Join again when the others have buried us. Raises `Fenced` when another process has our name now."""
        if await connection.fetchval(_BEAT, *self._group, self._member, self._incarnation):
            return
        if await connection.fetchval(_NAMED, *self._group, self._member):
            raise Fenced(f"Another process reads the log under the name {self._member}")
        await connection.execute(_JOIN, *self._group, self._member, self._incarnation)

    async def _quota(self, connection: Connection) -> int:
        """How many partitions are our share: all of them, divided fairly, the first members get what is left over."""
        members = [row["member"] for row in await connection.fetch(_MEMBERS, *self._group)]
        share, over = divmod(self._partitions, len(members))
        return share + (members.index(self._member) < over)

    async def _take(self, connection: Connection, quota: int) -> tuple[frozenset[int], dict[int, int]]:
        """Fill up to `quota` from what is free. Returns the partitions that we still hold, and those taken now."""
        leases = await connection.fetch(_LEASES, *self._group)
        kept = frozenset(p for p, member, epoch in leases if member == self._member and self._held.get(p) == epoch)
        # Under our name but not known to us: a process before us had them, or a commit whose answer was lost.
        named = [p for p, member, _ in leases if member == self._member and p not in kept]
        free = [p for p, member, _ in leases if member is None]
        wanted = [*named, *free][: max(0, quota - len(kept))]
        rows = await connection.fetch(_TAKE, *self._group, self._member, wanted) if wanted else []
        return kept, {row["partition"]: row["epoch"] for row in rows}

    async def _let_go(self, partitions: frozenset[int]) -> None:
        """Somebody else has them already, or is about to."""
        for partition in partitions:
            del self._held[partition]
        if partitions:
            await self._lost(partitions)

    async def _give_up(self, partitions: frozenset[int]) -> None:
        """Free leases that we hold, after their owner has finished."""
        epochs = [self._held[partition] for partition in partitions]
        await self._let_go(partitions)
        if partitions:
            async with self._session.use() as connection:
                await connection.execute(_RELEASE, *self._group, list(partitions), epochs)
