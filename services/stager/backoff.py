"""Waiting longer each time something that we run on is away."""

import asyncio
from datetime import timedelta

_FIRST = timedelta(milliseconds=100)
_LONGEST = timedelta(seconds=5)


class Backoff:
    """Waits that double, up to a limit, until `reset`."""

    def __init__(self) -> None:
        self._next = _FIRST

    def reset(self) -> None:
        self._next = _FIRST

    async def wait(self, stop: asyncio.Event) -> None:
        """Wait, or until `stop` is set."""
        seconds, self._next = self._next.total_seconds(), min(self._next * 2, _LONGEST)
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return
