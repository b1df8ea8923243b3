"""Whose the touchpoints of a whole set are, worked out at once: for answers about the past, of which nothing is kept.

The rules are those of `links.py`, `timelines.py` and `assignment.py`; the stager applies them to one change at a time.
Touchpoints come in their stored form, with digests (in hexadecimal) for identifiers.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from journey.assignment import Carriers, Device, Names, Whose, person, whose
from journey.commands import Command, InForce, in_force
from journey.identity import SIGNED_OUT, Class, Kinds
from journey.links import Link, Rules, resolve
from journey.timelines import Holdings, first_owner, put
from journey.touchpoint import Order, Touchpoint

Customer = frozenset[bytes]
"""The identifiers of somebody: all the strong ones of a person, or a device or reference that nobody claimed."""


class Told(NamedTuple):
    """A touchpoint and what it carries, but for what was struck from it."""

    touchpoint: Touchpoint
    names: Names


class Whole(NamedTuple):
    """`people` of each strong identifier, `devices` with their holdings, and whose each touchpoint is, in order."""

    people: Mapping[bytes, Customer]
    devices: Mapping[bytes, Device]
    belonging: Sequence[tuple[Touchpoint, Whose]]

    def customer(self, name: bytes) -> Customer:
        """Whose an identifier is by itself: the person's, or its own."""
        return self.people.get(name, frozenset({name}))

    def touchpoints(self, customer: Customer) -> list[tuple[Touchpoint, Whose]]:
        """Those of one customer, in order."""
        return [(one, by) for one, by in self.belonging if by.owner in customer]


def work_out(
    touchpoints: Iterable[Touchpoint], commands: Iterable[Command], kinds: Kinds, named: Mapping[bytes, str]
) -> Whole:
    """Who is who and whose each touchpoint is; those that are void, or that name nobody, are left out.

    `named` has the kinds of the identifiers that commands name.
    """
    said = in_force(commands)
    told = [one for touchpoint in touchpoints if (one := _told(touchpoint, said, kinds)) is not None]
    told.sort(key=lambda one: one.touchpoint.order)
    carried = {bytes.fromhex(digest): kind for one in told for kind, digest in one.touchpoint.identifiers.items()}
    kind_of = {**named, **carried}
    devices = _devices(told, kind_of, kinds)
    carriers, back = _carriers(told), _Back(told, devices)
    return Whole(
        _people(told, said, kind_of, kinds),
        devices,
        [(one.touchpoint, whose(one.touchpoint.order, one.names, devices, back.count, carriers)) for one in told],
    )


def _told(touchpoint: Touchpoint, said: InForce, kinds: Kinds) -> Told | None:
    key = (touchpoint.source, touchpoint.id)
    if key in said.void:
        return None
    names: dict[Class, list[bytes]] = {Class.STRONG: [], Class.REFERENCE: [], Class.WEAK: []}
    for identifier in kinds.identifiers(touchpoint):
        digest = bytes.fromhex(identifier.value)
        if (*key, digest) not in said.struck:
            names[identifier.class_].append(digest)
    if not any(names.values()):
        return None
    return Told(touchpoint, Names(*(tuple(found) for found in names.values())))


def _people(
    told: Iterable[Told], said: InForce, kind_of: Mapping[bytes, str], kinds: Kinds
) -> Mapping[bytes, Customer]:
    first: dict[tuple[bytes, bytes], Order] = {}
    known = {name for pair in (*said.joins, *said.splits) for name in pair}
    for touchpoint, names in told:
        known.update(names.strong)
        for other in names.strong[1:]:
            first.setdefault((names.strong[0], other), touchpoint.order)
    rules = Rules(
        kind_of,
        {kind: kinds.rank(kind) for kind in kind_of.values()},
        {kind: kinds.declared(kind).most for kind in kind_of.values()},
        kinds.shared_above,
    )
    links = [Link(*ends, order) for ends, order in first.items()]
    found = resolve(sorted(known), links, said.joins, said.splits, rules)
    return {name: members for members in found.people for name in members}


def _devices(told: Sequence[Told], kind_of: Mapping[bytes, str], kinds: Kinds) -> Mapping[bytes, Device]:
    """References first: who signs in by one of them is its owner, wherever in the order they came with it."""
    holdings: defaultdict[bytes, Holdings] = defaultdict(tuple)
    declared = {name: kinds.declared(kind) for name, kind in kind_of.items()}

    def devices() -> dict[bytes, Device]:
        return {name: Device(holdings[name], one.hold, one.looks_back) for name, one in declared.items()}

    for touchpoint, names in told:
        for reference in names.references if names.strong else ():
            holdings[reference] = put(holdings[reference], touchpoint.order, names.strong[0], None)
    references = devices()
    for touchpoint, names in told:
        owner = person(names, references)
        for weak in names.weak:
            if touchpoint.type == SIGNED_OUT:
                holdings[weak] = put(holdings[weak], touchpoint.order, None, declared[weak].hold)
            elif owner is not None:
                holdings[weak] = put(holdings[weak], touchpoint.order, owner.owner, declared[weak].hold)
    return devices()


def _carriers(told: Iterable[Told]) -> Carriers:
    found: dict[bytes, tuple[Order, Names]] = {}
    for touchpoint, names in told:
        for reference in names.references if names.weak else ():
            found.setdefault(reference, (touchpoint.order, names))
    return found


class _Back:
    """Counts what happened on each device before its first sign-in."""

    def __init__(self, told: Iterable[Told], devices: Mapping[bytes, Device]) -> None:
        self._before: defaultdict[bytes, list[Order]] = defaultdict(list)
        for touchpoint, names in told:
            for weak in names.weak if not names.strong else ():
                first = first_owner(devices[weak].holdings)
                if first is not None and touchpoint.order < first.since:
                    self._before[weak].append(touchpoint.order)

    def count(self, weak: bytes, place: Order) -> int:
        """See `assignment.Back`."""
        return sum(place <= order for order in self._before[weak])
