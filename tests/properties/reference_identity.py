"""Whose each touchpoint is, written a second time from `schemas/identity.yaml`, over the whole set at once.

Slow and plain: it looks at every touchpoint for every question and keeps nothing. It shares no code with
`journey/identity.py` but the configuration, and is told nothing of batches or of what came when.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from journey.identity import IdentityConfig
from journey.touchpoint import Touchpoint

Key = tuple[str, str]


class Named(NamedTuple):
    """An identifier; `source` is empty where its values count everywhere."""

    kind: str
    value: str
    source: str


class ReferenceIdentity:
    """Groups touchpoints by customer."""

    def __init__(self, config: IdentityConfig) -> None:
        self._class = {kind.kind: str(kind.class_) for kind in config.kinds}
        self._per_source = {kind.kind for kind in config.kinds if kind.scope == "source"}
        self._priority = {kind.kind: rank for rank, kind in enumerate(config.kinds)}

    def customers(self, touchpoints: Iterable[Touchpoint]) -> set[frozenset[Key]]:
        """The sets of (source, id) that share a customer; of each touchpoint the copy that counts is given."""
        lived = sorted(touchpoints, key=lambda one: (one.occurred_at, one.sequence, one.source, one.id))
        people = self._people(lived)
        groups: dict[object, set[Key]] = defaultdict(set)
        for one in lived:
            who = self._who(one, lived)
            groups[people.get(who, who)].add((one.source, one.id))
        return {frozenset(group) for group in groups.values()}

    def _who(self, one: Touchpoint, lived: Sequence[Touchpoint]) -> Named:
        """The identifier that decides: a strong one of its own, or of who signed in on the device, or the device."""
        strong, others = self._split(one)
        if strong:
            return strong[0]
        device = others[0]
        sign_ins = [other for other in lived if self._split(other)[0] and device in self._split(other)[1]]
        if not sign_ins:
            return device
        before = [other for other in sign_ins if lived.index(other) < lived.index(one)]
        deciding = before[-1] if before and self._class.get(device.kind) != "reference" else sign_ins[0]
        return self._split(deciding)[0][0]

    def _people(self, lived: Iterable[Touchpoint]) -> Mapping[Named, frozenset[Named]]:
        """Strong identifiers → all strong identifiers of that person."""
        person: dict[Named, frozenset[Named]] = {}
        for one in lived:
            together = frozenset(self._split(one)[0])
            together = together.union(*(person.get(name, {name}) for name in together))
            person |= dict.fromkeys(together, together)
        return person

    def _split(self, one: Touchpoint) -> tuple[list[Named], list[Named]]:
        """Strong identifiers and the others, each with the highest first."""
        last = len(self._priority)
        kinds = sorted(one.identifiers, key=lambda kind: (self._priority.get(kind, last), kind))
        named = [Named(kind, one.identifiers[kind], one.source if kind in self._per_source else "") for kind in kinds]
        strong = [name for name in named if self._class.get(name.kind) == "strong"]
        return strong, [name for name in named if name not in strong]
