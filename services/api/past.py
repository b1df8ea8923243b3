"""A customer as they were: the same function as the stager's, of less, for this one customer.

`at` is valid time: where the customer was at that instant. `known_at` is what Jalon had been told by another one: the
touchpoints received, the commands given and the versions in force by then, with no time passed beyond it. Nothing of
either is stored; a fold depends on nothing that comes after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from journey.assignment import Whose
from journey.fold import fold
from journey.identity import Class, Kinds
from journey.outcomes import Advanced
from journey.state import encode_state
from journey.timelines import first_owner
from journey.touchpoint import Touchpoint
from journey.whole import Customer, Whole, work_out
from plumbing.store.engine import Engine
from plumbing.store.reading.connection import reading
from plumbing.store.reading.customers import Found
from plumbing.store.reading.identifiers import Known as KnownIdentifier
from plumbing.store.reading.past import Known, TooMuchError, known, lived
from services.api.catalogue import Catalogue, Catalogues
from services.api.lookup import Asked
from services.api.problem import CUSTOMER_NOT_FOUND, TOO_MUCH, Refusal

_NOBODY_YET = "Nothing of this customer had happened, or was known, by then."


class Remembered(NamedTuple):
    """A customer at `until`: their touchpoints and what says that they are theirs, and the fold of them by the
    definitions that were in force (`catalogue`)."""

    touchpoints: Sequence[tuple[Touchpoint, Whose]]
    folded: Advanced
    identifiers: tuple[KnownIdentifier, ...]
    until: datetime
    catalogue: Catalogue

    def as_found(self) -> Found:
        """As the store would have found them then. The number is nobody's.

        Raises `Refusal` (customer-not-found) where all that named them was void or wrong from the start.
        """
        if not self.identifiers:
            raise Refusal(CUSTOMER_NOT_FOUND, _NOBODY_YET)
        return Found(0, encode_state(self.folded.state), 0, self.until, self.catalogue.in_force, self.identifiers)


@dataclass(frozen=True, slots=True)
class Past:
    """Answers about what is over."""

    engine: Engine
    catalogues: Catalogues
    kinds: Kinds

    async def at(self, found: Found, catalogue: Catalogue, at: datetime) -> Found:
        """A customer at an instant, by all that is known today; at the horizon where that is earlier.

        Raises `Refusal` (customer-not-found) where nothing of them had happened by then; `StoreUnavailable`.
        """
        until = min(at, found.horizon)
        async with reading(self.engine) as connection:
            touchpoints = await lived(connection, found.customer, until)
        identifiers = tuple(one for one in found.identifiers if one.first_at <= until)
        if not touchpoints or not identifiers:
            raise Refusal(CUSTOMER_NOT_FOUND, _NOBODY_YET)
        state = fold(catalogue.machines, touchpoints, until).state
        return found._replace(state=encode_state(state), horizon=until, identifiers=identifiers)

    async def known_at(self, asked: Asked, known_at: datetime, at: datetime | None) -> Remembered:
        """Whom this named by all that was known at an instant, as they were then (or `at` another one before).

        Raises `Refusal` (customer-not-found, too-much); `StoreUnavailable`.
        """
        async with reading(self.engine) as connection:
            try:
                told = await known(connection, asked.digest, known_at)
            except TooMuchError:
                raise Refusal(TOO_MUCH) from None
        until = min(known_at, told.horizon, at or known_at)
        whole = work_out(told.touchpoints, told.commands, self.kinds, told.kinds)
        customer = _named(asked, whole, self.kinds.class_of(told.kinds.get(asked.digest, "")))
        lives = [(one, by) for one, by in whole.touchpoints(customer) if one.occurred_at <= until]
        if not lives:
            raise Refusal(CUSTOMER_NOT_FOUND, _NOBODY_YET)
        catalogue = await self.catalogues.of(told.versions)
        folded = fold(catalogue.machines, [one for one, _ in lives], until)
        return Remembered(lives, folded, _identifiers(customer, whole, told, until), until, catalogue)


def _named(asked: Asked, whole: Whole, class_: Class) -> Customer:
    """Whom an identifier names: the person, the owner of the device, or else the device's anonymous customer. An id
    names first whom its identifier minted."""
    if asked.digest in whole.people:
        return whole.people[asked.digest]
    anonymous = whole.customer(asked.digest)
    device = whole.devices.get(asked.digest)
    if device is None or not device.holdings or (asked.as_id and whole.touchpoints(anonymous)):
        return anonymous
    held = first_owner(device.holdings) if class_ is Class.REFERENCE else device.holdings[-1]
    return anonymous if held is None or held.owner is None else whole.customer(held.owner)


def _identifiers(customer: Customer, whole: Whole, told: Known, until: datetime) -> tuple[KnownIdentifier, ...]:
    """The customer's identifiers that had been used by then, each since when."""
    first: dict[bytes, datetime] = {}
    for touchpoint, _ in whole.belonging:
        for digest in map(bytes.fromhex, touchpoint.identifiers.values()):
            if digest in customer and touchpoint.occurred_at <= until:
                first.setdefault(digest, touchpoint.occurred_at)
    return tuple(
        KnownIdentifier(digest, told.kinds[digest], told.sealed[digest], since)
        for digest, since in first.items()
        if digest in told.sealed
    )
