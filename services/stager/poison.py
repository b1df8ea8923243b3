"""How many records that ingest had accepted may turn out unusable before the stager stops.

One bad record is somebody's bug and goes to the dead letters. Hundreds a minute are ours: an old stager behind a newer
ingest, say. Then going on would empty the log into the dead letters.
"""

import logging
from collections import deque
from datetime import timedelta

from journey.errors import OurFault
from plumbing import clock
from plumbing.telemetry import Action, log

_WINDOW = timedelta(minutes=1)


class TooMuchPoison(OurFault):
    """Too many records a minute cannot be used; the stager stops, and goes on where it was when started again."""


class PoisonLimit:
    """Raises `TooMuchPoison` above `limit` dead letters within a minute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._seen: deque[float] = deque()

    def note(self, letters: int) -> None:
        now = clock.monotonic()
        self._seen.extend([now] * letters)
        while self._seen and self._seen[0] < now - _WINDOW.total_seconds():
            self._seen.popleft()
        if len(self._seen) > self._limit:
            log(Action.POISON_LIMIT, logging.ERROR, records=len(self._seen))
            raise TooMuchPoison
