"""Whose a touchpoint is, given what is known of the identifiers it carries. The first of these that says somebody:

1. its highest strong identifier;
2. its highest reference that belongs to somebody;
3. its highest weak identifier that somebody is signed in on at its place in the order;
4. its highest weak identifier on which somebody signs in first after it, within the look-back;
5. its highest weak identifier: the anonymous customer of that device;
6. where it carries nothing but references: what the first touchpoint that carries one of them, the highest, along with
   a weak identifier is decided by;
7. its highest reference: an anonymous customer.

The answer names an identifier; links say whose that is (`links.py`).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple

from journey.identity import LookBack
from journey.timelines import Holdings, claims, first_owner, owner_at
from journey.touchpoint import Order


class Names(NamedTuple):
    """The identifiers of a touchpoint by class, as digests, each highest first."""

    strong: tuple[bytes, ...]
    references: tuple[bytes, ...]
    weak: tuple[bytes, ...]


class Device(NamedTuple):
    """What is known of a weak identifier or reference."""

    holdings: Holdings
    hold: timedelta | None = None
    look_back: LookBack = LookBack()


class Whose(NamedTuple):
    """The identifier whose customer a touchpoint belongs to, and the one among its own that says so."""

    owner: bytes
    by: bytes


Devices = Mapping[bytes, Device]
Back = Callable[[bytes, Order], int]
"""Which one the touchpoint at a place is, of all those without a strong identifier that come before the first sign-in
on a device, the nearest being 1."""

Carriers = Mapping[bytes, tuple[Order, Names]]
"""For a reference that belongs to nobody: the first touchpoint that carries it along with a weak identifier."""


def person(names: Names, devices: Devices) -> Whose | None:
    """Whom a touchpoint names by itself, wherever it stands: who so signs in on the devices it carries."""
    if names.strong:
        return Whose(names.strong[0], names.strong[0])
    for reference in names.references:
        first = first_owner(devices[reference].holdings)
        if first is not None and first.owner is not None:
            return Whose(first.owner, reference)
    return None


def whose(place: Order, names: Names, devices: Devices, back: Back, carriers: Carriers) -> Whose:
    """Whose the touchpoint at `place` is. It carries at least one identifier, and `devices` has all but the strong."""
    found = person(names, devices) or _by_devices(place, names, devices, back)
    if found is not None:
        return found
    for reference in names.references:
        if reference in carriers:
            order, theirs = carriers[reference]
            return Whose(whose(order, theirs, devices, back, {}).owner, reference)
    return Whose(names.references[0], names.references[0])


def _by_devices(place: Order, names: Names, devices: Devices, back: Back) -> Whose | None:
    for weak in names.weak:
        holdings, hold, _ = devices[weak]
        owner = owner_at(holdings, place, hold)
        if owner is not None:
            return Whose(owner, weak)
    for weak in names.weak:
        holdings, _, look_back = devices[weak]
        first = first_owner(holdings)
        if first is None or first.owner is None or first.since < place:
            continue
        if claims(first, place, back(weak, place), look_back):
            return Whose(first.owner, weak)
    return Whose(names.weak[0], names.weak[0]) if names.weak else None
