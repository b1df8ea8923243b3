"""From what a caller names a customer by to the customer."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from journey.identity import Kinds
from journey.normalise import normalise
from plumbing.store.reading.customers import Customers, Found
from plumbing.store.sealing import Sealer
from services.api.problem import CUSTOMER_NOT_FOUND, Refusal

_ID = re.compile("[0-9a-f]{32}").fullmatch


class Asked(NamedTuple):
    """An identifier by its digest; `as_id`: the id that it minted is meant."""

    digest: bytes
    as_id: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """Finds customers by their ids and by their identifiers."""

    customers: Customers
    kinds: Kinds
    sealer: Sealer
    phone_region: str | None = None

    async def by_id(self, id_: str) -> Found:
        """The customer of any id ever minted. Raises `Refusal` (customer-not-found), `StoreUnavailable`."""
        return await self.find(self.id(id_))

    async def by_identifier(self, kind: str, value: str, source: str = "") -> Found:
        """The customer whom this identifier names now, however it is spelled.

        `source` is who sent it, for kinds whose values count within one source only. Raises `Refusal`
        (customer-not-found), `StoreUnavailable`.
        """
        return await self.find(self.identifier(kind, value, source))

    async def find(self, asked: Asked) -> Found:
        """Whom this names now. Raises `Refusal` (customer-not-found), `StoreUnavailable`."""
        return _someone(await self.customers.find(asked.digest, as_id=asked.as_id))

    def id(self, id_: str) -> Asked:
        """An id. Raises `Refusal` (customer-not-found) for what is none."""
        if _ID(id_) is None:
            raise Refusal(CUSTOMER_NOT_FOUND)
        return Asked(bytes.fromhex(id_), as_id=True)

    def identifier(self, kind: str, value: str, source: str = "") -> Asked:
        """An identifier, however it is spelled. Raises `Refusal` (customer-not-found) for one that names nobody."""
        spelled = normalise(kind, value, self.phone_region)
        if spelled is None:
            raise Refusal(CUSTOMER_NOT_FOUND)
        return Asked(self.sealer.digest(kind, spelled, self.kinds.identify(kind, spelled, source).scope))


def _someone(found: Found | None) -> Found:
    if found is None:
        raise Refusal(CUSTOMER_NOT_FOUND)
    return found
