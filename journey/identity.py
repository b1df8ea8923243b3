"""Whose touchpoint it is.

Three classes of identifiers, three rules. Each is a function of the set of touchpoints, not of the order they come in:

- **Strong** identifiers that meet in a touchpoint are one person's.
- A **weak** identifier has a timeline of sign-ins: the touchpoints that carry it with a strong one. At any place in the
  order it stands for whoever signed in last; before the first sign-in, for whoever signs in first.
- A **reference** stands for whoever came with it first, at every place.

A timeline is kept as holdings: the sign-ins at which the owner changed. So a repeated login costs nothing.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from journey.documents import load_yaml
from journey.errors import Fault, InvalidDefinition
from journey.touchpoint import Order, Touchpoint

_ORDERS_KEPT = 1_000
"""Combinations of kinds that are remembered; whoever invents kinds must not fill the memory."""


class Class(StrEnum):
    STRONG = "strong"
    WEAK = "weak"
    REFERENCE = "reference"


class Scope(StrEnum):
    GLOBAL = "global"
    SOURCE = "source"


class IdentifierKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of identifier, as the configuration declares it."""

    kind: str
    class_: Class = msgspec.field(name="class")
    scope: Scope = Scope.GLOBAL


class IdentityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of the identity configuration: its kinds, strongest first."""

    version: int
    kinds: tuple[IdentifierKind, ...]

    @property
    def priority(self) -> tuple[str, ...]:
        """The names of the kinds, strongest first."""
        return tuple(kind.kind for kind in self.kinds)


class Identifier(NamedTuple):
    """One identifier of a touchpoint. `scope` is the source that its value counts in, or empty."""

    kind: str
    value: str
    scope: str
    class_: Class


class Holding(NamedTuple):
    """From this place in the order on, `owner` (the digest of their strongest identifier there) has signed in."""

    since: Order
    owner: bytes


def parse_identity(text: str) -> IdentityConfig:
    """The identity configuration that a YAML document writes.

    Raises `InvalidDefinition` where it does not hold together.
    """
    try:
        config = msgspec.convert(load_yaml(text), IdentityConfig)
    except msgspec.ValidationError as error:
        raise InvalidDefinition(f"the identity configuration: {error}") from error
    faults = [
        Fault(f"/kinds/{index}/kind", f"{kind.kind!r} stands twice")
        for index, kind in enumerate(config.kinds)
        if kind.kind in config.priority[:index]
    ]
    if faults:
        raise InvalidDefinition(faults=tuple(faults))
    return config


class Kinds:
    """The configuration, ready for looking up."""

    def __init__(self, config: IdentityConfig) -> None:
        self._kinds: Mapping[str, tuple[int, IdentifierKind]] = {
            kind.kind: (rank, kind) for rank, kind in enumerate(config.kinds)
        }
        self._lowest = len(config.kinds)
        self._orders: dict[tuple[str, ...], tuple[IdentifierKind, ...]] = {}
        self.strong = tuple(kind.kind for kind in config.kinds if kind.class_ is Class.STRONG)
        """The names of the strong kinds."""

    def identifiers(self, touchpoint: Touchpoint) -> list[Identifier]:
        """A touchpoint's identifiers, strongest first; kinds that nobody declared come last, by name, as weak."""
        values, source = touchpoint.identifiers, touchpoint.source
        return [
            Identifier(kind.kind, values[kind.kind], source if kind.scope is Scope.SOURCE else "", kind.class_)
            for kind in self._in_order(tuple(values))
        ]

    def identify(self, kind: str, value: str, source: str) -> Identifier:
        """One identifier, as `source` sent it."""
        declared = self._declared(kind)
        return Identifier(kind, value, source if declared.scope is Scope.SOURCE else "", declared.class_)

    def class_of(self, kind: str) -> Class:
        return self._declared(kind).class_

    def _declared(self, kind: str) -> IdentifierKind:
        known = self._kinds.get(kind)
        return known[1] if known else IdentifierKind(kind, Class.WEAK)

    def _in_order(self, kinds: tuple[str, ...]) -> tuple[IdentifierKind, ...]:
        """The kinds, strongest first. Sources send the same few combinations: each is sorted once."""
        order = self._orders.get(kinds)
        if order is None:
            ranked = sorted(
                kinds, key=lambda kind: (self._kinds[kind][0] if kind in self._kinds else self._lowest, kind)
            )
            order = tuple(self._declared(kind) for kind in ranked)
            if len(self._orders) < _ORDERS_KEPT:
                self._orders[kinds] = order
        return order


def owner_at(class_: Class, holdings: Sequence[Holding], place: Order) -> bytes | None:
    """Whom a device or reference stands for at a place in the order; None when nobody has ever signed in on it.

    `holdings` are in order.
    """
    if not holdings:
        return None
    if class_ is Class.REFERENCE:
        return holdings[0].owner
    return holdings[max(_index(holdings, place), 0)].owner


def needs_next(holdings: Sequence[Holding], place: Order, owner: bytes) -> Holding | None:
    """The holding that a sign-in by another owner would interrupt, or None: then `sign_in` needs no `resumed`."""
    index = _index(holdings, place)
    return holdings[index] if index >= 0 and holdings[index].owner != owner else None


def sign_in(holdings: Sequence[Holding], place: Order, owner: bytes, resumed: Order | None = None) -> Sequence[Holding]:
    """The holdings with one more sign-in; the very same object where it changes nothing.

    Where it interrupts somebody (`needs_next`), `resumed` is the next sign-in of theirs that is known, if there is one
    before the next holding.
    """
    index = _index(holdings, place)
    if index >= 0 and holdings[index].owner == owner:
        return holdings
    before, after = list(holdings[: index + 1]), list(holdings[index + 1 :])
    if resumed is not None and before:
        after.insert(0, Holding(resumed, before[-1].owner))
    elif after and after[0].owner == owner:
        after.pop(0)
    return [*before, Holding(place, owner), *after]


def withdraw(holdings: Sequence[Holding], place: Order, resumed: Order | None = None) -> Sequence[Holding]:
    """The holdings without the sign-in at `place`; the very same object where no holding begins there.

    `resumed` is the next sign-in of the same owner that is known, if there is one before the next holding.
    """
    index = _index(holdings, place)
    if index < 0 or holdings[index].since != place:
        return holdings
    before, after = list(holdings[:index]), list(holdings[index + 1 :])
    if resumed is not None:
        after.insert(0, Holding(resumed, holdings[index].owner))
    elif before and after and before[-1].owner == after[0].owner:
        after.pop(0)
    return [*before, *after]


def _index(holdings: Sequence[Holding], place: Order) -> int:
    """Which holding is in force at a place; -1 before the first."""
    return bisect_right(holdings, place, key=lambda holding: holding.since) - 1
