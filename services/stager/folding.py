"""Folding one customer on: with what is new where that comes in order, or all over again where the past has changed.

A touchpoint is folded as soon as nothing that the horizon still hides could come before it: when it is not in the
future of its own reception, and no timer of its customer is due between the horizon and it. Otherwise it waits.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from journey.fold import advance, elapse, next_due
from journey.machine import Journeys
from journey.outcomes import Advanced, Fact, Ignored, Late, Transition
from journey.state import NOBODY, CustomerState
from journey.touchpoint import EARLIEST, Touchpoint


class Folded(NamedTuple):
    """A customer's new state and what was found on the way to it.

    `due_at` is when the next timer fires, and `waits_until` when touchpoints that wait may be looked at again.
    """

    state: CustomerState
    transitions: tuple[Transition, ...]
    facts: tuple[Fact, ...]
    due_at: datetime | None
    waits_until: datetime | None


def go_on(
    journeys: Journeys,
    state: CustomerState,
    fresh: Iterable[Touchpoint],
    horizon: datetime,
    due_from: datetime | None = EARLIEST,
) -> Folded | None:
    """The state with `fresh` touchpoints (in order) folded in; None when one of them is late: see `fold_again`.

    `due_from` is an instant before which no timer of `state` is due (None: there is none at all). Only a change in some
    journey makes a timer come earlier, so until then it need not be asked when the next one is due.
    """
    transitions: list[Transition] = []
    facts: list[Fact] = []
    for touchpoint in fresh:
        at = touchpoint.occurred_at
        if at > horizon:
            if due_from is not None and due_from <= at:
                due_from = next_due(journeys, elapse(journeys, state, horizon).state)
            until = _waits_until(touchpoint, due_from)
            if until is not None:
                return Folded(state, tuple(transitions), tuple(facts), next_due(journeys, state), until)
        before = state.journeys
        match advance(journeys, state, touchpoint):
            case Advanced(state, moves, found):
                transitions += moves
                facts += found
            case Ignored():
                continue
            case Late():
                return None
        if state.journeys is not before:
            due_from = EARLIEST
    if due_from is not None and due_from <= horizon:
        due_from = next_due(journeys, state)
    return Folded(state, tuple(transitions), tuple(facts), due_from, None)


def let_pass(journeys: Journeys, folded: Folded, horizon: datetime) -> Folded:
    """The same with time passed up to the horizon."""
    passed = elapse(journeys, folded.state, horizon)
    return Folded(
        passed.state,
        folded.transitions + passed.transitions,
        folded.facts + passed.facts,
        next_due(journeys, passed.state),
        folded.waits_until,
    )


def fold_again(journeys: Journeys, history: Sequence[Touchpoint], horizon: datetime) -> Folded:
    """The state from all touchpoints of a customer, in order, and from time passed up to the horizon."""
    folded = go_on(journeys, NOBODY, history, horizon)
    assert folded is not None  # in order, nothing is late
    return let_pass(journeys, folded, horizon)


def _waits_until(touchpoint: Touchpoint, due: datetime | None) -> datetime | None:
    """When a touchpoint beyond the horizon may be folded, if that is not yet; `due` is when the next timer fires."""
    at = touchpoint.occurred_at
    if due is not None and due <= at:
        return due
    return at if at > touchpoint.received_at else None
