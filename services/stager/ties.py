"""Tying a batch to customers: strong identifiers join, sign-ins make timelines, devices follow them.

`tie` reads and locks what it needs, in an order that every stager keeps (identifiers by digest, then customers by
number), and writes what changed of identifiers, holdings and of whose the stored touchpoints are. Where another stager
got in between it raises `Contended`, and the batch is done again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from journey.errors import Contended
from journey.identity import Class, Holding, Kinds, needs_next, owner_at, sign_in, withdraw
from journey.touchpoint import EARLIEST, Order, Touchpoint
from plumbing.store import customers, identities, touchpoints
from plumbing.store.engine import Driver
from plumbing.store.identities import Known, NewIdentifier
from plumbing.store.sealing import Sealer
from services.stager.duplicates import Replacement
from services.stager.incoming import Carried, Incoming
from services.stager.union import components


class Collision(Exception):
    """Another stager changed what this batch had read."""


@dataclass(slots=True)
class Ties:
    """Whose the touchpoints of a batch are.

    `owner` has a customer for each touchpoint; `rows` every customer that is concerned, locked; `refold` those whose
    past changed; `shown_before` the ids of customers who are merged into others and have none any more.
    """

    owner: dict[Order, int]
    rows: dict[int, customers.Row]
    refold: set[int]
    shown_before: dict[int, str]


@dataclass(slots=True)
class _Work:
    """What is known half-way."""

    known: dict[bytes, Known]
    introduced: frozenset[bytes]  # identifiers that the store did not have before
    replaced: frozenset[touchpoints.Key] = frozenset()  # touchpoints whose stored copies count no more
    merged: dict[int, int] = field(default_factory=dict)
    classes: dict[bytes, Class] = field(default_factory=dict)
    holdings: dict[bytes, Sequence[Holding]] = field(default_factory=dict)
    changed: dict[bytes, datetime] = field(default_factory=dict)  # device → from when on its timeline is another
    moved: dict[touchpoints.Key, int] = field(default_factory=dict)
    pointed: dict[bytes, int] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    refold: set[int] = field(default_factory=set)

    def customer(self, digest: bytes) -> int | None:
        """Whom an identifier stands for once the merges of this batch are done."""
        if digest in self.pointed:
            return self.pointed[digest]
        customer = self.known[digest].customer
        return None if customer is None else self.merged.get(customer, customer)


class Tier:
    """Ties batches under one identity configuration and one secret."""

    def __init__(self, sealer: Sealer, kinds: Kinds) -> None:
        self._sealer = sealer
        self._kinds = kinds

    async def tie(self, driver: Driver, batch: Sequence[Incoming], replaced: Sequence[Replacement]) -> Ties:
        """Whose each touchpoint of `batch` (in order) is; of `replaced` a copy is stored that counts no more."""
        work = await self._introduce(driver, batch)
        work.replaced = frozenset((copy.was.source, copy.was.id) for copy in replaced)
        self._join(batch, work)
        await self._read_timelines(driver, batch, work)
        for copy in replaced:
            await self._withdraw(driver, copy, work)
        await self._follow_devices(driver, batch, work)
        owner = {one.order: self._owner(one, work) for one in batch}
        work.refold |= {work.merged.get(copy.customer, copy.customer) for copy in replaced}
        work.touched |= {*owner.values(), *work.refold, *work.merged, *work.merged.values()}
        rows = await customers.lock(driver, work.touched)
        await self._verify(driver, work)
        shown_before = await identities.shown_ids(driver, list(work.merged), self._kinds.strong)
        await self._write(driver, work)
        return Ties(owner, rows, work.refold | set(work.merged), shown_before)

    async def _introduce(self, driver: Driver, batch: Sequence[Incoming]) -> _Work:
        """Make the store know every identifier of the batch, and since when."""
        first: dict[bytes, tuple[datetime, Carried]] = {}
        for one in batch:
            for carried in (*one.strong, *one.others):
                first.setdefault(carried.digest, (one.touchpoint.occurred_at, carried))
        devices = {carried.digest for one in batch for carried in one.others}
        known = await identities.find(driver, first.keys() - devices)
        known |= await identities.find(driver, devices, locked=True)
        new = await self._new_identifiers(driver, batch, first, known)
        if not await identities.insert(driver, new):
            raise Contended("another stager is introducing the same identifier")
        earlier = {digest: at for digest, (at, _) in first.items() if digest in known and at < known[digest].first_at}
        await identities.seen_earlier(driver, earlier)
        known |= {one.digest: Known(one.customer, one.first_at) for one in new}
        return _Work(known, frozenset(one.digest for one in new))

    async def _new_identifiers(
        self,
        driver: Driver,
        batch: Sequence[Incoming],
        first: Mapping[bytes, tuple[datetime, Carried]],
        known: Mapping[bytes, Known],
    ) -> list[NewIdentifier]:
        """Rows for identifiers that the store lacks; strong ones that meet share a customer from the start."""
        groups = components([one.digest for one in incoming.strong] for incoming in batch)
        fresh: dict[bytes, int | None] = {}
        strangers = []
        for group in groups:
            lacking = [digest for digest in group if digest not in known]
            familiar = [customer for digest in group if digest in known and (customer := known[digest].customer)]
            if familiar:
                fresh |= dict.fromkeys(lacking, min(familiar))
            elif lacking:
                strangers.append(lacking)
        for lacking, customer in zip(strangers, await customers.make(driver, len(strangers)), strict=True):
            fresh |= dict.fromkeys(lacking, customer)
        return [
            NewIdentifier(digest, c.identifier.kind, self._sealer.seal(c.identifier.value), fresh.get(digest), at)
            for digest, (at, c) in first.items()
            if digest not in known
        ]

    def _join(self, batch: Sequence[Incoming], work: _Work) -> None:
        """Merge customers whose strong identifiers meet: the one with the least number stays."""
        groups = components(
            [customer for one in incoming.strong if (customer := work.known[one.digest].customer)] for incoming in batch
        )
        for group in groups:
            survivor, *losers = sorted(group)
            work.merged |= dict.fromkeys(losers, survivor)
            if losers:
                work.refold.add(survivor)

    async def _read_timelines(self, driver: Driver, batch: Sequence[Incoming], work: _Work) -> None:
        work.classes = {carried.digest: carried.identifier.class_ for one in batch for carried in one.others}
        devices = work.classes
        work.holdings = dict(await identities.holdings(driver, devices.keys() - work.introduced))
        owners = {holding.owner for held in work.holdings.values() for holding in held}
        work.known |= await identities.find(driver, owners - work.known.keys())

    async def _withdraw(self, driver: Driver, copy: Replacement, work: _Work) -> None:
        """Take back the sign-ins of a stored copy that the copy that counts makes elsewhere in the order, or for
        another person."""
        now = Holding(copy.one.order, copy.one.strong[0].digest) if copy.one.strong else None
        for device in (carried.digest for carried in copy.one.others if now):
            held = work.holdings.get(device, ())
            began = next((holding for holding in held if holding.since == copy.was), None)
            if began is None or began == now:
                continue
            resumed = await self._resumed(driver, device, began, copy.was, work)
            work.holdings[device] = withdraw(held, copy.was, resumed)
            since = EARLIEST if began is held[0] else copy.was.occurred_at
            work.changed[device] = min(since, work.changed.get(device, since))

    async def _follow_devices(self, driver: Driver, batch: Sequence[Incoming], work: _Work) -> None:
        for one in batch:
            if one.strong:
                for carried in one.others:
                    await self._sign_in(driver, carried.digest, one, work)
        await self._make_strangers(driver, batch, work)
        await self._claim(driver, work)

    async def _sign_in(self, driver: Driver, device: bytes, one: Incoming, work: _Work) -> None:
        held, owner = work.holdings.get(device, ()), one.strong[0].digest
        interrupted = needs_next(held, one.order, owner)
        resumed = await self._resumed(driver, device, interrupted, one.order, work) if interrupted else None
        now_held = sign_in(held, one.order, owner, resumed)
        if now_held is held:
            return
        since = one.order.occurred_at if held and held[0].since < one.order else EARLIEST
        work.holdings[device] = now_held
        work.changed[device] = min(since, work.changed.get(device, since))

    async def _resumed(
        self, driver: Driver, device: bytes, interrupted: Holding, place: Order, work: _Work
    ) -> Order | None:
        """The next stored sign-in, after `place` and before anybody else's, of the person who is interrupted there."""
        customer = work.known[interrupted.owner].customer
        following = [holding.since for holding in work.holdings[device] if holding.since > place]
        for touchpoint in await touchpoints.after(driver, customer, place) if customer else ():
            if following and touchpoint.order >= following[0]:
                return None
            if (touchpoint.source, touchpoint.id) in work.replaced:
                continue
            if self._signs_in(touchpoint, device, interrupted.owner):
                return touchpoint.order
        return None

    def _signs_in(self, stored: Touchpoint, device: bytes, owner: bytes) -> bool:
        digests = [bytes.fromhex(one.value) for one in self._kinds.identifiers(stored)]
        return digests[0] == owner and device in digests

    async def _make_strangers(self, driver: Driver, batch: Sequence[Incoming], work: _Work) -> None:
        """Give a customer of its own to each device of the batch that carries something unclaimed and has none."""
        lacking = sorted(
            {
                device.digest
                for one in batch
                if (device := one.device)
                and owner_at(device.identifier.class_, work.holdings.get(device.digest, ()), one.order) is None
                and work.known[device.digest].customer is None
            }
        )
        work.pointed = dict(zip(lacking, await customers.make(driver, len(lacking)), strict=True))

    async def _claim(self, driver: Driver, work: _Work) -> None:
        """Give the stored touchpoints that devices decide about to whom their new timelines say."""
        stored = {device: since for device, since in work.changed.items() if device not in work.introduced}
        for device, customer, order in await touchpoints.on_devices(driver, stored):
            owner = owner_at(work.classes[device], work.holdings[device], order)
            assert owner is not None  # somebody just signed in on it
            new = work.customer(owner)
            assert new is not None  # an owner is a strong identifier: it has a customer
            if new != work.merged.get(customer, customer):
                work.moved[order.source, order.id] = new
                work.refold |= {new, work.merged.get(customer, customer)}

    def _owner(self, one: Incoming, work: _Work) -> int:
        device = one.device
        if device is None:
            digest = one.strong[0].digest
        else:
            held = work.holdings.get(device.digest, ())
            digest = owner_at(device.identifier.class_, held, one.order) or device.digest
        customer = work.customer(digest)
        assert customer is not None  # strong ones have one from the start, devices since `_make_strangers`
        return customer

    async def _verify(self, driver: Driver, work: _Work) -> None:
        """With the customers locked, see that nobody merged them while we were waiting."""
        for digest, found in (await identities.find(driver, work.known.keys() - work.classes.keys())).items():
            if found.customer != work.known[digest].customer:
                raise Contended("another stager merged or split these customers")

    async def _write(self, driver: Driver, work: _Work) -> None:
        if work.merged:
            losers, survivors = list(work.merged), list(work.merged.values())
            await identities.merge(driver, losers, survivors)
            await touchpoints.merge(driver, losers, survivors)
        await identities.point(driver, work.pointed)
        await identities.hold(driver, {device: work.holdings[device] for device in work.changed})
        await touchpoints.give(driver, work.moved)
