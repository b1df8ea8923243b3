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
from journey.machine import BEGINS, Journeys, Machine
from journey.meaning import count, mean, propose, reached
from journey.outcomes import Advanced, Ignored, Kind, Late, Outcome, Rejected
from journey.plan import Edge, Plan, Timer
from journey.state import NOBODY, ByTime, ByTouchpoint, CustomerState, JourneyState
from journey.timers import pending
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
    last = state.last
    if last is not None and touchpoint.occurred_at <= last.occurred_at and touchpoint.order <= last:
        if touchpoint.order == last:
            return Ignored()
        return Late("a touchpoint that comes after it was folded already")
    if state.fired_at is not None and touchpoint.occurred_at < state.fired_at:
        return Late("a timer that was due after it has fired already")
    return None


def _elapse(journeys: Journeys, state: CustomerState, until: datetime, found: Findings) -> CustomerState:
    if _is_quiet(journeys, state, until):
        return state
    while (due := _next(journeys, state)) is not None and due.at <= until:
        state = _fire(journeys, state, due, found)
    return state


def _next(journeys: Journeys, state: CustomerState) -> Due | None:
    first: Due | None = None
    for name, here in state.journeys.items():
        machine = journeys.machines.get(name)
        if machine is None or (first and _is_at_rest(machine.plan(here), here, state.heard_at, first.at)):
            continue
        for timer, since, at in pending(machine, here, state.heard_at):
            if first is None or at < first.at or (at == first.at and (name, timer.rule) < (first.journey, first.rule)):
                first = Due(at, name, timer.rule, since, timer)
    return first


def _is_quiet(journeys: Journeys, state: CustomerState, until: datetime) -> bool:
    """Whether it is plain that nothing is due by `until`: the usual case, made cheap."""
    for name, here in state.journeys.items():
        machine = journeys.machines.get(name)
        if machine is not None and not _is_at_rest(machine.plan(here), here, state.heard_at, until):
            return False
    return True


def _is_at_rest(plan: Plan, here: JourneyState, heard_at: datetime | None, until: datetime) -> bool:
    """Whether it is plain, without looking at each timer of a stage, that none is due by `until`."""
    entered_at = here.entered_at
    if plan.stay is not None and until - entered_at >= plan.stay:
        return False
    if plan.silence is None:
        return True
    since = heard_at if heard_at is not None and heard_at > entered_at else entered_at
    return until - since < plan.silence


def _fire(journeys: Journeys, state: CustomerState, due: Due, found: Findings) -> CustomerState:
    machine, here = journeys.machines[due.journey], state.journeys[due.journey]
    found.at, found.cause = due.at, ByTime(of=due.timer.of, since=due.since, after=due.timer.after)
    if due.timer.to is None:
        here = replace(here, dead_since=due.at)
        found.fact(machine, here, Kind.DEAD_TIME, here.stage)
    else:
        here = _move(machine, here, due.timer, due.timer.to, found)
    here = propose(machine, here, found)
    return replace(state, fired_at=due.at, facts=found.facts, journeys={**state.journeys, due.journey: here})


def _happen(journeys: Journeys, state: CustomerState, touchpoint: Touchpoint, found: Findings) -> CustomerState:
    traits = _learn(journeys, state, touchpoint)
    learned = traits is not state.traits
    found.at, found.cause = touchpoint.occurred_at, cause_of(touchpoint)
    is_own = touchpoint.initiator == "customer"
    changed: dict[str, JourneyState] = {}
    for name, machine in journeys.machines.items():
        before = state.journeys.get(name)
        if before is None:
            if machine.begins(touchpoint, traits):
                changed[name] = _begin(machine, touchpoint, traits, found)
        elif (
            touchpoint.type in machine.plan(before).heeds or learned or (is_own and before.dead_since is not None)
        ):  # otherwise it means nothing to this journey
            changed[name] = _go_on(machine, before, touchpoint, traits, learned, found)
    return CustomerState(
        last=touchpoint.order,
        fired_at=state.fired_at,
        heard_at=touchpoint.occurred_at if is_own else state.heard_at,
        facts=found.facts,
        traits=traits,
        journeys={**state.journeys, **changed} if changed else state.journeys,
    )


