"""The fold: the only way a customer's state changes.

    state(S, D, H) = fold the touchpoints of S with occurred_at ≤ H in order, by definitions D, then elapse to H

`advance` takes one touchpoint, `elapse` lets time pass. Both are pure. At one instant the order is: timers that are
due, then touchpoints in their total order; timers among themselves by (due, journey, rule). For one touchpoint each
journey may begin and make one transition; then comes what the touchpoint means (`journey/meaning.py`) and the actions
that it calls for.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from journey.conditions import Traits
from journey.findings import Findings
from journey.grammar import Since
from journey.machine import BEGINS, Edge, Journeys, Machine, Timer
from journey.meaning import count, mean, propose
from journey.outcomes import Advanced, Ignored, Kind, Late, Outcome, Rejected
from journey.state import NOBODY, ByTime, ByTouchpoint, Cause, CustomerState, JourneyState
from journey.touchpoint import Touchpoint


class Due(NamedTuple):
    """The next thing that time will cause; compares by (instant, journey, rule)."""

    at: datetime
    journey: str
    rule: str
    since: datetime
    timer: Timer


def advance(
    journeys: Journeys, state: CustomerState, touchpoint: Touchpoint, horizon: datetime | None = None
) -> Outcome:
    """Let one touchpoint happen.

    `Rejected` when it lies beyond `horizon` (None: there is none), `Ignored` when it is the last one again, `Late` when
    it belongs before something that was folded already; the state stays as it was in all three.
    """
    refusal = _refusal(state, touchpoint, horizon)
    if refusal is not None:
        return refusal
    found = Findings(state.facts)
    state = _elapse(journeys, state, touchpoint.occurred_at, found)
    state = _happen(journeys, state, touchpoint, found)
    return found.advanced(state)


def elapse(journeys: Journeys, state: CustomerState, until: datetime) -> Advanced:
    """Let time pass up to and including `until`: what is due fires, in order."""
    found = Findings(state.facts)
    return found.advanced(_elapse(journeys, state, until, found))


def fold(journeys: Journeys, touchpoints: Iterable[Touchpoint], until: datetime) -> Advanced:
    """The whole function at once, from nothing: touchpoints in order, those beyond `until` left out, then `elapse`."""
    found = Findings(0)
    state = NOBODY
    for touchpoint in touchpoints:
        if touchpoint.occurred_at > until:
            break
        state = _elapse(journeys, state, touchpoint.occurred_at, found)
        state = _happen(journeys, state, touchpoint, found)
    return found.advanced(_elapse(journeys, state, until, found))


def next_due(journeys: Journeys, state: CustomerState) -> datetime | None:
    """The instant at which `elapse` next has something to do, if nothing happens before."""
    due = _next(journeys, state)
    return due and due.at


def _refusal(
    state: CustomerState, touchpoint: Touchpoint, horizon: datetime | None
) -> Ignored | Late | Rejected | None:
    if horizon is not None and touchpoint.occurred_at > horizon:
        return Rejected(by=touchpoint.occurred_at - horizon)
    if state.last is not None and touchpoint.order <= state.last:
        if touchpoint.order == state.last:
            return Ignored()
        return Late("a touchpoint that comes after it was folded already")
    if state.fired_at is not None and touchpoint.occurred_at < state.fired_at:
        return Late("a timer that was due after it has fired already")
    return None


def _elapse(journeys: Journeys, state: CustomerState, until: datetime, found: Findings) -> CustomerState:
    while (due := _next(journeys, state)) is not None and due.at <= until:
        state = _fire(journeys, state, due, found)
    return state


def _next(journeys: Journeys, state: CustomerState) -> Due | None:
    first: Due | None = None
    for name, here in state.journeys.items():
        machine = journeys.machines.get(name)
        for timer in machine.timers(here) if machine else ():
            if timer.to is None and here.dead_since is not None:
                continue
            since = _base(timer, here, state.heard_at)
            at = since + timer.after
            if here.persona_at is not None and here.persona_at > at:
                at = here.persona_at  # a persona that came late fires what is overdue when it comes, never before
            if first is None or (at, name, timer.rule) < first[:3]:
                first = Due(at, name, timer.rule, since, timer)
    return first


def _base(timer: Timer, here: JourneyState, heard_at: datetime | None) -> datetime:
    """The instant from which a timer counts."""
    if timer.of is Since.SILENCE and heard_at is not None and heard_at > here.entered_at:
        return heard_at
    return here.entered_at


def _fire(journeys: Journeys, state: CustomerState, due: Due, found: Findings) -> CustomerState:
    machine, here = journeys.machines[due.journey], state.journeys[due.journey]
    cause = ByTime(of=due.timer.of, since=due.since, after=due.timer.after)
    if due.timer.to is None:
        here = replace(here, dead_since=due.at)
        found.fact(machine, here, Kind.DEAD_TIME, here.stage, due.at, cause)
    else:
        here = _move(machine, here, due.timer, due.timer.to, due.at, cause, found)
    here = propose(machine, here, due.at, cause, found)
    return replace(state, fired_at=due.at, journeys={**state.journeys, due.journey: here})


def _happen(journeys: Journeys, state: CustomerState, touchpoint: Touchpoint, found: Findings) -> CustomerState:
    traits = _learn(journeys, state, touchpoint)
    learned = traits is not state.traits
    state = replace(
        state,
        last=touchpoint.order,
        heard_at=touchpoint.occurred_at if touchpoint.initiator == "customer" else state.heard_at,
        traits=traits,
    )
    changed: dict[str, JourneyState] = {}
    for name, machine in journeys.machines.items():
        before = state.journeys.get(name)
        after = _step(machine, before, touchpoint, state, learned, found)
        if after is not None and after is not before:
            changed[name] = after
    if changed:
        state = replace(state, journeys={**state.journeys, **changed})
    return state


def _learn(journeys: Journeys, state: CustomerState, touchpoint: Touchpoint) -> Traits:
    """The customer's traits after a touchpoint, of those that a definition names; null takes one back."""
    named = journeys.traits.intersection(touchpoint.traits) if touchpoint.traits else None
    if not named:
        return state.traits
    merged = {**state.traits, **{name: touchpoint.traits[name] for name in named}}
    merged = {name: value for name, value in merged.items() if value is not None}
    return state.traits if merged == state.traits else merged


