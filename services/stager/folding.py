"""Folding one customer on: with what is new where that comes in order, or once more from where the past has changed.

A touchpoint is folded as soon as nothing that the horizon still hides could come before it: when it is not in the
future of its own reception, and no timer of its customer is due between the horizon and it. Otherwise it waits.

What is late, but not by much, is folded from what the customer's row remembers of the recent past; what is older needs
their whole history. Both come to the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from journey import recent as recents
from journey.fold import advance, elapse, next_due
from journey.machine import Journeys
from journey.outcomes import Advanced, Fact, Ignored, Late, Transition
from journey.recent import Past
from journey.state import NOBODY, CustomerState, decode_state, encode_state
from journey.touchpoint import EARLIEST, Touchpoint
from plumbing.store.customers import Row


class Folded(NamedTuple):
    """A customer's new state and what was found on the way to it.

    `due_at` is when the next timer fires, and `waits_until` when touchpoints that wait may be looked at again. `again`
    is the state from which the fold went over what had been folded before; None: it only went on. `recent` is what to
    remember.
    """

    state: CustomerState
    transitions: tuple[Transition, ...]
    facts: tuple[Fact, ...]
    due_at: datetime | None
    waits_until: datetime | None
    again: CustomerState | None = None
    recent: bytes = b""


def take(journeys: Journeys, row: Row, fresh: Sequence[Touchpoint], horizon: datetime) -> Folded | None:
    """The customer with `fresh` touchpoints (in order) folded in; None when that needs their history."""
    if not row.waiting:
        folded = _append(journeys, row, fresh, horizon)
        if folded is not None:
            return folded
    if not recents.is_of(journeys, row.recent):
        return None
    past = recents.past(row.recent, fresh[0].order if fresh else None)
    return past and _from(journeys, past, fresh, horizon, recents.room(row.state))


def fold_again(journeys: Journeys, row: Row, history: Sequence[Touchpoint], horizon: datetime) -> Folded:
    """The state from all touchpoints of a customer, in order, and from time passed up to the horizon."""
    folded = _from(journeys, Past(NOBODY, [], recents.as_base(b""), b""), history, horizon, recents.room(row.state))
    assert folded is not None  # in order, nothing is late
    return folded


def go_on(
    journeys: Journeys,
    state: CustomerState,
    fresh: Sequence[Touchpoint],
    horizon: datetime,
    due_from: datetime | None = EARLIEST,
) -> Folded | None:
    """The state with `fresh` touchpoints (in order) folded in; None when one of them is late.

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
    return folded._replace(
        state=passed.state,
        transitions=folded.transitions + passed.transitions,
        facts=folded.facts + passed.facts,
        due_at=next_due(journeys, passed.state),
    )


def _append(journeys: Journeys, row: Row, fresh: Sequence[Touchpoint], horizon: datetime) -> Folded | None:
    """Go on from the stored state; None: one is late."""
    state = decode_state(row.state)
    recent = row.recent if row.state else recents.of_nobody(journeys)
    if not recents.is_of(journeys, recent):
        return go_on(journeys, state, fresh, horizon, row.due_at)
    entries = recents.as_entries(journeys, fresh)
    room = recents.room(row.state)
    if sum(map(len, entries)) > room:
        return _go_on_marking(journeys, state, fresh, horizon, row.due_at, entries, room)
    folded = go_on(journeys, state, fresh, horizon, row.due_at)
    if folded is None:
        return None
    recent = recents.append(recent, entries)
    if recents.newest(recent) > room and folded.waits_until is None:
        recent = recents.begin_next(recent, encode_state(folded.state))
    return folded._replace(recent=recent)


def _from(journeys: Journeys, past: Past, fresh: Sequence[Touchpoint], horizon: datetime, room: int) -> Folded | None:
    """Fold a past once more, with `fresh` touchpoints in their places, and let time pass up to the horizon."""
    touchpoints = sorted([*past.touchpoints, *fresh], key=lambda one: one.order) if past.touchpoints else fresh
    entries = recents.as_entries(journeys, touchpoints)
    if sum(map(len, entries)) > 2 * room:
        folded = _go_on_marking(journeys, past.state, touchpoints, horizon, EARLIEST, entries, room)
    else:
        folded = go_on(journeys, past.state, touchpoints, horizon)
        folded = folded and folded._replace(recent=recents.after(journeys, past.base, entries, past.older))
    return folded and let_pass(journeys, folded._replace(again=past.state), horizon)


def _go_on_marking(
    journeys: Journeys,
    state: CustomerState,
    fresh: Sequence[Touchpoint],
    horizon: datetime,
    due_from: datetime | None,
    entries: Sequence[bytes],
    room: int,
) -> Folded | None:
    """`go_on` with more than there is room for: the state on the way becomes the base of what is remembered."""
    mark = recents.cut(entries, 2 * room)
    first = go_on(journeys, state, fresh[:mark], horizon, due_from)
    if first is None or first.waits_until is not None:
        return first
    then = go_on(journeys, first.state, fresh[mark:], horizon, first.due_at)
    base = recents.as_base(encode_state(first.state))
    return then and then._replace(
        transitions=first.transitions + then.transitions,
        facts=first.facts + then.facts,
        recent=recents.after(journeys, base, entries[mark:]),
    )


def _waits_until(touchpoint: Touchpoint, due: datetime | None) -> datetime | None:
    """When a touchpoint beyond the horizon may be folded, if that is not yet; `due` is when the next timer fires."""
    at = touchpoint.occurred_at
    if due is not None and due <= at:
        return due
    return at if at > touchpoint.received_at else None