def _learn(journeys: Journeys, state: CustomerState, touchpoint: Touchpoint) -> Traits:
    """The customer's traits after a touchpoint, of those that a definition names; null takes one back."""
    told = touchpoint.traits
    named = journeys.traits.intersection(told) if told else None
    if not named:
        return state.traits
    merged = {**state.traits, **{name: told[name] for name in named}}
    return {name: value for name, value in merged.items() if value is not None}


def _begin(machine: Machine, touchpoint: Touchpoint, traits: Traits, found: Findings) -> JourneyState:
    """A journey begins, and may make a transition at once."""
    here = JourneyState(
        stage=machine.initial,
        entered_at=touchpoint.occurred_at,
        rule=BEGINS,
        cause=found.cause,
        persona=machine.persona(touchpoint, traits),
    )
    found.transition(machine, here, None)
    here = _follow(machine, here, touchpoint, traits, found)
    here = mean(machine, here, touchpoint, traits, found)
    return propose(machine, here, found)


def _go_on(
    machine: Machine, before: JourneyState, touchpoint: Touchpoint, traits: Traits, learned: bool, found: Findings
) -> JourneyState:
    """What a touchpoint does in a journey that began before."""
    here = _wake(machine, before, touchpoint, traits, learned, found)
    here = _count(machine.plan(here), here, touchpoint, traits)
    here = _follow(machine, here, touchpoint, traits, found)
    here = mean(machine, here, touchpoint, traits, found)
    return here if _calls_for_the_same(before, here) else propose(machine, here, found)


def _wake(
    machine: Machine, here: JourneyState, touchpoint: Touchpoint, traits: Traits, learned: bool, found: Findings
) -> JourneyState:
    """What a touchpoint changes before any rule is looked at: silence ends, new traits may tell another persona."""
    if here.dead_since is not None and touchpoint.initiator == "customer":
        here = replace(here, dead_since=None)
    if learned and machine.personas:
        persona = machine.persona(touchpoint, traits)
        if persona != here.persona:
            here = replace(here, persona=persona, persona_at=touchpoint.occurred_at)
            found.fact(machine, here, Kind.PERSONA, persona or "")
    return here


def _count(plan: Plan, here: JourneyState, touchpoint: Touchpoint, traits: Traits) -> JourneyState:
    """Count a touchpoint for every rule of this stage that counts it, whichever rule is followed in the end."""
    counted = {
        window.rule: count(here.windows.get(window.rule, ()), window.keep, touchpoint.occurred_at)
        for window in plan.windows.get(touchpoint.type, ())
        if window.holds(touchpoint, traits)
    }
    return replace(here, windows={**here.windows, **counted}) if counted else here


def _follow(
    machine: Machine, here: JourneyState, touchpoint: Touchpoint, traits: Traits, found: Findings
) -> JourneyState:
    """The first rule that holds and has counted enough is followed, or denied; the others are not looked at."""
    for edge in machine.edges(here, touchpoint.type):
        if edge.holds(touchpoint, traits) and _has_enough(edge, here, found.at):
            if not edge.denied:
                return _move(machine, here, edge, edge.to, found)
            found.fact(machine, here, Kind.DENIED, edge.rule)
            return here
    return here


def _has_enough(edge: Edge, here: JourneyState, at: datetime) -> bool:
    return edge.at_least is None or reached(here.windows.get(edge.rule, ()), edge.at_least, at)


def _move(machine: Machine, here: JourneyState, by: Edge | Timer, to: str, found: Findings) -> JourneyState:
    moved = replace(
        here,
        run=here.run + by.opens_run,
        stage=to,
        entered_at=found.at,
        place=here.place + 1 if here.entered_at == found.at else 0,
        stays=here.stays + 1,
        rule=by.rule,
        cause=found.cause,
        persona_at=None,
        dead_since=None,
        windows={},
        started={} if by.opens_run else here.started,
        measured={} if by.opens_run else here.measured,
    )
    found.transition(machine, moved, here.stage)
    return moved


def _calls_for_the_same(one: JourneyState, other: JourneyState) -> bool:
    """Whether nothing changed between two states that an action could depend on."""
    return (
        one.stage == other.stage
        and one.persona == other.persona
        and one.open is other.open
        and one.dead_since == other.dead_since
    )


def cause_of(touchpoint: Touchpoint) -> ByTouchpoint:
    return ByTouchpoint(touchpoint.source, touchpoint.id, touchpoint.type, touchpoint.channel)
