"""Appends that wait for their acknowledgement: bounded in bytes, and each with a deadline of our own.

A driver's own time-outs do not do: an idempotent producer retries for ever, and cancelling a send does not unsend it.
So the caller waits on an `Acknowledgement`, and when its time is up hears that the outcome is not known.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import timedelta

from journey.errors import Fault, InvalidTouchpoint, LogUnavailable
from plumbing.log.port import MAX_RECORD_BYTES, Record

OUTSTANDING_BYTES = 64 * 1024 * 1024
_HEADERS_FIT = 16 * 1024  # what ingest puts there is a tenth of it
_TICK_SECONDS = 0.1


class Acknowledgement:
    """What one append waits for: `parts` pieces that are written apart."""

    __slots__ = ("_parts", "due", "size", "waiter")

    def __init__(self, parts: int, size: int, due: float) -> None:
        self._parts = parts
        self.size = size
        self.due = due
        self.waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def settled(self) -> bool:
        """Whether nobody waits any more: it is done, has failed, ran out of time, or its caller went away."""
        return self.waiter.done()

    def part_done(self) -> None:
        self._parts -= 1
        if self._parts == 0 and not self.waiter.done():
            self.waiter.set_result(None)

    def fail(self, reason: str | None = None) -> None:
        """The outcome of at least one part is not known."""
        if not self.waiter.done():
            self.waiter.set_exception(LogUnavailable(reason))


class Outstanding:
    """All appends that are not settled yet."""

    def __init__(self, deadline: timedelta, limit_bytes: int = OUTSTANDING_BYTES) -> None:
        self._seconds = deadline.total_seconds()
        self._limit = limit_bytes
        self._bytes = 0
        self._queue: deque[Acknowledgement] = deque()  # one deadline for all: the first in is the first due
        self._timer: asyncio.TimerHandle | None = None

    def open(self, size: int, parts: int) -> Acknowledgement:
        """Count an append of `size` bytes in. Raises `LogUnavailable` when too much waits: a 503 beats no memory."""
        if self._bytes + size > self._limit and self._bytes:
            self._sweep()
        if self._bytes + size > self._limit and self._bytes:
            raise LogUnavailable("The event log is slower than what comes in; nothing of this was sent")
        loop = asyncio.get_running_loop()
        acknowledgement = Acknowledgement(parts, size, loop.time() + self._seconds)
        self._bytes += size
        self._queue.append(acknowledgement)
        if self._timer is None:
            self._timer = loop.call_later(_TICK_SECONDS, self._sweep)
        return acknowledgement

    async def settled(self) -> None:
        """Wait until nothing is outstanding; by the deadline at the latest that is so."""
        for acknowledgement in list(self._queue):
            await asyncio.wait([acknowledgement.waiter])

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        queue = self._queue
        while queue and (queue[0].settled or queue[0].due <= now):
            acknowledgement = queue.popleft()
            acknowledgement.fail()
            self._bytes -= acknowledgement.size
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(_TICK_SECONDS, self._sweep) if queue else None


def checked_size(records: Sequence[Record]) -> int:
    """Bytes of all keys and values. Raises `InvalidTouchpoint` for a record that no adapter takes."""
    total = sum([len(key) + len(value) for key, value, _ in records])
    if total > MAX_RECORD_BYTES - _HEADERS_FIT:  # else none of them can be too large
        for index, record in enumerate(records):
            if record.size > MAX_RECORD_BYTES:
                raise InvalidTouchpoint(faults=(Fault(f"/{index}", f"is larger than {MAX_RECORD_BYTES:,} bytes"),))
    return total
