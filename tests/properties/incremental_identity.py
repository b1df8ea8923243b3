"""What a stager does with the rules of identity, without its database: one change at a time in, whose each is out.

It keeps links with their first occurrence and who is one person, and holdings; at a change it looks at what the change
concerns only. The touchpoints themselves are asked where the stager would ask its store.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from journey.assignment import Carriers, Device, Names, person, whose
from journey.commands import Command, in_force
from journey.identity import SIGNED_OUT, Kinds
from journey.links import Link, Resolution, Rules, resolve
from journey.timelines import Holdings, needs_next, put, withdraw
from journey.touchpoint import Order, Touchpoint, counts_before

Key = tuple[str, str]


@dataclass
class Incremental:
    """Identities of touchpoints that come, are replaced and struck in any order. Identifiers are told by `digest_of`
    (kind, value, source) and `kind_of`."""

    kinds: Kinds
    rules: Rules
    digest_of: Mapping[tuple[str, str, str], bytes]
    stored: dict[Key, Touchpoint] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    counted: dict[Key, tuple[Order, str, Names]] = field(default_factory=dict)
    links: dict[tuple[bytes, bytes], Order] = field(default_factory=dict)
    people: dict[bytes, frozenset[bytes]] = field(default_factory=dict)
    refused: set[tuple[bytes, bytes]] = field(default_factory=set)
    shared: set[bytes] = field(default_factory=set)
    holdings: dict[bytes, Holdings] = field(default_factory=dict)
    resolutions: int = 0

    def take(self, touchpoint: Touchpoint) -> None:
        """A copy of a touchpoint arrives."""
        key = (touchpoint.source, touchpoint.id)
        if key not in self.stored or counts_before(touchpoint, self.stored[key]):
            self.stored[key] = touchpoint
            self._count_anew(key)

    def tell(self, commands: Sequence[Command]) -> None:
        """These are the commands now."""
        before, now = in_force(self.commands), in_force(commands)
        self.commands = list(commands)
        for key in {one[:2] for one in before.struck ^ now.struck} | (before.void ^ now.void):
            self._count_anew(key)
        changed = (before.joins ^ now.joins) | (before.splits ^ now.splits)
        self._resolve({name for pair in changed for name in pair})

    def owners(self) -> dict[Key, bytes]:
        """By which identifier each touchpoint belongs to its customer."""
        devices, carriers = self._devices(), self._carriers()
        return {
            key: whose(order, names, devices, self._back, carriers).owner
            for key, (order, _, names) in self.counted.items()
            if any(names)
        }

    def _names(self, one: Touchpoint) -> Names | None:
        told = in_force(self.commands)
        if (one.source, one.id) in told.void:
            return None
        classes: dict[str, list[bytes]] = {"strong": [], "reference": [], "weak": []}
        for identifier in self.kinds.identifiers(one):
            digest = self.digest_of[identifier[:3]]
            if (one.source, one.id, digest) not in told.struck:
                classes[identifier.class_].append(digest)
        return Names(*(tuple(found) for found in classes.values()))

    def _count_anew(self, key: Key) -> None:
        if key in self.counted:
            order, _, was = self.counted.pop(key)
            self._unlink(order, was)
            for reference in was.references if was.strong else ():
                self._change(reference, lambda reference=reference: self._withdraw(reference, order))
            for weak in was.weak:
                self._withdraw(weak, order)
        if key not in self.stored:
            return
        one = self.stored[key]
        names = self._names(one)
        if names is None:
            return
        self.counted[key] = (one.order, one.type, names)
        self._link(one.order, names)
        for reference in names.references if names.strong else ():
            self._change(reference, lambda reference=reference: self._put(reference, one.order, names.strong[0]))
        self._sign_in(one.order, one.type, names)

    # links

    def _link(self, order: Order, names: Names) -> None:
        changed = set()
        for name in names.strong:
            if name not in self.people:
                changed.add(name)
        for other in names.strong[1:]:
            link = (names.strong[0], other)
            if link not in self.links or order < self.links[link]:
                self.links[link] = order
                changed |= set(link)
        self._resolve(changed)

    def _unlink(self, order: Order, names: Names) -> None:
        changed = set()
        for other in names.strong[1:]:
            link = (names.strong[0], other)
            if self.links[link] == order:
                changed |= set(link)
                del self.links[link]
                again = [
                    place for place, _, n in self.counted.values() if n.strong[:1] == link[:1] and other in n.strong
                ]
                if again:
                    self.links[link] = min(again)
        self._resolve(changed)

    def _resolve(self, changed: set[bytes]) -> None:
        """Who is who among all that has to do with these."""
        if not changed:
            return
        self.resolutions += 1
        told = in_force(self.commands)
        edges = [*self.links, *told.joins]
        concerned, more = set(changed), set(changed)
        for name in changed:
            more |= self.people.get(name, frozenset())
        while more:
            concerned |= more
            more = {name for edge in edges if set(edge) & concerned for name in edge} - concerned
        links = [Link(*ends, first) for ends, first in self.links.items() if ends[0] in concerned]
        joins = [pair for pair in told.joins if pair[0] in concerned]
        splits = [pair for pair in told.splits if set(pair) <= concerned]
        found: Resolution = resolve(sorted(concerned), links, joins, splits, self.rules)
        for members in found.people:
            self.people |= dict.fromkeys(members, members)
        self.refused = {link for link in self.refused if link[0] not in concerned} | found.refused
        self.shared = (self.shared - concerned) | found.shared

    # timelines

    def _sign_in(self, order: Order, type_: str, names: Names) -> None:
        owner = person(names, self._devices()) if names.strong or names.references else None
        for weak in names.weak:
            if type_ == SIGNED_OUT:
                self._put(weak, order, None)
            elif owner is not None:
                self._put(weak, order, owner.owner)

    def _change(self, reference: bytes, change: object) -> None:
        """Change to whom a reference belongs: who signs in by it is somebody else then."""
        followers = [one for one in self.counted.values() if reference in one[2].references and not one[2].strong]
        for order, _, names in followers:
            for weak in names.weak:
                self._withdraw(weak, order)
        assert callable(change)
        change()
        for follower in followers:
            self._sign_in(*follower)

    def _put(self, device: bytes, order: Order, owner: bytes | None) -> None:
        held, hold = self.holdings.get(device, ()), self._hold(device)
        interrupted = needs_next(held, order, owner, hold)
        resumed = self._resumed(device, order, interrupted.owner) if interrupted else None
        self.holdings[device] = put(held, order, owner, hold, resumed)

    def _withdraw(self, device: bytes, order: Order) -> None:
        held = self.holdings.get(device, ())
        began = next((holding for holding in held if holding.since == order), None)
        if began is not None:
            resumed = self._resumed(device, order, began.owner) if began.owner else None
            self.holdings[device] = withdraw(held, order, self._hold(device), resumed)

    def _resumed(self, device: bytes, after: Order, owner: bytes | None) -> Order | None:
        following = [holding.since for holding in self.holdings[device] if holding.since > after]
        until = min(following, default=None)
        known = [one for one in self._sign_ins(device, owner) if one > after and (until is None or one < until)]
        return min(known, default=None)

    def _sign_ins(self, device: bytes, owner: bytes | None) -> Iterator[Order]:
        devices = self._devices()
        for order, type_, names in self.counted.values():
            carries = device in names.weak or (device in names.references and names.strong)
            ends = device in names.weak and type_ == SIGNED_OUT
            if carries and not ends:
                found = person(names, devices)
                if found is not None and found.owner == owner:
                    yield order

    def _hold(self, device: bytes) -> timedelta | None:
        return self.kinds.declared(self.rules.kind_of[device]).hold

    def _devices(self) -> dict[bytes, Device]:
        return {
            name: Device(self.holdings.get(name, ()), declared.hold, declared.looks_back)
            for name, kind in self.rules.kind_of.items()
            for declared in [self.kinds.declared(kind)]
        }

    def _carriers(self) -> Carriers:
        found: dict[bytes, tuple[Order, Names]] = {}
        for order, _, names in sorted(self.counted.values(), key=lambda one: one[0]):
            for reference in names.references if names.weak else ():
                found.setdefault(reference, (order, names))
        return found

    def _back(self, weak: bytes, place: Order) -> int:
        first = min(holding.since for holding in self.holdings[weak] if holding.owner)
        anonymous = [order for order, _, names in self.counted.values() if weak in names.weak and not names.strong]
        return sum(place <= order < first for order in anonymous)
