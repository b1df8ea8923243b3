"""Which partition holds the horizon back, and for how long: time stands still for everybody meanwhile."""

import logging
from datetime import datetime, timedelta

from journey.touchpoint import EARLIEST
from plumbing.store.horizon import Held
from plumbing.telemetry import HORIZON_AGE_SECONDS, HORIZON_HELD_SECONDS, Action, log


class HorizonWatch:
    """Looks at the horizon each time it may have moved, and says so when it has stood back for `patience`."""

    def __init__(self, patience: timedelta) -> None:
        self._patience = patience
        self._first_looked_at: datetime | None = None
        self._warned_at: datetime | None = None
        self.complaint: str | None = None
        """What an operator should know, while there is something."""

    def look(self, held: Held, now: datetime) -> None:
        """Note where the horizon is at `now`. A horizon that never moved is counted from the first look on."""
        self._first_looked_at = self._first_looked_at or now
        HORIZON_AGE_SECONDS.set((now - held.reached_at).total_seconds())
        age = now - (self._first_looked_at if held.reached_at <= EARLIEST else held.reached_at)
        HORIZON_HELD_SECONDS.clear()
        HORIZON_HELD_SECONDS.labels(held.partition).set(age.total_seconds())
        if age <= self._patience:
            self.complaint = self._warned_at = None
            return
        seconds = int(age.total_seconds())
        self.complaint = f"partition {held.partition} has held time back for {seconds} s"
        if self._warned_at is None or now - self._warned_at > self._patience:
            self._warned_at = now
            log(Action.HORIZON_HELD_BACK, logging.WARNING, partition=held.partition, seconds=seconds)
