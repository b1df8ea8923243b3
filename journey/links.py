"""Which strong identifiers are one person's.

In the total order, each touchpoint links its highest strong identifier to each of its other ones, unless a person would
then have more values of a kind than the configuration allows, or a `split` stands between them: such a link is refused.
A link that was refused once stays refused, and one that was taken changes nothing when it comes again, because people
only grow on the way. So the first occurrence of each link is all that counts, and links of people who never met, taken
or refused, have nothing to say about each other.

An identifier with too many refused links is many people's: it links nothing at all.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from journey.commands import Pair
from journey.touchpoint import Order


class Link(NamedTuple):
    """Two strong identifiers that met, the higher first, and where in the order they first did."""

    one: bytes
    other: bytes
    first: Order


class Rules(NamedTuple):
    """`kind_of` each identifier; of each kind its `rank` and `most` values a person; see `IdentityConfig`."""

    kind_of: Mapping[bytes, str]
    rank: Mapping[str, int]
    most: Mapping[str, int]
    shared_above: int


class Resolution(NamedTuple):
    """`people` are the identifiers of each person; `refused` the links that would have welded two of them, but for
    those of `shared` identifiers, which link nothing."""

    people: list[frozenset[bytes]]
    refused: frozenset[Pair]
    shared: frozenset[bytes]


def resolve(
    identifiers: Iterable[bytes],
    links: Iterable[Link],
    joins: Iterable[Pair],
    splits: Collection[Pair],
    rules: Rules,
) -> Resolution:
    """Who is who among `identifiers`, which are all that the links, joins and splits name.

    `refused` and `Link` have the higher identifier first.
    """
    known = list(identifiers)
    joined = list(joins)
    ordered = sorted(links, key=lambda link: (link.first, rules.rank[rules.kind_of[link.other]]))
    shared: set[bytes] = set()
    while True:
        people = _People(known, splits, rules)
        for one, other in joined:
            people.weld(one, other)
        refused = [
            link
            for link in ordered
            if link.one not in shared and link.other not in shared and not people.link(link.one, link.other)
        ]
        ends = Counter(end for link in refused for end in (link.one, link.other))
        more = {end for end, times in ends.items() if times > rules.shared_above}
        if not more:
            pairs = frozenset((link.one, link.other) for link in refused)
            return Resolution(people.all(), pairs, frozenset(shared))
        shared |= more


class _People:
    """Disjoint sets of identifiers, each with how many values of each kind it has and whom it may not meet."""

    def __init__(self, identifiers: Iterable[bytes], splits: Iterable[Pair], rules: Rules) -> None:
        self._rules = rules
        self._members = {one: {one} for one in identifiers}
        self._apart: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for one, other in splits:
            self._apart[one].add(other)
            self._apart[other].add(one)

    def weld(self, one: bytes, other: bytes) -> None:
        larger, smaller = self._members[one], self._members[other]
        if larger is smaller:
            return
        if len(larger) < len(smaller):
            larger, smaller = smaller, larger
        larger |= smaller
        for member in smaller:
            self._members[member] = larger

    def link(self, one: bytes, other: bytes) -> bool:
        """Weld the two; False, and nothing done, where that is not allowed."""
        here, there = self._members[one], self._members[other]
        if here is there:
            return True
        if any(self._apart[member] & there for member in here if member in self._apart) or self._too_many(here, there):
            return False
        self.weld(one, other)
        return True

    def _too_many(self, here: set[bytes], there: set[bytes]) -> bool:
        """Whether both have values of a kind, and more of it together than one person may."""
        kind_of, most = self._rules.kind_of, self._rules.most
        mine, theirs = Counter(kind_of[one] for one in here), Counter(kind_of[one] for one in there)
        return any(mine[kind] + theirs[kind] > most[kind] for kind in mine.keys() & theirs.keys())

    def all(self) -> list[frozenset[bytes]]:
        return [frozenset(members) for members in {id(found): found for found in self._members.values()}.values()]
