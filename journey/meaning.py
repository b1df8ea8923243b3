"""What a touchpoint means besides a transition: moments of truth, pains, objections, measures, actions called for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec.structs import replace

from journey.conditions import Traits
from journey.durations import format_duration
from journey.findings import Findings
from journey.grammar import Action, AtLeast, Measure
from journey.machine import Machine, Mark
from journey.outcomes import Kind
from journey.state import ByTouchpoint, Cause, JourneyState
from journey.touchpoint import Touchpoint

Value = TypeVar("Value")
Windows = Mapping[str, tuple[datetime, ...]]

_MICROSECOND = timedelta(microseconds=1)


def count(windows: Windows, name: str, at_least: AtLeast, at: datetime) -> tuple[Windows, bool]:
    """Count one more match at `at`: the windows with it, and whether there are enough of them within the time allowed.

    A window keeps at most `at_least.count` instants, the latest.
    """
    oldest = at - at_least.within
    kept = (*(instant for instant in windows.get(name, ()) if instant >= oldest), at)[-at_least.count :]
    return {**windows, name: kept}, len(kept) == at_least.count


def mean(machine: Machine, here: JourneyState, touchpoint: Touchpoint, traits: Traits, found: Findings) -> JourneyState:
    """Note everything that `touchpoint` means in the stage where it left the customer."""
    marks = machine.marks.get(touchpoint.type)
    if marks is None:
        return here
    at = touchpoint.occurred_at
    cause = ByTouchpoint(touchpoint.source, touchpoint.id, touchpoint.type, touchpoint.channel)
    for mark in marks.moments:
        if mark.holds(touchpoint, traits):
            found.fact(machine, here, mark.kind, mark.name, at, cause)
    for mark in marks.closes:
        if mark.name in here.open and mark.holds(touchpoint, traits):
            here = _close(machine, here, mark, at, cause, found)
    for mark in marks.opens:
        if mark.name not in here.open and mark.holds(touchpoint, traits):
            here = _open(machine, here, mark, at, cause, found)
    stopped = [mark for mark in marks.stops if mark.name in here.started and mark.holds(touchpoint, traits)]
    for mark in stopped:
        here = _stop(machine, here, mark, at, cause, found)
    started = {mark.name: at for mark in marks.starts if mark.holds(touchpoint, traits)}
    return replace(here, started={**here.started, **started}) if started else here


def propose(machine: Machine, here: JourneyState, at: datetime, cause: Cause, found: Findings) -> JourneyState:
    """Bring the proposed actions up to date, and note which came and which went."""
    proposed = tuple(action.name for action in machine.actions if _called_for(action, here))
    if proposed == here.proposed:
        return here
    for name in here.proposed:
        if name not in proposed:
            found.fact(machine, here, Kind.ACTION_WITHDRAWN, name, at, cause)
    for name in proposed:
        if name not in here.proposed:
            found.fact(machine, here, Kind.ACTION_PROPOSED, name, at, cause)
    return replace(here, proposed=proposed)


def _called_for(action: Action, here: JourneyState) -> bool:
    when = action.when
    return (
        (not when.stages or here.stage in when.stages)
        and (not when.personas or here.persona in when.personas)
        and (not when.pains or any(name in here.open for name in when.pains))
        and (not when.objections or any(name in here.open for name in when.objections))
        and (not when.dead_time or here.dead_since is not None)
    )


def _open(
    machine: Machine, here: JourneyState, mark: Mark, at: datetime, cause: Cause, found: Findings
) -> JourneyState:
    if mark.at_least:
        tallies, reached = count(here.tallies, mark.name, mark.at_least, at)
        here = replace(here, tallies=tallies)
        if not reached:
            return here
    found.fact(machine, here, mark.kind, mark.name, at, cause)
    return replace(here, open={**here.open, mark.name: at})


def _close(
    machine: Machine, here: JourneyState, mark: Mark, at: datetime, cause: Cause, found: Findings
) -> JourneyState:
    since = here.open[mark.name]
    found.fact(machine, here, mark.kind, mark.name, at, cause, {"lasted": format_duration(at - since)})
    return replace(here, open=_without(here.open, mark.name), tallies=_without(here.tallies, mark.name))


def _stop(
    machine: Machine, here: JourneyState, mark: Mark, at: datetime, cause: Cause, found: Findings
) -> JourneyState:
    lasted = at - here.started[mark.name]
    measured = {**here.measured, mark.name: lasted // _MICROSECOND}
    here = replace(here, started=_without(here.started, mark.name), measured=measured)
    _measured(machine, here, machine.measures[mark.name], lasted, at, cause, found)
    for total in machine.sums(mark.name):
        if all(part in measured for part in total.sum_of):
            together = timedelta(microseconds=sum(measured[part] for part in total.sum_of))
            _measured(machine, here, total, together, at, cause, found)
    return here


def _measured(
    machine: Machine,
    here: JourneyState,
    measure: Measure,
    lasted: timedelta,
    at: datetime,
    cause: Cause,
    found: Findings,
) -> None:
    detail = {
        "lasted": format_duration(lasted),
        "budget": format_duration(measure.budget),
        "within_budget": lasted <= measure.budget,
    }
    found.fact(machine, here, Kind.MEASURED, measure.name, at, cause, detail)


def _without(mapping: Mapping[str, Value], name: str) -> dict[str, Value]:
    return {key: value for key, value in mapping.items() if key != name}
