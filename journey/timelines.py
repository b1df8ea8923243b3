"""Whom a device or a reference stands for, at each place in the order.

A **weak** identifier has a timeline of sign-ins: the touchpoints that carry it and name a person. It stands for whoever
signed in last, until somebody signs out on it, or until its owner has not been named on it for longer than its `hold`.
Before anybody ever signed in it stands for whoever does first, as far as the look-back goes: never for what comes after
somebody's sign-in, because by then the device is known to be used by turns.

A **reference** stands for whoever came with it first, at every place.

A timeline is kept as holdings: the sign-outs, and the sign-ins but for those that repeat what holds anyway. So a
repeated login costs nothing; where a holding comes or goes, the touchpoints say which repeated sign-in counts again.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from journey.identity import LookBack
from journey.touchpoint import Order


class Holding(NamedTuple):
    """From this place in the order on, `owner` (the digest of their strongest identifier there) has signed in; or,
    where it is None, nobody has."""

    since: Order
    owner: bytes | None


Holdings = Sequence[Holding]
"""Those of one device, in order."""


def first_owner(holdings: Holdings) -> Holding | None:
    """The first sign-in: for good the one that a reference belongs to."""
    return next((holding for holding in holdings if holding.owner is not None), None)


def owner_at(holdings: Holdings, place: Order, hold: timedelta | None) -> bytes | None:
    """Whose a device is at a place in the order: what happens there itself does not count."""
    index = bisect_left(holdings, place, key=_since) - 1
    if index < 0:
        return None
    since, owner = holdings[index]
    return owner if hold is None or place.occurred_at - since.occurred_at <= hold else None


def claims(first: Holding | None, place: Order, back: int, look_back: LookBack) -> bool:
    """Whether the first sign-in on a device claims what happened on it at `place`.

    `back` is which one before the sign-in it is of all that happened there, the nearest being 1.
    """
    return (
        first is not None
        and place < first.since
        and first.since.occurred_at - place.occurred_at <= look_back.within
        and back <= look_back.touchpoints
    )


def needs_next(holdings: Holdings, place: Order, owner: bytes | None, hold: timedelta | None) -> Holding | None:
    """The holding that a sign-in (or sign-out) would interrupt, or None: then `put` needs no `resumed`."""
    if hold is not None:
        return None
    index = bisect_right(holdings, place, key=_since) - 1
    return holdings[index] if index >= 0 and holdings[index].owner not in (owner, None) else None


def put(
    holdings: Holdings, place: Order, owner: bytes | None, hold: timedelta | None, resumed: Order | None = None
) -> Holdings:
    """The holdings with one more sign-in (`owner` None: sign-out); the very same object where it changes nothing.

    Where it interrupts somebody (`needs_next`), `resumed` is the next sign-in of theirs that is known, if there is one
    before the next holding.
    """
    index = bisect_right(holdings, place, key=_since) - 1
    if index >= 0 and holdings[index] == (place, owner):
        return holdings
    repeats = index >= 0 and owner is not None and hold is None and holdings[index].owner == owner
    if repeats:
        return holdings
    before, after = list(holdings[: index + 1]), list(holdings[index + 1 :])
    if resumed is not None:
        after.insert(0, Holding(resumed, before[-1].owner))
    elif hold is None and owner is not None and after and after[0].owner == owner:
        after.pop(0)
    return [*before, Holding(place, owner), *after]


def withdraw(holdings: Holdings, place: Order, hold: timedelta | None, resumed: Order | None = None) -> Holdings:
    """The holdings without the one at `place`; the very same object where none begins there.

    `resumed` is the next sign-in of the same owner that is known, if there is one before the next holding.
    """
    index = bisect_left(holdings, place, key=_since)
    if index == len(holdings) or holdings[index].since != place:
        return holdings
    before, after = list(holdings[:index]), list(holdings[index + 1 :])
    if resumed is not None and hold is None:
        after.insert(0, Holding(resumed, holdings[index].owner))
    elif hold is None and before and after and before[-1].owner == after[0].owner is not None:
        after.pop(0)
    return [*before, *after]


class Stretch(NamedTuple):
    """A part of the order, from one place on (None: the beginning) and up to another (None: the end)."""

    since: Order | None
    until: Order | None


def differences(before: Holdings, after: Holdings, hold: timedelta | None) -> list[Stretch]:
    """Where a device may stand for somebody else after a change than before, from its first sign-in on."""
    places = sorted({holding.since for holding in (*before, *after)})
    found = []
    for since, until in zip(places, [*places[1:], None], strict=True):
        was, now = _in_force(before, since), _in_force(after, since)
        if was != now if hold is not None else (was and was.owner) != (now and now.owner):
            found.append(Stretch(since, until))
    return found


def _in_force(holdings: Holdings, place: Order) -> Holding | None:
    """What holds from a place on: what happens there itself counts."""
    index = bisect_right(holdings, place, key=_since) - 1
    return holdings[index] if index >= 0 else None


def _since(holding: Holding) -> Order:
    return holding.since
