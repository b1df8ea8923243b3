"""The identity configuration: which kinds of identifiers there are, and what each may say about whose a touchpoint is.

Three classes, and the rules that each has a file of its own for: **strong** identifiers that meet are one person's
(`links.py`), a **weak** one has a timeline of sign-ins and a **reference** belongs to whoever came with it first
(`timelines.py`). `commands.py` has what people say about all that.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from journey.documents import load_yaml
from journey.durations import parse_duration
from journey.errors import Fault, InvalidDefinition
from journey.grammar import Duration
from journey.touchpoint import Touchpoint

_ORDERS_KEPT = 1_000
"""Combinations of kinds that are remembered; whoever invents kinds must not fill the memory."""

MOST_LOOKED_BACK = 1_000
"""Touchpoints that a first sign-in may claim on a device."""

SIGNED_OUT = "signed_out"
"""The type of touchpoint after which nobody is signed in on a device."""


class Class(StrEnum):
    STRONG = "strong"
    WEAK = "weak"
    REFERENCE = "reference"


class Scope(StrEnum):
    GLOBAL = "global"
    SOURCE = "source"


class LookBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of what a device did before anybody signed in on it belongs to whoever does first."""

    within: Duration = Duration(days=90)
    touchpoints: int = MOST_LOOKED_BACK


class IdentifierKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A kind of identifier, as the configuration declares it.

    `at_most` is how many values of a strong kind a person may have; `hold` how long a weak one stays its owner's in
    their silence (None: for ever).
    """

    kind: str
    class_: Class = msgspec.field(name="class")
    scope: Scope = Scope.GLOBAL
    at_most: int | None = None
    hold: Duration | None = None
    look_back: LookBack | None = None

    @property
    def most(self) -> int:
        return 1 if self.at_most is None else self.at_most

    @property
    def looks_back(self) -> LookBack:
        return self.look_back or _LOOK_BACK


_LOOK_BACK = LookBack()


class IdentityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version of the identity configuration: its kinds, strongest first, and from how many refused links on an
    identifier is one that many people share."""

    version: int
    kinds: tuple[IdentifierKind, ...]
    shared_above: int = 20

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


def parse_identity(text: str) -> IdentityConfig:
    """The identity configuration that a YAML document writes.

    Raises `InvalidDefinition` where it does not hold together.
    """
    try:
        config = msgspec.convert(load_yaml(text), IdentityConfig, dec_hook=_read)
    except msgspec.ValidationError as error:
        raise InvalidDefinition(f"the identity configuration: {error}") from error
    faults = [fault for index, kind in enumerate(config.kinds) for fault in _faults(index, kind, config)]
    if config.shared_above < 1:
        faults.append(Fault("/shared_above", "must be at least 1"))
    if faults:
        raise InvalidDefinition(faults=tuple(faults))
    return config


def _read(type_: type, value: object) -> object:
    if type_ is not Duration or not isinstance(value, str):
        raise TypeError("expected a duration such as PT30M")
    return Duration(seconds=parse_duration(value).total_seconds())


def _faults(index: int, kind: IdentifierKind, config: IdentityConfig) -> list[Fault]:
    place = f"/kinds/{index}"
    faults = []
    if kind.kind in config.priority[:index]:
        faults.append(Fault(f"{place}/kind", f"{kind.kind!r} stands twice"))
    for name, value, class_ in (
        ("at_most", kind.at_most, Class.STRONG),
        ("hold", kind.hold, Class.WEAK),
        ("look_back", kind.look_back, Class.WEAK),
    ):
        if value is not None and kind.class_ is not class_:
            faults.append(Fault(f"{place}/{name}", f"only a {class_} kind has one"))
    if kind.most < 1:
        faults.append(Fault(f"{place}/at_most", "must be at least 1"))
    if not 0 <= kind.looks_back.touchpoints <= MOST_LOOKED_BACK:
        faults.append(Fault(f"{place}/look_back/touchpoints", f"must lie between 0 and {MOST_LOOKED_BACK}"))
    return faults


class Kinds:
    """The configuration, ready for looking up."""

    def __init__(self, config: IdentityConfig) -> None:
        self._kinds: Mapping[str, tuple[int, IdentifierKind]] = {
            kind.kind: (rank, kind) for rank, kind in enumerate(config.kinds)
        }
        self._lowest = len(config.kinds)
        self._orders: dict[tuple[str, ...], tuple[IdentifierKind, ...]] = {}
        self.shared_above = config.shared_above
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
        declared = self.declared(kind)
        return Identifier(kind, value, source if declared.scope is Scope.SOURCE else "", declared.class_)

    def class_of(self, kind: str) -> Class:
        return self.declared(kind).class_

    def declared(self, kind: str) -> IdentifierKind:
        """What the configuration says of a kind; one that nobody declared is weak."""
        known = self._kinds.get(kind)
        return known[1] if known else IdentifierKind(kind, Class.WEAK)

    def rank(self, kind: str) -> int:
        """0 for the strongest kind; the same for all that nobody declared."""
        known = self._kinds.get(kind)
        return known[0] if known else self._lowest

    def _in_order(self, kinds: tuple[str, ...]) -> tuple[IdentifierKind, ...]:
        """The kinds, strongest first. Sources send the same few combinations: each is sorted once."""
        order = self._orders.get(kinds)
        if order is None:
            ranked = sorted(kinds, key=lambda kind: (self.rank(kind), kind))
            order = tuple(self.declared(kind) for kind in ranked)
            if len(self._orders) < _ORDERS_KEPT:
                self._orders[kinds] = order
        return order
