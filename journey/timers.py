"""When time will cause what: the timers of a stage, with the instant each counts from and the one it is due."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from journey.grammar import Since
from journey.machine import Machine
from journey.plan import Timer
from journey.state import JourneyState


class Pending(NamedTuple):
    """A timer that will fire at `due_at` if nothing happens before; it counts from `since`."""

    timer: Timer
    since: datetime
    due_at: datetime


def pending(machine: Machine, here: JourneyState, heard_at: datetime | None) -> Iterator[Pending]:
    """The timers that run in the stage of `here`, in no order.

    `heard_at` is the customer's last own touchpoint. A persona that came late fires what is overdue when it comes,
    never before.
    """
    for timer in machine.timers(here):
        if timer.to is None and here.dead_since is not None:
            continue
        since = base(timer, here, heard_at)
        due_at = since + timer.after
        if here.persona_at is not None and here.persona_at > due_at:
            due_at = here.persona_at
        yield Pending(timer, since, due_at)


def base(timer: Timer, here: JourneyState, heard_at: datetime | None) -> datetime:
    """The instant from which a timer counts."""
    if timer.of is Since.SILENCE and heard_at is not None and heard_at > here.entered_at:
        return heard_at
    return here.entered_at
