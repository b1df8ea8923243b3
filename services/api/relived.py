"""A history that was just folded again, in the form in which a stored one is read. Nothing says when it was learned."""

from collections.abc import Mapping

import msgspec

from journey.assignment import Whose
from journey.outcomes import Fact, Transition
from journey.state import ByTouchpoint, Cause
from journey.touchpoint import Order, Touchpoint
from plumbing.store.reading.timeline import FACT, TOUCHPOINT, TRANSITION, Item, Moved, Noted, Place, Touched
from services.api.past import Remembered


def transitions_of(remembered: Remembered) -> list[Moved]:
    """The transitions, in no order."""
    orders = _orders(remembered)
    return [_moved(one, orders) for one in remembered.folded.transitions]


def history_of(remembered: Remembered, *, with_facts: bool) -> list[Item]:
    """Touchpoints, transitions and perhaps facts, in no order."""
    orders = _orders(remembered)
    facts = enumerate(remembered.folded.facts if with_facts else ())
    return [
        *(_touched(one, by) for one, by in remembered.touchpoints),
        *transitions_of(remembered),
        *(_noted(one, number, orders) for number, one in facts),
    ]


def _orders(remembered: Remembered) -> Mapping[tuple[str, str], Order]:
    return {(one.source, one.id): one.order for one, _ in remembered.touchpoints}


def _touched(one: Touchpoint, by: Whose) -> Touched:
    kinds = {digest: kind for kind, digest in one.identifiers.items()}
    place = Place.of(one.occurred_at, one.order, TOUCHPOINT)
    return Touched(place, one, kinds[by.by.hex()], claimed=by.by != by.owner)


def _moved(one: Transition, orders: Mapping[tuple[str, str], Order]) -> Moved:
    return Moved(
        place=Place.of(one.occurred_at, _by(one.cause, orders), TRANSITION, one.journey, one.place),
        transition=one.id,
        journey=one.journey,
        version=one.version,
        run=one.run,
        from_stage=one.from_stage,
        to_stage=one.to_stage,
        occurred_at=one.occurred_at,
        learned_at=None,
        retracted_at=None,
        rule=one.rule,
        cause=msgspec.to_builtins(one.cause),
    )


def _noted(one: Fact, number: int, orders: Mapping[tuple[str, str], Order]) -> Noted:
    return Noted(
        place=Place.of(one.occurred_at, _by(one.cause, orders), FACT, "", number),
        journey=one.journey,
        run=one.run,
        kind=one.kind,
        name=one.name,
        stage=one.stage,
        occurred_at=one.occurred_at,
        cause=msgspec.to_builtins(one.cause),
        detail=one.detail,
    )


def _by(cause: Cause, orders: Mapping[tuple[str, str], Order]) -> Order | None:
    return orders[cause.source, cause.id] if isinstance(cause, ByTouchpoint) else None
