"""Devices and references: their timelines with the sign-ins of a batch, and the stored touchpoints that follow them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from journey.assignment import Device, Names, Whose, person, whose
from journey.identity import SIGNED_OUT
from journey.timelines import Holdings, differences, first_owner, needs_next, put, withdraw
from journey.touchpoint import Order
from plumbing.store import carried, identities, touchpoints
from plumbing.store.carried import Carried, Stretch
from services.stager.incoming import Seen
from services.stager.tying import Work

Row = Mapping[str, Any]


class Timelines:
    """The devices and references that a batch has to do with, each locked before it is read."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self.devices: dict[bytes, Device] = {}
        self.before: dict[bytes, Holdings] = {}
        self._stale: set[touchpoints.Key] = set()  # whose sign-ins are withdrawn, though they are still stored

    @property
    def changed(self) -> dict[bytes, Holdings]:
        """The holdings of the devices where they are others now."""
        return {name: one.holdings for name, one in self.devices.items() if one.holdings is not self.before[name]}

    async def load(self, names: Iterable[bytes]) -> None:
        """Lock these, but for those that are locked already, and read their timelines."""
        lacking = set(names) - self.devices.keys()
        if not lacking:
            return
        await self._work.hold(lacking)
        found = await identities.holdings(self._work.driver, lacking - self._work.introduced)
        for name in lacking:
            kind = self._work.kinds.declared(self._work.kind_of(name))
            self.before[name] = found.get(name, ())
            self.devices[name] = Device(self.before[name], kind.hold, kind.looks_back)

    async def sign_in(self) -> list[Row]:
        """Put the sign-ins of the batch into the timelines, and take out those of what is withdrawn.

        Returns the rows of the stored touchpoints whose references belong to somebody else now: they sign in anew.
        """
        work = self._work
        self._stale |= work.gone
        await self._use_references()
        rows = await self._followers()
        followers = [work.seen(row) for row in rows]
        self._stale |= {one.key for one in followers}
        await self.load(name for one in followers for name in (*one.names.references, *one.names.weak))
        for one in (*work.withdrawn, *followers):
            for weak in one.names.weak:
                await self._withdraw(weak, one.order)
        for one in sorted([*followers, *work.batch], key=lambda one: one.order):
            owner = person(one.names, self.devices)
            for weak in one.names.weak:
                if one.type == SIGNED_OUT:
                    await self._put(weak, one.order, None)
                elif owner is not None:
                    await self._put(weak, one.order, owner.owner)
        return rows

    async def _use_references(self) -> None:
        for one in self._work.withdrawn:
            for reference in one.names.references if one.names.strong else ():
                await self._withdraw(reference, one.order)
        for one in self._work.batch:
            for reference in one.names.references if one.names.strong else ():
                await self._put(reference, one.order, one.names.strong[0])

    async def _followers(self) -> list[Row]:
        references = [
            Stretch(name, None, None)
            for name in self.changed
            if _owner(self.before[name]) != _owner(self.devices[name].holdings)
        ]
        rows = await carried.within(self._work.driver, references)
        return [row for row in rows if (row["source"], row["id"]) not in self._work.gone]

    async def _put(self, device: bytes, place: Order, owner: bytes | None) -> None:
        held, hold, _ = self.devices[device]
        interrupted = needs_next(held, place, owner, hold)
        resumed = await self._resumed(device, place, interrupted.owner) if interrupted and interrupted.owner else None
        self._hold(device, put(held, place, owner, hold, resumed))

    async def _withdraw(self, device: bytes, place: Order) -> None:
        held, hold, _ = self.devices[device]
        began = next((holding for holding in held if holding.since == place), None)
        if began is not None:
            resumed = await self._resumed(device, place, began.owner) if began.owner and hold is None else None
            self._hold(device, withdraw(held, place, hold, resumed))

    def _hold(self, device: bytes, holdings: Holdings) -> None:
        self.devices[device] = self.devices[device]._replace(holdings=holdings)

    async def _resumed(self, device: bytes, place: Order, owner: bytes) -> Order | None:
        """The next stored sign-in, after `place` and before anybody else's, of the person who is interrupted there."""
        await self._work.learn([owner])
        customer = self._work.known[owner].customer
        until = min((one.since for one in self.devices[device].holdings if one.since > place), default=None)
        for row in await touchpoints.after(self._work.driver, customer, place) if customer else ():
            if until is not None and touchpoints.order_of(row) >= until:
                return None
            if row["owner"] != owner or (row["source"], row["id"]) in self._stale:
                continue
            if self._signs_in(self._work.seen(row), row["device"], device):
                return touchpoints.order_of(row)
        return None

    def _signs_in(self, one: Seen, by: bytes | None, device: bytes) -> bool:
        if device in one.names.references:
            return bool(one.names.strong)
        return device in one.names.weak and one.type != SIGNED_OUT and (by is None or by in one.names.references)

    async def carry(self) -> None:
        """Note what the batch's touchpoints without a strong identifier carry, and forget it of what is withdrawn."""
        driver = self._work.driver
        gone = [(name, one.order) for one in self._work.withdrawn for name in _traces(one.names)]
        new = [
            Carried(name, one.order, bool(one.names.weak)) for one in self._work.batch for name in _traces(one.names)
        ]
        await carried.forget(driver, gone)
        await carried.add(driver, new)

    async def claimed(self, followers: Sequence[Row]) -> list[Row]:
        """The rows of all stored touchpoints that may belong to somebody else now, with `followers`."""
        work = self._work
        rows = [*followers, *await carried.within(work.driver, self._stretches())]
        anonymous = [*map(work.seen, rows), *work.batch, *work.withdrawn]
        unowned = {
            reference
            for one in anonymous
            if one.names.weak and not one.names.strong
            for reference in one.names.references
        }
        rows += await carried.by_references_only(work.driver, unowned)
        kept = {(row["source"], row["id"]): row for row in rows if row["customer"] is not None}
        return [row for key, row in kept.items() if key not in work.gone]

    def _stretches(self) -> list[Stretch]:
        """Where the devices of the batch may stand for somebody else."""
        room = len(self._work.batch) + len(self._work.withdrawn) + 1
        found: list[Stretch] = []
        heads: dict[bytes, list[Order]] = {}
        for name in self.changed:
            before, (after, hold, _) = self.before[name], self.devices[name]
            found += [Stretch(name, *part) for part in differences(before, after, hold)]
            was, now = first_owner(before), first_owner(after)
            if was != now:
                heads[name] = [one.since for one in (was, now) if one is not None]
        for one in (*self._work.batch, *self._work.withdrawn):
            for name in one.names.weak if not one.names.strong else ():
                first = first_owner(self.devices[name].holdings)
                if first is not None and one.order < first.since:
                    heads.setdefault(name, []).append(first.since)
        for name, places in heads.items():
            nearest = self.devices[name].look_back.touchpoints + room
            found += [Stretch(name, None, min(places), nearest), Stretch(name, min(places), max(places))]
        return found

    async def decide(self, anonymous: Sequence[Seen]) -> dict[Order, Whose]:
        """Whose each of these is. They carry no strong identifier, and may be stored or of the batch."""
        await self.load(name for one in anonymous for name in _traces(one.names))
        carriers = await self._first_carriers(anonymous)
        asked = [
            (weak, order, first.since)
            for order, names in [*((one.order, one.names) for one in anonymous), *carriers.values()]
            for weak in names.weak
            if (first := first_owner(self.devices[weak].holdings)) is not None and order < first.since
        ]
        most = max((self.devices[weak].look_back.touchpoints for weak, _, _ in asked), default=0) + 1
        back = await carried.back(self._work.driver, asked, most)
        return {
            one.order: whose(one.order, one.names, self.devices, lambda weak, place: back[weak, place], carriers)
            for one in anonymous
        }

    async def _first_carriers(self, anonymous: Collection[Seen]) -> dict[bytes, tuple[Order, Names]]:
        """Of the references that decide alone: the first touchpoint that carries one along with a weak identifier."""
        references = {name for one in anonymous if not one.names.weak for name in one.names.references}
        places = await carried.first_by_device(self._work.driver, references)
        here = {one.order: one.names for one in (*anonymous, *self._work.batch)}
        elsewhere = {(order.source, order.id) for order in places.values() if order not in here}
        for row in await touchpoints.of_keys(self._work.driver, elsewhere):
            here[touchpoints.order_of(row)] = self._work.seen(row).names
        found = {reference: (order, here[order]) for reference, order in places.items()}
        await self.load(name for _, names in found.values() for name in _traces(names))
        return found


def _traces(names: Names) -> tuple[bytes, ...]:
    return () if names.strong else (*names.references, *names.weak)


def _owner(holdings: Holdings) -> bytes | None:
    first = first_owner(holdings)
    return first and first.owner
