"""The loop that reads the log and stages what it reads, and everything that can go wrong there.

- A partition that comes is claimed (its epoch raised) before anything of it is read; one that goes is let go only when
  the batch in hand is committed or dropped.
- `Fenced`: somebody else has it. The reader leaves the group and joins again, so that its claims are made anew.
- Postgres or the log away: the same batch again, at growing intervals. Nothing is lost, nothing is done twice.
- A value that does not fit the store: the batch is halved until the record is found, and that becomes a dead letter.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from journey.errors import Contended, DoesNotFit, Fenced, LogUnavailable, StoreUnavailable
from plumbing import clock
from plumbing.log import open_reader
from plumbing.log.port import LogReader, Read
from plumbing.settings import Settings
from plumbing.store import horizon, positions
from plumbing.store.engine import Engine, transaction
from plumbing.store.positions import Claim
from plumbing.telemetry import BATCH_SECONDS, CONSUMER_RESTARTS, LAG_RECORDS, RECORDS, Action, log
from services.stager.backoff import Backoff
from services.stager.horizon_watch import HorizonWatch
from services.stager.incoming import Incoming, Reader, dead_letter
from services.stager.poison import PoisonLimit
from services.stager.stage_batch import Batch, Stage

GROUP = "jalon-stager"
MAX_WAIT = timedelta(milliseconds=100)
TICK = timedelta(milliseconds=200)
"""How often idle partitions move the horizon on: timers are late by about so much."""

WORTH_TWO_LOTS = 200
"""Records, from which on two transactions side by side are done sooner than one: its round trips are paid twice."""

_REPORT_EVERY = timedelta(seconds=1)
"""How often the log is told how far we are: only tools look at that, and a batch should not wait for it."""

_DOES_NOT_FIT = (DoesNotFit, OverflowError)
"""What is the record's fault. The kernel overflows on an instant near the end of the calendar."""

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Progress:
    """What the health page and the watchdog look at."""

    claims: dict[int, Claim] = field(default_factory=dict)
    at_end: frozenset[int] = frozenset()
    joined: bool = False
    """Whether the log and the store have both answered since the last trouble."""
    staged_at: float = 0.0
    """By the monotonic clock: when a batch was last committed, or nothing waited."""

    @property
    def caught_up(self) -> bool:
        return self.at_end >= self.claims.keys()


