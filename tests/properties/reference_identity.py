"""Whose each touchpoint is, written a second time from DESIGN section 4, over the whole set at once.

Slow and plain: it looks at every touchpoint for every question and keeps nothing. It shares no code with `journey/` but
the configuration and the types of commands, and is told nothing of batches or of what came when.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from journey.commands import Command, OnPair, OnTouchpoint, Verb
from journey.identity import IdentityConfig, LookBack
from journey.touchpoint import Touchpoint

Key = tuple[str, str]
Place = tuple[datetime, int, str, str]
Name = bytes
"""An identifier, by its digest."""


class Lived(NamedTuple):
    """A touchpoint without what commands struck from it: its identifiers by class, each highest first."""

    place: Place
    type: str
    strong: list[Name]
    references: list[Name]
    weak: list[Name]

    @property
    def key(self) -> Key:
        return self.place[2], self.place[3]


class Assignment(NamedTuple):
    """`customer_of` each touchpoint (those that are void or name nobody have none), by the id that is shown; `refused`
    links, the higher identifier first; and identifiers that many people share."""

    customer_of: Mapping[Key, str]
    refused: set[tuple[Name, Name]]
    shared: set[Name]

    @property
    def groups(self) -> set[frozenset[Key]]:
        """The sets of touchpoints that share a customer."""
        customers = set(self.customer_of.values())
        return {frozenset(key for key, one in self.customer_of.items() if one == customer) for customer in customers}


class ReferenceIdentity:
    """Assigns touchpoints to customers by one configuration.

    `digest` is of (kind, value, source or empty); `kinds` are of identifiers that commands may name.
    """

    def __init__(
        self, config: IdentityConfig, digest: Callable[[str, str, str], bytes], kinds: Mapping[Name, str]
    ) -> None:
        self._declared = {kind.kind: kind for kind in config.kinds}
        self._priority = {kind.kind: rank for rank, kind in enumerate(config.kinds)}
        self._shared_above = config.shared_above
        self._digest = digest
        self._kind = dict(kinds)

    def assign(self, touchpoints: Iterable[Touchpoint], commands: Sequence[Command] = ()) -> Assignment:
        """Of each touchpoint the copy that counts is given; commands are given in their order, undone ones left out."""
        counting = [one for one in touchpoints if OnTouchpoint(Verb.VOID, one.source, one.id) not in commands]
        lived = sorted((self._read(one, commands) for one in counting), key=lambda one: one.place)
        people, refused, shared = self._people(lived, commands)
        first_seen: dict[Name, datetime] = {}
        for one in lived:
            for name in (*one.strong, *one.references, *one.weak):
                first_seen.setdefault(name, one.place[0])
        customer_of = {}
        for one in lived:
            whose = self._whose(one, lived)
            if whose is not None:
                person = people.get(whose, {whose})
                shown = min((first_seen[member], member) for member in person if member in first_seen)
                customer_of[one.key] = shown[1].hex()
        return Assignment(customer_of, refused, shared)

    def _read(self, one: Touchpoint, commands: Sequence[Command]) -> Lived:
        named: dict[str, list[Name]] = {"strong": [], "reference": [], "weak": []}
        last = len(self._priority)
        for kind in sorted(one.identifiers, key=lambda kind: (self._priority.get(kind, last), kind)):
            declared = self._declared.get(kind)
            scope = one.source if declared and declared.scope == "source" else ""
            name = self._digest(kind, one.identifiers[kind], scope)
            self._kind[name] = kind
            if OnTouchpoint(Verb.STRIKE, one.source, one.id, name) not in commands:
                named[str(declared.class_) if declared else "weak"].append(name)
        place = (one.occurred_at, one.sequence, one.source, one.id)
        return Lived(place, one.type, named["strong"], named["reference"], named["weak"])

    # 1. Strong identifiers that meet are one person's, joins first.

    def _people(
        self, lived: Sequence[Lived], commands: Sequence[Command]
    ) -> tuple[Mapping[Name, set[Name]], set[tuple[Name, Name]], set[Name]]:
        last_word = {command.pair: command.verb for command in commands if isinstance(command, OnPair)}
        shared: set[Name] = set()
        while True:
            person = {name: {name} for one in lived for name in one.strong}
            person |= {name: {name} for pair in last_word for name in pair}
            for (one_name, other), verb in last_word.items():
                if verb == Verb.JOIN:
                    _weld(person, one_name, other)
            splits = [pair for pair, verb in last_word.items() if verb == Verb.SPLIT]
            refused: set[tuple[Name, Name]] = set()
            for one in lived:
                for other in one.strong[1:]:
                    highest = one.strong[0]
                    if highest in shared or other in shared or person[highest] is person[other]:
                        continue
                    if self._may_be_one(person[highest], person[other], splits):
                        _weld(person, highest, other)
                    else:
                        refused.add((highest, other))
            times = Counter(name for link in refused for name in link)
            many = {name for name in times if times[name] > self._shared_above}
            if not many:
                return person, refused, shared
            shared |= many

    def _may_be_one(self, one: set[Name], other: set[Name], splits: Sequence[tuple[Name, Name]]) -> bool:
        if any((a in one and b in other) or (a in other and b in one) for a, b in splits):
            return False
        mine, theirs = Counter(self._kind[name] for name in one), Counter(self._kind[name] for name in other)
        return all(mine[kind] + theirs[kind] <= (self._declared[kind].at_most or 1) for kind in mine if kind in theirs)

    # 2. to 4. Whose a touchpoint is, as the identifier whose customer it belongs to.

    def _whose(self, one: Lived, lived: Sequence[Lived]) -> Name | None:
        person = self._person(one, lived)
        if person is not None:
            return person
        for weak in one.weak:
            owner = self._owner(weak, one.place, lived)
            if owner is not None:
                return owner
        for weak in one.weak:
            owner = self._claimant(weak, one, lived)
            if owner is not None:
                return owner
        if one.weak:
            return one.weak[0]
        for reference in one.references:
            carriers = [other for other in lived if reference in other.references and other.weak]
            if carriers:
                return self._whose(carriers[0], lived)
        return one.references[0] if one.references else None

    def _person(self, one: Lived, lived: Sequence[Lived]) -> Name | None:
        """Whom a touchpoint names by itself: by a strong identifier, or else by a reference that has an owner."""
        if one.strong:
            return one.strong[0]
        for reference in one.references:
            buyers = [other for other in lived if reference in other.references and other.strong]
            if buyers:
                return buyers[0].strong[0]
        return None

    def _owner(self, weak: Name, place: Place, lived: Sequence[Lived]) -> Name | None:
        """Who is signed in on a device just before a place in the order."""
        owner, since = None, place[0]
        for one in lived:
            if weak in one.weak and one.place < place:
                if one.type == "signed_out":
                    owner = None
                elif self._person(one, lived) is not None:
                    owner, since = self._person(one, lived), one.place[0]
        declared = self._declared.get(self._kind[weak])
        hold = declared.hold if declared else None
        return None if hold is not None and place[0] - since > hold else owner

    def _claimant(self, weak: Name, one: Lived, lived: Sequence[Lived]) -> Name | None:
        """Who signs in first on a device where nobody had before, if that is soon enough after this touchpoint."""
        carriers = [other for other in lived if weak in other.weak]
        sign_ins = [
            other for other in carriers if other.type != "signed_out" and self._person(other, lived) is not None
        ]
        if not sign_ins or sign_ins[0].place < one.place:
            return None
        declared = self._declared.get(self._kind[weak])
        look_back = (declared and declared.look_back) or LookBack()
        back = sum(one.place <= other.place < sign_ins[0].place for other in carriers if not other.strong)
        soon = sign_ins[0].place[0] - one.place[0] <= look_back.within and back <= look_back.touchpoints
        return self._person(sign_ins[0], lived) if soon else None


def _weld(person: dict[Name, set[Name]], one: Name, other: Name) -> None:
    together = person[one] | person[other]
    person |= dict.fromkeys(together, together)
