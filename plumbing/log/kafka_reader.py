"""Reading from Kafka as one member of a group, from positions that somebody else keeps.

The group is static (`group_instance_id`): a member that restarts within the session gets its partitions back without
moving anyone else's, and one that is killed is replaced after `_SESSION`. A member that stops keeps them as long: its
partitions are read again when it is back, or after the session.

`auto_offset_reset` is `none` and nothing is read before it was sought: aiokafka never chooses a position for us.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from journey.errors import Fenced, LogUnavailable, WrongLog
from plumbing.log.kafka_cluster import REQUEST_TIMEOUT, Cluster, find_topic, kafka_faults
from plumbing.log.port import REVOKE_LIMIT, Extent, OnAssigned, OnRevoked, Read, StoredRecord
from plumbing.telemetry import Action, log

# A killed member's partitions are read again within the session, a heartbeat of the others (who then learn of it) and
# the time these may take to let go of theirs: 6 + 1.5 + 5 seconds, and no more than 15.
_SESSION = timedelta(seconds=6)
_HEARTBEAT = timedelta(seconds=1.5)
_REBALANCE = timedelta(seconds=7)
_LONG_POLL = timedelta(milliseconds=100)  # for this long a fetch that waits keeps a seek from taking effect
_COMMIT_LIMIT = timedelta(seconds=5)
_FETCH_BYTES = 4 * 1024 * 1024
_NOTHING = -1  # a partition that is never there: to ask aiokafka for none is to ask it for all


class KafkaReader:
    """`LogReader` on Kafka."""

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
        self._cluster = Cluster.at(url)
        self._topic = topic
        self._group = group
        self._member = member
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._reset()

    def _reset(self) -> None:
        self._consumer: Any = None
        self._waiting: frozenset[int] = frozenset()  # assigned, not placed yet
        self._claimed: frozenset[int] = frozenset()  # `OnAssigned` was called, `OnRevoked` not yet
        self._next: dict[int, int] = {}  # placed: the offset to read next
        self._at_end: frozenset[int] = frozenset()
        self._placing = asyncio.Lock()

    async def start(self) -> None:
        self._reset()
        found = await find_topic(self._cluster, self._topic)
        self.log_id = found.log_id
        self.partitions = found.partitions
        consumer = AIOKafkaConsumer(
            group_id=f"{self._group}.{self._topic}",  # a static member that changed topics would be handed the old one
            group_instance_id=self._member,
            client_id=self._member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=_milliseconds(_SESSION),
            heartbeat_interval_ms=_milliseconds(_HEARTBEAT),
            rebalance_timeout_ms=_milliseconds(_REBALANCE),
            fetch_min_bytes=1,
            fetch_max_wait_ms=_milliseconds(_LONG_POLL),
            max_partition_fetch_bytes=_FETCH_BYTES,
            **self._cluster.client_options,
        )
        try:
            with kafka_faults():
                async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                    await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        self._consumer = consumer
        consumer.subscribe([self._topic], listener=_Listener(self._assigned, self._revoked))

    async def stop(self) -> None:
        consumer = self._consumer
        if consumer is None:
            return
        await self._revoked(self._claimed)
        self._reset()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()):
                await consumer.stop()
        except (KafkaError, OSError, TimeoutError) as error:
            log(Action.FAILED, logging.WARNING, exc=error, reason="the consumer did not close as it should")

    async def read(self, max_records: int, max_wait: timedelta) -> list[Read]:
        consumer = self._running()
        if self._waiting:
            await self._place()
        placed = dict(self._next)
        asked = {partition: self._heard(partition) for partition in placed}
        wanted = [self._at(partition) for partition in placed or (_NOTHING,)]
        try:
            with kafka_faults():
                # getmany has no limit of its own while the group rebalances
                async with asyncio.timeout(max_wait.total_seconds() + 0.5):
                    fetched = await consumer.getmany(
                        *wanted, timeout_ms=_milliseconds(max_wait), max_records=max_records
                    )
        except LogUnavailable as error:
            fetched = self._judge(error)
        reads = [read for tp, records in fetched.items() if (read := self._take(tp.partition, records))]
        self._at_end = frozenset(partition for partition in self._next if self._confirmed(partition, asked))
        return reads

    async def seek(self, partition: int, offset: int) -> None:
        if partition not in self._next:
            raise Fenced(f"Partition {partition} is no longer this member's")
        with kafka_faults():
            self._running().seek(self._at(partition), offset)
        self._next[partition] = offset

    def assigned(self) -> frozenset[int]:
        return frozenset(self._next)

    def at_end(self) -> frozenset[int]:
        return self._at_end

    async def extents(self, partitions: frozenset[int]) -> Mapping[int, Extent]:
        consumer = self._running()
        wanted = [self._at(partition) for partition in partitions]
        with kafka_faults():
            first = await consumer.beginning_offsets(wanted)
            end = await consumer.end_offsets(wanted)
        return {tp.partition: Extent(first[tp], end[tp]) for tp in wanted}

    async def commit(self, positions: Mapping[int, int]) -> None:
        offsets = {self._at(partition): offset for partition, offset in positions.items() if partition in self._next}
        if not offsets:
            return
        try:
            async with asyncio.timeout(_COMMIT_LIMIT.total_seconds()):
                await self._running().commit(offsets)
        except (KafkaError, OSError, TimeoutError) as error:
            log(Action.POSITION_NOT_REPORTED, logging.WARNING, exc=error)

    # --- assignment ---------------------------------------------------------------------------------------------------

    async def _assigned(self, partitions: frozenset[int]) -> None:
        self._waiting = partitions

    async def _place(self) -> None:
        """Ask where to read what has come, and go there."""
        async with self._placing:
            partitions = self._waiting
            positions = dict(await self._on_assigned(partitions))
            self._claimed = partitions
            unknown = frozenset(partition for partition in partitions if not positions.get(partition))
            if unknown:
                extents = await self.extents(unknown)
                positions |= {partition: extents[partition].first for partition in unknown}
            if self._waiting != partitions:
                return  # taken away meanwhile: `_revoked` waits for us to say so
            for partition in partitions:
                self._consumer.seek(self._at(partition), positions[partition])
            self._next = {partition: positions[partition] for partition in partitions}
            self._waiting = frozenset()
            log(Action.PARTITIONS_ASSIGNED, partitions=sorted(partitions), member=self._member)

    async def _revoked(self, partitions: frozenset[int]) -> None:
        self._waiting = frozenset()
        self._next = {}
        self._at_end = frozenset()
        try:
            async with asyncio.timeout(REVOKE_LIMIT.total_seconds()), self._placing:
                lost, self._claimed = self._claimed & partitions, frozenset()
                if lost:
                    log(Action.PARTITIONS_REVOKED, partitions=sorted(lost), member=self._member)
                    await self._on_revoked(lost)
        except TimeoutError:
            log(
                Action.PARTITIONS_REVOKED, logging.WARNING, reason="what was in hand took too long", member=self._member
            )

    # --- records ------------------------------------------------------------------------------------------------------

    def _take(self, partition: int, records: Iterable[Any]) -> Read | None:
        """A fetched batch as we return it; None for a partition that was taken away while it was on its way."""
        position = self._next.get(partition)
        if position is None:
            return None
        stored = [
            StoredRecord(r.offset, r.key or b"", r.value or b"", r.headers) for r in records if r.offset >= position
        ]
        if not stored:
            return None
        self._next[partition] = stored[-1].offset + 1
        end = self._consumer.highwater(self._at(partition)) or 0
        return Read(partition, stored, self._next[partition], max(end, self._next[partition]))

    def _judge(self, fault: LogUnavailable) -> dict[TopicPartition, list[Any]]:
        """What a failed fetch means: nothing came, the wrong log, or really a fault."""
        match fault.__cause__:
            case OffsetOutOfRangeError() as error:
                where = ", ".join(f"{tp.partition} at {offset}" for tp, offset in error.args[0].items())
                raise WrongLog(f"The log no longer holds, or never held, the position of partition {where}") from error
            case TimeoutError() | NoOffsetForPartitionError():
                # a rebalance goes on; or a look at a partition before it was placed, which the seek has overtaken
                return {}
        raise fault

    def _heard(self, partition: int) -> int:
        """When, in milliseconds of some clock, the broker last told the end of this partition."""
        tp = self._at(partition)
        return (tp in self._consumer.assignment() and self._consumer.last_poll_timestamp(tp)) or 0

    def _confirmed(self, partition: int, asked: Mapping[int, int]) -> bool:
        tp = self._at(partition)
        if tp not in self._consumer.assignment():
            return False
        end = self._consumer.highwater(tp)
        return end is not None and self._next[partition] >= end and self._heard(partition) > asked.get(partition, 0)

    def _at(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)

    def _running(self) -> Any:
        if self._consumer is None:
            raise LogUnavailable("The reader is not started")
        return self._consumer


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka publishes no types
    """Hands partitions on by number. What it raises, aiokafka only logs: so neither callback raises."""

    def __init__(self, assigned: OnRevoked, revoked: OnRevoked) -> None:
        self._assigned = assigned
        self._revoked = revoked

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._assigned(frozenset(tp.partition for tp in assigned))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._revoked(frozenset(tp.partition for tp in revoked))


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
