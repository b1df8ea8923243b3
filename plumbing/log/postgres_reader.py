"""Reading the log in Postgres as one member of a group.

Offsets of a partition have no gaps and become visible in order (see `postgres.py`), so a range of offsets below the
head is complete or it is another log. Who may read which partition is `postgres_members.py`'s; every look at the heads
also checks the leases, so a member that was stopped and goes on reads nothing that it no longer holds.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

import asyncpg
import msgspec

from journey.errors import Fenced, LogUnavailable, OurFault, WrongLog
from plumbing.clock import monotonic
from plumbing.log.port import REVOKE_LIMIT, Extent, Headers, OnAssigned, OnRevoked, Read, StoredRecord
from plumbing.log.postgres_members import Leases, Membership
from plumbing.log.postgres_session import WAKE_CHANNEL, Connection, Session, Topic, find_topic
from plumbing.telemetry import Action, log

_QUERY_LIMIT = timedelta(seconds=10)
_POLL = timedelta(seconds=0.5)

_HEADS = """
SELECT partition, first_offset, next_offset
FROM log_heads
JOIN log_leases USING (topic, partition)
JOIN unnest($3::integer[], $4::bigint[]) AS mine (partition, epoch) USING (partition, epoch)
WHERE topic = $1 AND group_name = $2
"""

_RECORDS = """
SELECT partition, log_offset, key, value, headers
FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS span (partition, first, past)
CROSS JOIN LATERAL (
    SELECT log_offset, key, value, headers FROM log_records
    WHERE topic = $1 AND log_records.partition = span.partition AND log_offset >= span.first AND log_offset < span.past
    ORDER BY log_offset
) AS record
"""

_EXTENTS = "SELECT partition, first_offset, next_offset FROM log_heads WHERE topic = $1 AND partition = ANY($2)"

_COMMIT = """
UPDATE log_leases SET read_to = told.position
FROM unnest($3::integer[], $4::bigint[]) AS told (partition, position)
WHERE topic = $1 AND group_name = $2 AND log_leases.partition = told.partition
"""

_decode_headers = msgspec.msgpack.Decoder(Headers).decode


class PostgresReader:
    """`LogReader` on Postgres."""

    log_id: str

    def __init__(
        self,
        url: str,
        topic: str,
        group: str,
        member: str,
        *,
        on_assigned: OnAssigned,
        on_revoked: OnRevoked,
    ) -> None:
        self._name = topic
        self._group = group
        self._member = member
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._wake = asyncio.Event()
        self._reading = Session(url, f"jalon log read {member}", _QUERY_LIMIT)
        self._listening = Session(url, f"jalon log member {member}", _QUERY_LIMIT, self._listen)
        self._topic: Topic
        self._membership: Membership | None = None
        self._reset()

    def _reset(self) -> None:
        self._waiting: dict[int, int] = {}  # leased, not placed yet: the epoch
        self._leases: dict[int, int] = {}  # placed: the epoch
        self._claimed: frozenset[int] = frozenset()  # `OnAssigned` was called, `OnRevoked` not yet
        self._next: dict[int, int] = {}
        self._at_end: frozenset[int] = frozenset()
        self._placing = asyncio.Lock()

    async def start(self) -> None:
        self._reset()
        async with self._reading.use() as connection:
            self._topic = await find_topic(connection, self._name)
        self.log_id = self._topic.log_id
        self.partitions = self._topic.partitions
        self._membership = Membership(
            self._listening, self._topic, self._group, self._member, gained=self._gained, lost=self._lost
        )
        await self._membership.start()

    async def stop(self) -> None:
        if self._membership is not None:
            await self._membership.stop()
            self._membership = None
        self._reset()
        await self._reading.close()
        await self._listening.close()

    async def read(self, max_records: int, max_wait: timedelta) -> list[Read]:
        until = monotonic() + max_wait.total_seconds()
        self._at_end = frozenset()
        while True:
            self._wake.clear()
            reads = await self._look(max_records)
            patience = until - monotonic()
            if reads or patience <= 0:
                return reads
            try:
                async with asyncio.timeout(min(patience, _POLL.total_seconds())):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def seek(self, partition: int, offset: int) -> None:
        if partition not in self._next:
            raise Fenced(f"Partition {partition} is no longer this member's")
        self._next[partition] = offset

    def assigned(self) -> frozenset[int]:
        return frozenset(self._next)

    def at_end(self) -> frozenset[int]:
        return frozenset(self._at_end & self._next.keys())

    async def extents(self, partitions: frozenset[int]) -> Mapping[int, Extent]:
        async with self._reading.use() as connection:
            rows = await connection.fetch(_EXTENTS, self._topic.number, sorted(partitions))
        return {row["partition"]: Extent(row["first_offset"], row["next_offset"]) for row in rows}

    async def commit(self, positions: Mapping[int, int]) -> None:
        try:
            async with self._reading.use() as connection:
                await connection.execute(
                    _COMMIT, self._topic.number, self._group, list(positions), list(positions.values())
                )
        except OurFault as fault:
            log(Action.POSITION_NOT_REPORTED, logging.WARNING, exc=fault)

    # --- assignment ---------------------------------------------------------------------------------------------------

    async def _gained(self, leases: Leases) -> None:
        self._waiting |= leases
        self._wake.set()

    async def _place(self) -> None:
        """Ask where to read what has come, and go there."""
        async with self._placing:
            leases = dict(self._waiting)
            partitions = frozenset(leases)
            positions = dict(await self._on_assigned(partitions))
            self._claimed |= partitions
            unknown = frozenset(p for p in partitions if not positions.get(p))
            if unknown:
                extents = await self.extents(unknown)
                positions |= {partition: extents[partition].first for partition in unknown}
            for partition, epoch in leases.items():
                if self._waiting.get(partition) == epoch:  # not taken away meanwhile
                    del self._waiting[partition]
                    self._leases[partition] = epoch
                    self._next[partition] = positions[partition]
            log(Action.PARTITIONS_ASSIGNED, partitions=sorted(self._next), member=self._member)

    async def _lost(self, partitions: frozenset[int]) -> None:
        for held in (self._waiting, self._leases, self._next):
            for partition in partitions & held.keys():
                del held[partition]
        try:
            async with asyncio.timeout(REVOKE_LIMIT.total_seconds()), self._placing:
                told = self._claimed & partitions
                self._claimed -= partitions
                if told:
                    log(Action.PARTITIONS_REVOKED, partitions=sorted(told), member=self._member)
                    await self._on_revoked(told)
        except TimeoutError:
            log(Action.PARTITIONS_REVOKED, logging.WARNING, reason="what was in hand took long", member=self._member)

    async def _listen(self, connection: Connection) -> None:
        await connection.add_listener(WAKE_CHANNEL, self._woken)

    def _woken(self, *_: object) -> None:
        self._wake.set()

    # --- records ------------------------------------------------------------------------------------------------------

    async def _look(self, max_records: int) -> list[Read]:
        """What there is now."""
        if self._membership is None:
            raise LogUnavailable("The reader is not started")
        self._membership.check()
        if self._waiting:
            await self._place()
        mine = dict(self._leases)
        if not mine:
            return []
        async with self._reading.use() as connection:
            heads = await connection.fetch(_HEADS, self._topic.number, self._group, list(mine), list(mine.values()))
            spans = _share(self._available(heads), max_records)
            rows = await connection.fetch(_RECORDS, self._topic.number, *_columns(spans)) if spans else []
        ends = {head["partition"]: head["next_offset"] for head in heads}
        reads = self._reads(rows, spans, ends)
        self._at_end = frozenset(p for p, end in ends.items() if self._next.get(p) == end)
        return reads

    def _available(self, heads: list[asyncpg.Record]) -> dict[int, Extent]:
        """From our position to the head, of each partition that is still ours."""
        found: dict[int, Extent] = {}
        for head in heads:
            partition, position = head["partition"], self._next.get(head["partition"])
            if position is None:
                continue
            if not head["first_offset"] <= position <= head["next_offset"]:
                raise WrongLog(
                    f"Partition {partition} is to be read from {position}, but the log holds "
                    f"{head['first_offset']} to {head['next_offset']}"
                )
            if position < head["next_offset"]:
                found[partition] = Extent(position, head["next_offset"])
        return found

    def _reads(self, rows: list[asyncpg.Record], spans: Mapping[int, Extent], ends: Mapping[int, int]) -> list[Read]:
        records: dict[int, list[StoredRecord]] = {partition: [] for partition in spans}
        for partition, offset, key, value, headers in rows:
            records[partition].append(StoredRecord(offset, key, value, _decode_headers(headers)))
        reads = []
        for partition, span in spans.items():
            if len(records[partition]) != span.end - span.first:
                raise WrongLog(f"Records of partition {partition} from {span.first} to {span.end} are missing")
            if self._next.get(partition) == span.first:  # neither taken away nor sought meanwhile
                self._next[partition] = span.end
                reads.append(Read(partition, records[partition], span.end, ends[partition]))
        return reads


def _share(available: Mapping[int, Extent], max_records: int) -> dict[int, Extent]:
    """At most `max_records` of what is available; who has little gets all of it, the others equal parts."""
    shares: dict[int, Extent] = {}
    smallest_first = sorted(available.items(), key=lambda item: item[1].end - item[1].first)
    for served, (partition, extent) in enumerate(smallest_first):
        part = -(-max_records // (len(smallest_first) - served))
        taken = min(extent.end - extent.first, part)
        max_records -= taken
        if taken:
            shares[partition] = Extent(extent.first, extent.first + taken)
    return shares


def _columns(spans: Mapping[int, Extent]) -> tuple[list[int], list[int], list[int]]:
    return list(spans), [span.first for span in spans.values()], [span.end for span in spans.values()]
