"""Appending to Kafka: what arrives within one turn of the event loop goes out as one batch a partition.

`acks=all` and an idempotent producer. No linger: while a batch of a partition is under way the next one fills, so
batches grow with the load by themselves, and a lone record waits for nobody. One batch a partition at a time also
keeps order through every retry.

aiokafka's producer can be lost for good: after a batch has failed the broker expects another sequence number than the
one that comes (aiokafka #1017), and a dead sender leaves its callers waiting (#1039). Then another producer takes its
place; what was under way is told as *unknown*, and should it be in the log all the same, (`source`, `id`) find it out.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from journey.errors import OurFault
from plumbing.log.acknowledgement import Acknowledgement, Outstanding, checked_size
from plumbing.log.kafka_cluster import Cluster, find_or_make_topic, find_topic, kafka_faults
from plumbing.log.partitioner import partition_of
from plumbing.log.port import Record
from plumbing.telemetry import Action, log

_BATCH_BYTES = 1_000_000  # below the broker's own limit of 1 MiB, above MAX_RECORD_BYTES
_HEALTH_SECONDS = 2.0
_WATCH_SECONDS = 1.0
_STUCK_DEADLINES = 3

Chunk = tuple[Acknowledgement, Sequence[Record]]


class _Lane:
    """One partition: what waits for it, and the task that sends it, if any."""

    __slots__ = ("partition", "pending", "sent_at", "task")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.pending: deque[Chunk] = deque()
        self.task: asyncio.Task[None] | None = None
        self.sent_at: float | None = None  # by the loop's clock, while a batch is under way


class KafkaLog:
    """`EventLog` on Kafka.

    `partitions` and `replication` (default: one copy a broker, three at most) hold where the topic has to be made.
    """

    def __init__(
        self,
        url: str,
        topic: str,
        *,
        partitions: int,
        replication: int | None,
        make_topic: bool,
        deadline: timedelta,
    ) -> None:
        self._cluster = Cluster.at(url)
        self._topic = topic
        self._partitions = partitions
        self._replication = replication
        self._make_topic = make_topic
        self._outstanding = Outstanding(deadline)
        self._deadline = deadline.total_seconds()
        self._lanes: list[_Lane] = []
        self._producer: Any = None  # None while there is none to use
        self._broken: Any = None
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._make_topic:
            found = await find_or_make_topic(self._cluster, self._topic, self._partitions, self._replication)
        else:
            found = await find_topic(self._cluster, self._topic)
        self._lanes = [_Lane(partition) for partition in range(found.partitions)]
        self._producer = await self._connect()
        self._keeper = asyncio.create_task(self._keep_a_producer())

    async def stop(self) -> None:
        await self._outstanding.settled()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None
        producer, self._producer = self._producer, None
        await self._cancel_lanes()
        if producer is not None:
            await _discard(producer)

    async def append(self, records: Sequence[Record]) -> None:
        if not records:
            return
        size = checked_size(records)
        chunks = self._split(records)
        acknowledgement = self._outstanding.open(size, len(chunks))
        for partition, chunk in chunks.items():
            lane = self._lanes[partition]
            lane.pending.append((acknowledgement, chunk))
            if lane.task is None:
                self._run(lane)
        await acknowledgement.waiter

    async def healthy(self) -> bool:
        producer, keeper = self._producer, self._keeper
        if producer is None or keeper is None or keeper.done() or _sender_ended(producer):
            return False
        return self._waiting_for() < _HEALTH_SECONDS and await _answers(producer)

    # --- sending ------------------------------------------------------------------------------------------------------

    def _split(self, records: Sequence[Record]) -> dict[int, Sequence[Record]]:
        count = len(self._lanes)
        if len(records) == 1:
            return {partition_of(records[0].key, count): records}
        chunks: list[list[Record]] = [[] for _ in range(count)]
        for record in records:
            chunks[partition_of(record.key, count)].append(record)
        return {partition: chunk for partition, chunk in enumerate(chunks) if chunk}

    def _run(self, lane: _Lane) -> None:
        """Have what waits sent, from the next turn of the loop on."""
        if self._producer is not None:
            lane.task = asyncio.create_task(self._send_all(lane, self._producer))

    async def _send_all(self, lane: _Lane, producer: Any) -> None:
        try:
            while lane.pending and producer is self._producer:
                await self._send_batch(lane, producer)
        finally:
            lane.task = None

    async def _send_batch(self, lane: _Lane, producer: Any) -> None:
        batch = producer.create_batch()
        complete, cut = _fill(batch, lane.pending)
        unknown = [*complete, *cut]
        if not unknown:
            return
        lane.sent_at = asyncio.get_running_loop().time()
        try:
            delivery = await producer.send_batch(batch, self._topic, partition=lane.partition)
            await delivery
            unknown = []
            for acknowledgement in complete:
                acknowledgement.part_done()
        except (KafkaError, OSError, TimeoutError) as error:
            self._give_up(producer, type(error).__name__)
        finally:
            lane.sent_at = None
            for acknowledgement in unknown:
                acknowledgement.fail()

    # --- the producer -------------------------------------------------------------------------------------------------

    async def _connect(self) -> Any:
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            **self._cluster.client_options,
        )
        try:
            with kafka_faults():
                async with asyncio.timeout(self._deadline):
                    await producer.start()
                    await producer.partitions_for(self._topic)
        except BaseException:
            await _discard(producer)
            raise
        return producer

    def _give_up(self, producer: Any, reason: str) -> None:
        if producer is self._producer:
            self._producer, self._broken = None, producer
            self._lost.set()
            log(Action.PRODUCER_RECREATED, reason=reason)

    async def _keep_a_producer(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_SECONDS):
                    await self._lost.wait()
            if self._producer is not None:
                await self._give_up_if_stuck(self._producer)
            if self._producer is None:
                await self._replace()

    async def _give_up_if_stuck(self, producer: Any) -> None:
        """An idempotent producer retries for ever. While the broker does not answer that is what we want."""
        if _sender_ended(producer):
            self._give_up(producer, "sender ended")
        elif self._waiting_for() > _STUCK_DEADLINES * self._deadline and await _answers(producer):
            self._give_up(producer, "stuck")

    async def _replace(self) -> None:
        await self._cancel_lanes()
        broken, self._broken = self._broken, None
        if broken is not None:
            await _discard(broken)
        with suppress(OurFault):  # healthy() tells; the keeper tries again at its next round
            self._producer = await self._connect()
            self._lost.clear()
            for lane in self._lanes:
                if lane.pending:
                    self._run(lane)

    async def _cancel_lanes(self) -> None:
        tasks = [lane.task for lane in self._lanes if lane.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _waiting_for(self) -> float:
        """Seconds that the oldest batch under way has been waiting for its acknowledgement."""
        now = asyncio.get_running_loop().time()
        return max((now - lane.sent_at for lane in self._lanes if lane.sent_at is not None), default=0.0)


def _fill(batch: Any, pending: deque[Chunk]) -> tuple[list[Acknowledgement], list[Acknowledgement]]:
    """Move records from `pending` into `batch` until it is full.

    Returns the acknowledgements of the chunks that are in it with their last record, and of one cut off by its end.
    Chunks for which nobody waits any more are dropped: they were told as unknown, and now they are not sent.
    """
    complete: list[Acknowledgement] = []
    append = batch.append
    while pending:
        acknowledgement, records = pending[0]
        if acknowledgement.settled:
            pending.popleft()
            continue
        for index, (key, value, headers) in enumerate(records):
            if append(timestamp=None, key=key, value=value, headers=list(headers)) is None:
                pending[0] = (acknowledgement, records[index:])
                return complete, [acknowledgement] if index else []
        pending.popleft()
        complete.append(acknowledgement)
    return complete, []


def _sender_ended(producer: Any) -> bool:
    task = producer._sender.sender_task  # noqa: SLF001 - aiokafka tells it nowhere else
    return task is None or bool(task.done())


async def _answers(producer: Any) -> bool:
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            return bool(await producer.client.force_metadata_update())
    except (KafkaError, OSError, TimeoutError):
        return False


async def _discard(producer: Any) -> None:
    """Close a producer even when it hangs: its own `stop` waits until the last batch is through."""
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError):
        await producer.client.close()
        task = producer._sender.sender_task  # noqa: SLF001
        for _ in range(2):  # the first one it takes for an invitation to finish what is under way
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=_HEALTH_SECONDS)
        if task is not None and task.done() and not task.cancelled():
            task.exception()
