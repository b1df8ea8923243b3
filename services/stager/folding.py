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
from journey.touchpoint import Touchpoint


class Folded(NamedTuple):
    """A customer's new state and what was found on the way to it.

    `due_at` is when there is something to do again; `waiting` whether touchpoints wait until then.
    """

    state: CustomerState
    transitions: tuple[Transition, ...]
    facts: tuple[Fact, ...]
    due_at: datetime | None
    waiting: bool


def go_on(journeys: Journeys, state: CustomerState, fresh: Iterable[Touchpoint], horizon: datetime) -> Folded | None:
    """The state with `fresh` touchpoints (in order) folded in; None when one of them is late: see `fold_again`."""
    transitions: list[Transition] = []
    facts: list[Fact] = []
    for touchpoint in fresh:
        until = _waits_until(journeys, state, touchpoint, horizon)
        if until is not None:
            return Folded(state, tuple(transitions), tuple(facts), until, True)
        match advance(journeys, state, touchpoint):
            case Advanced(state, moves, found):
                transitions += moves
                facts += found
            case Ignored():
                continue
            case Late():
                return None
    return Folded(state, tuple(transitions), tuple(facts), next_due(journeys, state), False)


def let_pass(journeys: Journeys, folded: Folded, horizon: datetime) -> Folded:
    """The same with time passed up to the horizon."""
    passed = elapse(journeys, folded.state, horizon)
    due_at = folded.due_at if folded.waiting else next_due(journeys, passed.state)
    return Folded(
        passed.state,
        folded.transitions + passed.transitions,
        folded.facts + passed.facts,
        due_at,
        folded.waiting,
    )


def fold_again(journeys: Journeys, history: Sequence[Touchpoint], horizon: datetime) -> Folded:
    """The state from all touchpoints of a customer, in order, and from time passed up to the horizon."""
    folded = go_on(journeys, NOBODY, history, horizon)
    assert folded is not None  # in order, nothing is late
    return let_pass(journeys, folded, horizon)


def _waits_until(
    journeys: Journeys, state: CustomerState, touchpoint: Touchpoint, horizon: datetime
) -> datetime | None:
    """When a touchpoint may be folded, if that is not yet."""
    at = touchpoint.occurred_at
    if at <= horizon:
        return None
    due = next_due(journeys, state)
    if due is not None and due <= horizon:
        due = next_due(journeys, elapse(journeys, state, horizon).state)
    if due is not None and due <= at:
        return due
    return at if at > touchpoint.received_at else None
