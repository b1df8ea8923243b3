"""The event log as the services see it: append records durably, read each partition in order from a position.

What every adapter owes, and `tests/contracts/test_log_*.py` checks on the real thing:

- **Durable.** `append` returns only when every record would survive a kill -9 of any process, the log's own included.
- **Ordered.** Records of one partition are read in the order of their offsets by everyone, and records that one caller
  appended to a partition one after the other keep that order.
- **Nothing skipped.** No reader ever moves past an offset whose record becomes visible later.
- **One owner.** Two live members of a group never both read a partition. A member that was stopped and goes on may for
  a moment believe that it still does: the epoch stored with its position (`plumbing/store/positions.py`) fences it.
- **Loud.** A position that the log does not hold raises `WrongLog`; it is never moved to the nearest record.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

Headers = tuple[tuple[str, bytes], ...]

MAX_RECORD_BYTES = 900_000
"""The largest record (key, value and headers together) that any adapter takes: below Kafka's own default of 1 MiB."""


class Record(NamedTuple):
    """What is appended. The key decides the partition (`partition_of`) and thereby what is read in order."""

    key: bytes
    value: bytes
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes that count against `MAX_RECORD_BYTES`."""
        return len(self.key) + len(self.value) + sum(len(name) + len(value) for name, value in self.headers)


class StoredRecord(NamedTuple):
    """What is read. Offsets of a partition rise; Kafka may leave gaps between them."""

    offset: int
    key: bytes
    value: bytes
    headers: Headers


class Read(NamedTuple):
    """Records of one partition, in order.

    `next_offset` is the position after the last of them. `end_offset` is the offset that the next appended record
    would have got when this was read: the reader has caught up where `next_offset >= end_offset`.
    """

    partition: int
    records: list[StoredRecord]
    next_offset: int
    end_offset: int

    @property
    def caught_up(self) -> bool:
        return self.next_offset >= self.end_offset


class Extent(NamedTuple):
    """The offsets that a partition holds: `first` inclusive, `end` exclusive. Equal when it is empty."""

    first: int
    end: int


OnAssigned = Callable[[frozenset[int]], Awaitable[Mapping[int, int]]]
"""Called with partitions that are this member's from now on, before any of their records is read.

Returns the offset to read each from. Offset 0, or none for a partition, means that nothing of it was ever read: begin
with the first record that the log still holds.
Awaited within `read`, so that what it raises is raised there and it never runs beside a batch.
"""

OnRevoked = Callable[[frozenset[int]], Awaitable[None]]
"""Called with partitions that another member is about to get: finish or drop what is in hand.

Runs in the reader's own task, beside whatever the owner is doing, and is waited for at most `REVOKE_LIMIT`. From its
first line on no `read` returns records of these partitions. When the member was taken for dead (it hung, or was cut
off) somebody else may have them already, and only the epoch protects.
"""

REVOKE_LIMIT = timedelta(seconds=5)


class EventLog(Protocol):
    """For those who append."""

    async def start(self) -> None:
        """Connect, and make the topic where that is allowed.

        Raises `LogUnavailable` when the log does not answer, `Misconfigured` when the topic is absent and may not be
        made, or the log is set up so that it could lose what it acknowledged.
        """

    async def stop(self) -> None:
        """Let what is in flight finish, within the append deadline, and disconnect."""

    async def append(self, records: Sequence[Record]) -> None:
        """Return when all `records` are durable.

        Raises `LogUnavailable` after the deadline or on a fault: any of the records may be in the log or may still get
        there. Raises `InvalidTouchpoint`, before anything is sent, for a record above `MAX_RECORD_BYTES`.
        """

    async def healthy(self) -> bool:
        """Whether an append could be expected to succeed now. Answers within 2 s and never raises."""


class LogReader(Protocol):
    """One member of a group of consumers: each partition is read by one member at a time.

    May be started again after `stop`: that is what to do after `Fenced` (the claims are made anew) and when it stalls.
    """

    log_id: str
    """Which log the offsets belong to: a topic that was deleted and made again has another. Known after `start`."""

    partitions: int
    """How many partitions the topic has. Known after `start`."""

    async def start(self) -> None:
        """Connect and join the group. Raises as `EventLog.start` does; never makes the topic."""

    async def stop(self) -> None:
        """Give the partitions back (`OnRevoked` is called for them) and disconnect."""

    async def read(self, max_records: int, max_wait: timedelta) -> list[Read]:
        """What came, at most `max_records` in all; an empty list when nothing came within `max_wait`.

        Awaits `OnAssigned` first where partitions have come. Raises what that raised (the next `read` calls it again),
        `LogUnavailable` (try again, or stop) and `WrongLog` (stop: a position is not in this log). One at a time.
        """

    async def seek(self, partition: int, offset: int) -> None:
        """Read `partition` from `offset` on, e.g. to do a batch again. Raises `Fenced` when it was taken away."""

    def assigned(self) -> frozenset[int]:
        """The partitions that `read` may return now."""

    def at_end(self) -> frozenset[int]:
        """The assigned partitions of which all has been read, as the log confirmed after the last `read` was called.

        That nothing came proves nothing: a broker that hangs also sends nothing. So the horizon goes by this.
        """

    async def extents(self, partitions: frozenset[int]) -> Mapping[int, Extent]:
        """What the log holds of each: where a first reader begins, and how far behind another one is.

        May be called within `OnAssigned`. Raises `LogUnavailable`.
        """

    async def commit(self, positions: Mapping[int, int]) -> None:
        """Tell the log how far this group has come, for tools that show lag. Bounded in time; a failure is logged."""