def _step(
    machine: Machine,
    before: JourneyState | None,
    touchpoint: Touchpoint,
    customer: CustomerState,
    learned: bool,
    found: Findings,
) -> JourneyState | None:
    """One journey's part in a touchpoint."""
    here = before
    if here is None:
        if not machine.begins(touchpoint, customer.traits):
            return None
        here = _begin(machine, touchpoint, customer, found)
    else:
        here = _wake(machine, here, touchpoint, customer, learned, found)
    for edge in machine.edges(here, touchpoint.type):
        if edge.holds(touchpoint, customer.traits):
            here, taken = _take(machine, here, edge, touchpoint, found)
            if taken:
                break
    here = mean(machine, here, touchpoint, customer.traits, found)
    if here is before:
        return here
    return propose(machine, here, touchpoint.occurred_at, cause_of(touchpoint), found)


def _begin(machine: Machine, touchpoint: Touchpoint, customer: CustomerState, found: Findings) -> JourneyState:
    cause = cause_of(touchpoint)
    here = JourneyState(
        stage=machine.initial,
        entered_at=touchpoint.occurred_at,
        rule=BEGINS,
        cause=cause,
        persona=machine.persona(touchpoint, customer.traits),
    )
    found.transition(machine, here, None)
    return here


def _wake(
    machine: Machine,
    here: JourneyState,
    touchpoint: Touchpoint,
    customer: CustomerState,
    learned: bool,
    found: Findings,
) -> JourneyState:
    """What a touchpoint changes before any rule is looked at: silence ends, new traits may tell another persona."""
    if here.dead_since is not None and touchpoint.initiator == "customer":
        here = replace(here, dead_since=None)
    if learned and machine.personas:
        persona = machine.persona(touchpoint, customer.traits)
        if persona != here.persona:
            here = replace(here, persona=persona, persona_at=touchpoint.occurred_at)
            found.fact(machine, here, Kind.PERSONA, persona or "", touchpoint.occurred_at, cause_of(touchpoint))
    return here


def _take(
    machine: Machine, here: JourneyState, edge: Edge, touchpoint: Touchpoint, found: Findings
) -> tuple[JourneyState, bool]:
    """Follow an edge whose guard holds, unless it still counts; says whether the search for a rule is over."""
    at, cause = touchpoint.occurred_at, cause_of(touchpoint)
    if edge.at_least:
        windows, reached = count(here.windows, edge.rule, edge.at_least, at)
        here = replace(here, windows=windows)
        if not reached:
            return here, False
    if edge.denied:
        found.fact(machine, here, Kind.DENIED, edge.rule, at, cause)
        return here, True
    return _move(machine, here, edge, edge.to, at, cause, found), True


def _move(
    machine: Machine, here: JourneyState, by: Edge | Timer, to: str, at: datetime, cause: Cause, found: Findings
) -> JourneyState:
    moved = replace(
        here,
        run=here.run + by.opens_run,
        stage=to,
        entered_at=at,
        place=here.place + 1 if here.entered_at == at else 0,
        stays=here.stays + 1,
        rule=by.rule,
        cause=cause,
        dead_since=None,
        windows={},
        started={} if by.opens_run else here.started,
        measured={} if by.opens_run else here.measured,
    )
    found.transition(machine, moved, here.stage)
    return moved


def cause_of(touchpoint: Touchpoint) -> ByTouchpoint:
    return ByTouchpoint(touchpoint.source, touchpoint.id, touchpoint.type, touchpoint.channel)
