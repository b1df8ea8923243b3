"""What is known half-way of a batch that is being tied: shared by the steps of `ties.py`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from journey.commands import Pair
from journey.errors import Contended
from journey.identity import Kinds
from journey.links import Link
from plumbing.store import customers, identities, touchpoints
from plumbing.store.bodies import Whose
from plumbing.store.engine import Driver
from plumbing.store.identities import Known
from plumbing.store.links import Links
from services.stager.incoming import Seen, names_of


@dataclass(slots=True)
class Work:
    """Whose a batch's touchpoints are becoming, and whose stored ones then are."""

    driver: Driver
    kinds: Kinds
    batch: list[Seen]  # what is new, in order
    withdrawn: list[Seen]  # stored ones that count no more, or no more like this
    known: dict[bytes, Known] = field(default_factory=dict)
    locked: set[bytes] = field(default_factory=set)  # devices and references
    introduced: frozenset[bytes] = frozenset()  # identifiers that the store did not have before
    new_kinds: dict[bytes, str] = field(default_factory=dict)  # of identifiers that it may not have
    assigned: dict[bytes, int] = field(default_factory=dict)  # identifiers that stand for another customer from now on
    emptied: set[int] = field(default_factory=set)  # customers whom no strong identifier stands for any more
    linked: list[Link] = field(default_factory=list)
    unlinked: list[Pair] = field(default_factory=list)
    refused: frozenset[Pair] = frozenset()
    shared: frozenset[bytes] = frozenset()
    resolved: frozenset[bytes] = frozenset()  # strong identifiers of whom it was found out who they are
    seeds: frozenset[bytes] = frozenset()  # known identifiers whose links changed
    closure: tuple[Mapping[bytes, str], Links] = field(default_factory=lambda: ({}, {}))  # what these reach, as read
    seen_from: dict[bytes, datetime] = field(default_factory=dict)  # identifiers whose first touchpoint is withdrawn
    moved: dict[touchpoints.Key, Whose] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    refold: set[int] = field(default_factory=set)

    @property
    def gone(self) -> set[touchpoints.Key]:
        return {one.key for one in self.withdrawn}

    def customer(self, digest: bytes) -> int | None:
        """Whom an identifier stands for once this batch is done."""
        return self.assigned[digest] if digest in self.assigned else self.known[digest].customer

    def kind_of(self, digest: bytes) -> str:
        return self.new_kinds[digest] if digest in self.new_kinds else self.known[digest].kind

    async def learn(self, digests: Iterable[bytes]) -> None:
        """Know what the store knows of these identifiers."""
        lacking = set(digests) - self.known.keys()
        if lacking:
            self.known |= await identities.find(self.driver, lacking)

    async def hold(self, devices: Iterable[bytes]) -> None:
        """Lock devices and references, in the order of their digests, and know what the store knows of them."""
        lacking = set(devices) - self.locked - self.introduced
        if lacking:
            self.known |= await identities.find(self.driver, lacking, locked=True)
            self.locked |= lacking

    def seen(self, row: Mapping[str, Any]) -> Seen:
        """A stored touchpoint as it counts."""
        return Seen(touchpoints.order_of(row), row["type"], names_of(row, self.kinds))

    async def lock(self, also: Collection[int]) -> dict[int, customers.Row]:
        """Lock all customers that are concerned, and see that they are still who they were.

        Raises `Contended`.
        """
        rows = await customers.lock(self.driver, self.touched | self.refold | set(also))
        stored = self.known.keys() - self.introduced - self.locked
        found = await identities.find(self.driver, stored)
        if any(found[digest].customer != self.known[digest].customer for digest in stored):
            raise Contended("another stager merged or split these customers")
        return rows
