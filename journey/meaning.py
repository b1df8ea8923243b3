"""What a touchpoint means besides a transition: moments of truth, pains, objections, measures, actions called for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import replace

from journey.conditions import Traits
from journey.durations import format_duration
from journey.findings import Findings
from journey.grammar import AtLeast, Measure
from journey.machine import Machine
from journey.outcomes import Kind
from journey.plan import Mark, Marks, Proposal
from journey.state import JourneyState
from journey.touchpoint import Touchpoint

Value = TypeVar("Value")
Window = tuple[datetime, ...]

_MICROSECOND = timedelta(microseconds=1)


def count(window: Window, keep: AtLeast, at: datetime) -> Window:
    """The window with one more match at `at`: the latest `keep.count` instants of the last `keep.within`."""
    oldest = at - keep.within
    return (*(instant for instant in window if instant >= oldest), at)[-keep.count :]


def reached(window: Window, at_least: AtLeast, at: datetime) -> bool:
    """Whether a window that ends at `at` has enough matches within the time allowed."""
    oldest = at - at_least.within
    return len(window) >= at_least.count and window[-at_least.count] >= oldest


def mean(machine: Machine, here: JourneyState, touchpoint: Touchpoint, traits: Traits, found: Findings) -> JourneyState:
    """Note everything that `touchpoint` means in the stage where it left the customer."""
    marks = machine.marks.get(touchpoint.type)
    if marks is None:
        return here
    for mark in marks.moments:
        if mark.holds(touchpoint, traits):
            found.fact(machine, here, mark.kind, mark.name)
    for mark in marks.closes:
        if mark.name in here.open and mark.holds(touchpoint, traits):
            here = _close(machine, here, mark, found)
    for mark in marks.opens:
        if mark.name not in here.open and mark.holds(touchpoint, traits):
            here = _open(machine, here, mark, found)
    if marks.stops or marks.starts:
        here = _time(machine, here, marks, touchpoint, traits, found)
    return here


def propose(machine: Machine, here: JourneyState, found: Findings) -> JourneyState:
    """Bring the proposed actions up to date, and note which came and which went."""
    proposed = tuple([action.name for action in machine.plan(here).proposals if _called_for(action, here)])
    if proposed == here.proposed:
        return here
    for name in here.proposed:
        if name not in proposed:
            found.fact(machine, here, Kind.ACTION_WITHDRAWN, name)
    for name in proposed:
        if name not in here.proposed:
            found.fact(machine, here, Kind.ACTION_PROPOSED, name)
    return replace(here, proposed=proposed)


def _called_for(action: Proposal, here: JourneyState) -> bool:
    return (
        (not action.pains or not action.pains.isdisjoint(here.open))
        and (not action.objections or not action.objections.isdisjoint(here.open))
        and (not action.dead_time or here.dead_since is not None)
    )


def _open(machine: Machine, here: JourneyState, mark: Mark, found: Findings) -> JourneyState:
    if mark.at_least:
        window = count(here.tallies.get(mark.name, ()), mark.at_least, found.at)
        here = replace(here, tallies={**here.tallies, mark.name: window})
        if not reached(window, mark.at_least, found.at):
            return here
    found.fact(machine, here, mark.kind, mark.name)
    return replace(here, open={**here.open, mark.name: found.at})


def _close(machine: Machine, here: JourneyState, mark: Mark, found: Findings) -> JourneyState:
    since = here.open[mark.name]
    found.fact(machine, here, mark.kind, mark.name, {"lasted": format_duration(found.at - since)})
    return replace(here, open=_without(here.open, mark.name), tallies=_without(here.tallies, mark.name))


def _time(
    machine: Machine, here: JourneyState, marks: Marks, touchpoint: Touchpoint, traits: Traits, found: Findings
) -> JourneyState:
    """Stop what this touchpoint ends, add up, then start what it begins: it may do both to one measure."""
    stopped = [mark.name for mark in marks.stops if mark.name in here.started and mark.holds(touchpoint, traits)]
    for name in stopped:
        here = _stop(machine, here, name, found)
    if stopped:
        _add_up(machine, here, stopped, found)
    started = {mark.name: found.at for mark in marks.starts if mark.holds(touchpoint, traits)}
    return replace(here, started={**here.started, **started}) if started else here


def _stop(machine: Machine, here: JourneyState, name: str, found: Findings) -> JourneyState:
    lasted = found.at - here.started[name]
    _measured(machine, here, machine.measures[name], lasted, found)
    measured = {**here.measured, name: lasted // _MICROSECOND}
    return replace(here, started=_without(here.started, name), measured=measured)


def _add_up(machine: Machine, here: JourneyState, stopped: list[str], found: Findings) -> None:
    """Note the sums of which a part was just measured, once each, if all their parts are known."""
    for total in machine.sums(stopped):
        if all(part in here.measured for part in total.sum_of):
            together = timedelta(microseconds=sum(here.measured[part] for part in total.sum_of))
            _measured(machine, here, total, together, found)


def _measured(machine: Machine, here: JourneyState, measure: Measure, lasted: timedelta, found: Findings) -> None:
    detail = {
        "lasted": format_duration(lasted),
        "budget": format_duration(measure.budget),
        "within_budget": lasted <= measure.budget,
    }
    found.fact(machine, here, Kind.MEASURED, measure.name, detail)


def _without(mapping: Mapping[str, Value], name: str) -> dict[str, Value]:
    return {key: value for key, value in mapping.items() if key != name}