class Consumer:
    """Reads this member's partitions and stages them, until `stop` is set."""

    def __init__(
        self, settings: Settings, member: str, engine: Engine, reader: Reader, stage: Stage, staged: asyncio.Event
    ) -> None:
        self._settings = settings
        self._member = member
        self._engine = engine
        self._records = reader
        self._stage = stage
        self._staged = staged
        self._poison = PoisonLimit(settings.poison_limit)
        self._in_hand = asyncio.Lock()
        self._ticked_at = 0.0
        self._reported_at = 0.0
        self._unreported: dict[int, int] = {}
        self.progress = Progress()
        self.horizon = HorizonWatch(settings.horizon_patience)
        self._log: LogReader = open_reader(
            settings.log_url, GROUP, member, self._assigned, self._revoked, topic=settings.topic
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the batch in hand.

        Raises `WrongLog`, and `TooMuchPoison`: going on would do harm.
        """
        backoff = Backoff()
        while not stop.is_set():
            try:
                await self._log.start()
                self.progress.staged_at = clock.monotonic()
                await self._consume(stop, backoff)
            except Fenced as error:
                log(Action.BATCH_FENCED, logging.WARNING, reason=str(error))
            except (LogUnavailable, StoreUnavailable, Contended) as error:
                log(Action.FAILED, logging.WARNING, exc=error, reason="trying again")
                await backoff.wait(stop)
            finally:
                self.progress.joined = False
                await self._log.stop()

    async def _consume(self, stop: asyncio.Event, backoff: Backoff) -> None:
        while not stop.is_set() and not self._stalled():
            began_at = clock.now()
            reads = await self._log.read(self._settings.batch_size, MAX_WAIT)
            async with self._in_hand:
                reads = [read for read in reads if read.partition in self.progress.claims]
                if reads:
                    await self._stage_reads(reads, began_at, stop)
                await self._tick(began_at)
                if clock.monotonic() - self._reported_at > _REPORT_EVERY.total_seconds():
                    await self._report()
            backoff.reset()
        await self._report()
        if not stop.is_set():
            CONSUMER_RESTARTS.inc()
            log(Action.CONSUMER_STALLED, logging.WARNING, member=self._member)

    def _stalled(self) -> bool:
        """Whether records wait and none has been staged for longer than the limit (aiokafka has been seen to hang)."""
        if self.progress.caught_up:
            self.progress.staged_at = clock.monotonic()
        return clock.monotonic() - self.progress.staged_at > self._settings.stall_timeout.total_seconds()

    async def _stage_reads(self, reads: list[Read], began_at: datetime, stop: asyncio.Event) -> None:
        """Stage what was read; much of it as two lots side by side, so that we work while Postgres does."""
        at_end = self._log.at_end()
        lots = [self._stage_lot(lot, began_at, at_end, stop) for lot in lots_of(reads)]
        for outcome in await asyncio.gather(*lots, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        self.progress.staged_at = clock.monotonic()
        self._staged.set()
        for read in reads:
            LAG_RECORDS.labels(read.partition).set(read.end_offset - read.next_offset)
        self._unreported |= {read.partition: read.next_offset for read in reads}

    async def _stage_lot(
        self, reads: list[Read], began_at: datetime, at_end: frozenset[int], stop: asyncio.Event
    ) -> None:
        backoff = Backoff()
        while True:
            try:
                with BATCH_SECONDS.time():
                    await self._stage_or_halve(reads, began_at, at_end)
                return
            except StoreUnavailable as error:
                log(Action.FAILED, logging.WARNING, exc=error, reason="the store is away: the batch waits")
                await backoff.wait(stop)
                if stop.is_set():
                    raise

    async def _stage_or_halve(self, reads: list[Read], began_at: datetime, at_end: frozenset[int]) -> None:
        try:
            await self._stage_once(reads, began_at, at_end)
        except _DOES_NOT_FIT as error:
            if sum(len(read.records) for read in reads) == 1:
                await self._stage_once(
                    reads, began_at, at_end, reason=f"does not fit the store: {type(error).__name__}"
                )
                return
            for half in halves(reads):
                await self._stage_or_halve(half, began_at, frozenset())

    async def _stage_once(
        self, reads: list[Read], began_at: datetime, at_end: frozenset[int], reason: str | None = None
    ) -> None:
        """Stage what was read; with a `reason`, as dead letters."""
        incoming, letters, moved = [], [], {}
        for read in reads:
            received_at = _LONG_AGO
            for record in read.records:
                found = reason or self._records.read(record)
                if isinstance(found, Incoming):
                    incoming.append(found)
                    received_at = found.touchpoint.received_at
                else:
                    log(
                        Action.DEAD_LETTER,
                        logging.WARNING,
                        partition=read.partition,
                        offset=record.offset,
                        reason=found,
                    )
                    letters.append(dead_letter(self._settings.topic, read.partition, record, found, clock.now()))
            moved[read.partition] = (read.next_offset, began_at if read.partition in at_end else received_at)
        claims = {partition: self.progress.claims[partition] for partition in moved}
        await self._stage.stage(Batch(self._settings.topic, claims, incoming, letters, moved))
        for partition, (next_offset, _) in moved.items():
            self.progress.claims[partition] = claims[partition]._replace(next_offset=next_offset)
        RECORDS.labels("staged").inc(len(incoming))
        RECORDS.labels("dead_letter").inc(len(letters))
        self._poison.note(len(letters))

    async def _tick(self, began_at: datetime) -> None:
        """Let partitions that are read to their end move the horizon on."""
        self.progress.at_end = self._log.at_end() & self.progress.claims.keys()
        if clock.monotonic() - self._ticked_at < TICK.total_seconds():
            return
        self._ticked_at = clock.monotonic()
        at_end = {partition: self.progress.claims[partition] for partition in self.progress.at_end}
        async with transaction(self._engine) as driver:
            await positions.catch_up(driver, self._settings.topic, at_end, began_at)
            await horizon.move(driver, self._settings.topic, self._log.partitions)
            held = await horizon.held(driver, self._settings.topic, self._log.partitions)
        self.horizon.look(held, clock.now())
        self.progress.joined = True

    async def _report(self) -> None:
        """Tell the log how far we are, of the partitions that are still ours."""
        positions = {p: position for p, position in self._unreported.items() if p in self.progress.claims}
        self._reported_at, self._unreported = clock.monotonic(), {}
        if positions:
            await self._log.commit(positions)

    async def _assigned(self, partitions: frozenset[int]) -> Mapping[int, int]:
        async with transaction(self._engine) as driver:
            claims = await positions.claim(driver, self._log.log_id, self._settings.topic, partitions, self._member)
        self.progress.claims |= claims
        return {partition: claim.next_offset for partition, claim in claims.items() if claim.next_offset}

    async def _revoked(self, partitions: frozenset[int]) -> None:
        async with self._in_hand:
            for partition in partitions:
                self.progress.claims.pop(partition, None)


def lots_of(reads: list[Read]) -> list[list[Read]]:
    """What is staged in one transaction each: no partition in two of them, and few records together in one."""
    total = sum(len(read.records) for read in reads)
    if total < WORTH_TWO_LOTS or len(reads) == 1:
        return [reads]
    lots: tuple[list[Read], list[Read]] = ([], [])
    sizes = [0, 0]
    for read in sorted(reads, key=lambda read: len(read.records), reverse=True):
        smaller = sizes.index(min(sizes))
        lots[smaller].append(read)
        sizes[smaller] += len(read.records)
    return [lot for lot in lots if lot]


def halves(reads: list[Read]) -> tuple[list[Read], list[Read]]:
    """The same records in two lots, the earlier of each partition in the first."""
    left = sum(len(read.records) for read in reads) // 2
    first, second = [], []
    for read in reads:
        taken = min(left, len(read.records))
        left -= taken
        if taken == len(read.records):
            first.append(read)
            continue
        if taken:
            early = read.records[:taken]
            first.append(read._replace(records=early, next_offset=early[-1].offset + 1))
        second.append(read._replace(records=read.records[taken:]))
    return first, second
