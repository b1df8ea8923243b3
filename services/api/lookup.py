"""From what a caller names a customer by to the customer."""

import re
from dataclasses import dataclass

from journey.identity import Kinds
from journey.normalise import normalise
from plumbing.store.reading.customers import Customers, Found
from plumbing.store.sealing import Sealer
from services.api.problem import CUSTOMER_NOT_FOUND, Refusal

_ID = re.compile("[0-9a-f]{32}").fullmatch


@dataclass(frozen=True, slots=True)
class Lookup:
    """Finds customers by their ids and by their identifiers."""

    customers: Customers
    kinds: Kinds
    sealer: Sealer
    phone_region: str | None = None

    async def by_id(self, id_: str) -> Found:
        """The customer of any id ever minted. Raises `Refusal` (customer-not-found), `StoreUnavailable`."""
        if _ID(id_) is None:
            raise Refusal(CUSTOMER_NOT_FOUND)
        return _someone(await self.customers.find(bytes.fromhex(id_), as_id=True))

    async def by_identifier(self, kind: str, value: str, source: str = "") -> Found:
        """The customer whom this identifier names now, however it is spelled.

        `source` is who sent it, for kinds whose values count within one source only. Raises `Refusal`
        (customer-not-found), `StoreUnavailable`.
        """
        spelled = normalise(kind, value, self.phone_region)
        if spelled is None:
            raise Refusal(CUSTOMER_NOT_FOUND)
        scope = self.kinds.identify(kind, spelled, source).scope
        return _someone(await self.customers.find(self.sealer.digest(kind, spelled, scope)))


def _someone(found: Found | None) -> Found:
    if found is None:
        raise Refusal(CUSTOMER_NOT_FOUND)
    return found
