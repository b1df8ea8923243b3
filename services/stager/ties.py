"""Tying a batch to customers: strong identifiers join, sign-ins make timelines, devices follow them.

`tie` reads and locks what it needs, in an order that every stager keeps (identifiers by digest, then customers by
number), and writes what changed of identifiers, links, holdings and of whose the stored touchpoints are. Where another
stager got in between it raises `Contended`, and the batch is done again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from journey.commands import Pair
from journey.errors import Contended
from journey.identity import Class, Kinds
from journey.touchpoint import Order
from plumbing.store import customers, identities, links, touchpoints
from plumbing.store.bodies import Whose
from plumbing.store.engine import Driver
from plumbing.store.identities import NewIdentifier
from plumbing.store.sealing import Sealer
from services.stager import people
from services.stager.devices import Timelines
from services.stager.incoming import Incoming, Seen
from services.stager.tying import Work


@dataclass(slots=True)
class Ties:
    """Whose the touchpoints of a batch are.

    `whose` has each touchpoint that is somebody's; `rows` every customer that is concerned, locked; `refold` those
    whose past changed; `shown_before` the ids of customers who have none any more, as all that named them names others.
    """

    whose: dict[Order, Whose]
    rows: dict[int, customers.Row]
    refold: set[int]
    shown_before: dict[int, str]


Row = Mapping[str, Any]
"""A stored touchpoint."""


class Told(NamedTuple):
    """An identifier that a command names, whether it was ever seen or not."""

    digest: bytes
    kind: str
    sealed: bytes


class Tier:
    """Ties batches under one identity configuration and one secret."""

    def __init__(self, sealer: Sealer, kinds: Kinds) -> None:
        self._sealer = sealer
        self._kinds = kinds

    async def tie(
        self,
        driver: Driver,
        batch: Sequence[Incoming],
        withdrawn: Collection[Row] = (),
        pairs: Collection[Pair] = (),
        told: Collection[Told] = (),
        kept: Collection[Row] = (),
    ) -> Ties:
        """Whose each touchpoint of `batch` (in order) is.

        `withdrawn` are stored rows that count no more: to be given only while no other batch is under way. `pairs` are
        those of commands that were given or undone, `told` the identifiers that they name. `kept` are stored rows that
        change nothing, but whose owners are asked for.
        """
        work = Work(driver, self._kinds, [Seen(one.order, one.touchpoint.type, one.names) for one in batch], [])
        work.withdrawn = [work.seen(row) for row in withdrawn]
        timelines = Timelines(work)
        await self._introduce(work, timelines, batch, pairs, told)
        followers = await timelines.sign_in()
        await timelines.carry()
        claimed = await timelines.claimed(followers)
        anonymous = [one for one in work.batch if not one.names.strong and any(one.names)]
        found = await timelines.decide([*map(work.seen, claimed), *anonymous])
        await self._know_owners(work, {one.owner for one in found.values()})
        theirs = [row for row in kept if row["customer"] is not None]
        await work.learn(row["owner"] for row in (*claimed, *theirs))
        for row in claimed:
            self._move(work, row, found[touchpoints.order_of(row)])
        whose = {one.order: self._whose(work, one, found) for one in work.batch if any(one.names)}
        whose |= {touchpoints.order_of(row): self._still(work, row) for row in theirs}
        for row in withdrawn:
            await work.learn([row["owner"]])
            work.refold |= {row["customer"], work.customer(row["owner"]) or row["customer"]}
        work.touched |= {one.customer for one in whose.values()}
        rows = await work.lock(work.emptied)
        await people.check(work)
        shown_before = await identities.shown_ids(driver, work.emptied, self._kinds.strong)
        await self._write(work, timelines)
        return Ties(whose, rows, work.refold | work.emptied, shown_before)

    async def _introduce(
        self,
        work: Work,
        timelines: Timelines,
        batch: Sequence[Incoming],
        pairs: Collection[Pair],
        told: Collection[Told],
    ) -> None:
        """Make the store know every identifier of the batch, since when, and who is who."""
        first: dict[bytes, datetime] = {}
        carried = {one.digest: one for incoming in batch for one in incoming.carried}
        for one in work.batch:
            for name in chain.from_iterable(one.names):
                first.setdefault(name, one.order.occurred_at)
        names = [one.names for one in (*work.batch, *work.withdrawn)]
        devices = {name for one in names for name in (*one.references, *one.weak)}
        strong = {name for one in names for name in one.strong}
        work.new_kinds = {one.digest: one.kind for one in told}
        work.new_kinds |= {digest: one.identifier.kind for digest, one in carried.items()}
        await work.learn([*strong, *(one.digest for one in told), *(carried.keys() - devices)])
        await work.hold(devices)
        fresh = [name for name, kind in work.new_kinds.items() if name not in work.known and self._is_strong(kind)]
        await people.settle(work, pairs, fresh)
        sealed = {one.digest: one.sealed for one in told}
        new = [
            NewIdentifier(
                name, kind,
                sealed.get(name) or self._sealer.seal(carried[name].identifier.value),
                work.assigned.get(name), first.get(name, people.NEVER),
            )
            for name, kind in work.new_kinds.items()
            if name not in work.known
        ]  # fmt: skip
        seen_earlier = {name: at for name, at in first.items() if name in work.known and at < work.known[name].first_at}
        if not await identities.insert(work.driver, new):
            raise Contended("another stager is introducing the same identifier")
        await identities.seen_from(work.driver, work.seen_from)
        await identities.seen_earlier(work.driver, seen_earlier)
        work.known |= {one.digest: identities.Known(one.customer, one.first_at, one.kind) for one in new}
        work.introduced = frozenset(one.digest for one in new)
        await timelines.load(devices)

    def _is_strong(self, kind: str) -> bool:
        return self._kinds.class_of(kind) is Class.STRONG

    async def _know_owners(self, work: Work, owners: Collection[bytes]) -> None:
        """Make the store know whom these identifiers stand for: anonymous customers of devices come into being here."""
        await work.learn(owners)
        lacking = sorted(owner for owner in owners if work.customer(owner) is None)
        numbers = await customers.make(work.driver, len(lacking))
        work.assigned |= dict(zip(lacking, numbers, strict=True))

    def _whose(self, work: Work, one: Seen, found: Mapping[Order, Any]) -> Whose:
        owner, device = (one.names.strong[0], None) if one.names.strong else found[one.order]
        customer = work.customer(owner)
        assert customer is not None  # strong ones have one from the start, others since `_know_owners`
        return Whose(customer, owner, device)

    def _still(self, work: Work, row: Row) -> Whose:
        """Whose a stored touchpoint is after this batch."""
        _see_unmoved(work, row)
        customer = work.customer(row["owner"])
        assert customer is not None  # it has a touchpoint: this one
        return work.moved.get((row["source"], row["id"])) or Whose(customer, row["owner"], row["device"])

    def _move(self, work: Work, row: Row, found: Any) -> None:
        """Give a stored touchpoint to whom it belongs now."""
        _see_unmoved(work, row)
        if (row["owner"], row["device"]) == found:
            return
        customer = work.customer(found.owner)
        assert customer is not None
        work.moved[row["source"], row["id"]] = Whose(customer, *found)
        if customer != row["customer"]:
            work.refold |= {customer, row["customer"]}

    async def _write(self, work: Work, timelines: Timelines) -> None:
        driver = work.driver
        stored = {name: number for name, number in work.assigned.items() if name not in work.introduced}
        parted = {number for name in stored if (number := work.known[name].customer) is not None}
        await identities.point(
            driver, {name: number for name, number in work.assigned.items() if work.known[name].customer != number}
        )
        await links.delete(driver, work.unlinked)
        await links.write(driver, work.linked, work.refused)
        if work.refused or any(link.refused for link in work.closure[1].values()):
            await links.share(driver, work.resolved, work.shared)
        await identities.hold(driver, timelines.before, timelines.changed)
        await touchpoints.take(driver, work.gone)
        await touchpoints.follow(driver, stored, parted)
        await touchpoints.give(driver, work.moved)


def _see_unmoved(work: Work, row: Row) -> None:
    """Raises `Contended` where another stager moved a touchpoint on before its owner was looked at."""
    if work.known[row["owner"]].customer != row["customer"]:
        raise Contended("another stager moved these touchpoints")
