"""Appending to the log in Postgres: what arrives while one transaction commits goes into the next one (group commit).

Offsets come from each partition's row in `log_heads`, updated within the appending statement. Whoever appends next to
that partition waits for its commit, so commit order is offset order. Several rows are locked in the order of their
partitions, so two appenders never wait for each other in a ring.

Readers are woken by an empty NOTIFY in a transaction of its own: NOTIFY takes a lock of the whole server at its commit.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec

from journey.errors import OurFault
from plumbing.log.acknowledgement import Acknowledgement, Outstanding, checked_size
from plumbing.log.partitioner import partition_of
from plumbing.log.port import Record
from plumbing.log.postgres_session import WAKE_CHANNEL, Session, Topic, check_durable, find_or_make_topic, find_topic

_TURN_BYTES = 8 * 1024 * 1024
_TURN_RECORDS = 5_000
_HEALTH = timedelta(seconds=2)

APPEND = """
WITH taken AS (
    UPDATE log_heads AS head SET next_offset = head.next_offset + wanted.records
    FROM (
        SELECT partition, records
        FROM log_heads JOIN unnest($2::integer[], $3::bigint[]) AS wanted (partition, records) USING (partition)
        WHERE topic = $1
        ORDER BY partition
        FOR UPDATE OF log_heads
    ) AS wanted
    WHERE head.topic = $1 AND head.partition = wanted.partition
    RETURNING head.partition, head.next_offset - wanted.records AS first_offset
)
INSERT INTO log_records (topic, partition, log_offset, key, value, headers)
SELECT $1, partition, first_offset + nth, key, value, headers
FROM taken
JOIN unnest($4::integer[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[])
    AS record (partition, nth, key, value, headers) USING (partition)
"""

_encode_headers = msgspec.msgpack.Encoder().encode


class PostgresLog:
    """`EventLog` on Postgres: for one machine, and for those who have no Kafka."""

    def __init__(self, url: str, topic: str, *, partitions: int, make_topic: bool, deadline: timedelta) -> None:
        self._name = topic
        self._partitions = partitions
        self._make_topic = make_topic
        self._outstanding = Outstanding(deadline)
        self._pending: deque[tuple[Acknowledgement, Sequence[Record]]] = deque()
        self._waiting = asyncio.Event()
        self._committed = asyncio.Event()
        self._writing = Session(url, "jalon log append", deadline)
        self._waking = Session(url, "jalon log wake", _HEALTH)
        self._probing = Session(url, "jalon log health", _HEALTH)
        self._tasks: list[asyncio.Task[None]] = []
        self._topic: Topic

    async def start(self) -> None:
        async with self._writing.use() as connection:
            await check_durable(connection)
            if self._make_topic:
                self._topic = await find_or_make_topic(connection, self._name, self._partitions)
            else:
                self._topic = await find_topic(connection, self._name)
        self._tasks = [asyncio.create_task(self._write_turns()), asyncio.create_task(self._wake_readers())]

    async def stop(self) -> None:
        await self._outstanding.settled()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        for session in (self._writing, self._waking, self._probing):
            await session.close()

    async def append(self, records: Sequence[Record]) -> None:
        if not records:
            return
        size = checked_size(records)
        acknowledgement = self._outstanding.open(size, 1)
        self._pending.append((acknowledgement, records))
        self._waiting.set()
        await acknowledgement.waiter

    async def healthy(self) -> bool:
        if not self._tasks or any(task.done() for task in self._tasks):
            return False
        with suppress(OurFault):
            async with self._probing.use() as connection:
                return await find_topic(connection, self._name) == self._topic
        return False

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _write_turns(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._pending:
                await self._write_turn()

    async def _write_turn(self) -> None:
        """One transaction with all that waits, up to a limit. On a fault its outcome is not known."""
        acknowledgements, records = self._take()
        if not records:
            return
        try:
            async with self._writing.use() as connection:
                await connection.execute(APPEND, *arguments(self._topic, records))
        except OurFault as fault:
            for acknowledgement in acknowledgements:
                acknowledgement.fail(str(fault))
            return
        for acknowledgement in acknowledgements:
            acknowledgement.part_done()
        self._committed.set()

    def _take(self) -> tuple[list[Acknowledgement], list[Record]]:
        acknowledgements: list[Acknowledgement] = []
        records: list[Record] = []
        size = 0
        while self._pending and size < _TURN_BYTES and len(records) < _TURN_RECORDS:
            acknowledgement, more = self._pending.popleft()
            if not acknowledgement.settled:  # else told as unknown already: then rather not at all
                acknowledgements.append(acknowledgement)
                records.extend(more)
                size += acknowledgement.size
        return acknowledgements, records

    async def _wake_readers(self) -> None:
        while True:
            await self._committed.wait()
            self._committed.clear()
            with suppress(OurFault):  # readers also look by themselves
                async with self._waking.use() as connection:
                    await connection.execute(f"NOTIFY {WAKE_CHANNEL}")


def arguments(topic: Topic, records: Sequence[Record]) -> tuple[object, ...]:
    """What `APPEND` takes for `records`."""
    sizes: dict[int, int] = {}
    partitions: list[int] = []
    places: list[int] = []
    for record in records:
        partition = partition_of(record.key, topic.partitions)
        place = sizes.get(partition, 0)
        sizes[partition] = place + 1
        partitions.append(partition)
        places.append(place)
    return (
        topic.number,
        list(sizes),
        list(sizes.values()),
        partitions,
        places,
        [record.key for record in records],
        [record.value for record in records],
        [_encode_headers(record.headers) for record in records],
    )
