"""A customer as they were: the same fold as the stager's, up to another instant, for this one customer.

`at` is valid time: where the customer was at that instant, by all that is known today. Nothing of it is stored; a fold
depends on nothing that comes after.
"""

from dataclasses import dataclass
from datetime import datetime

from journey.fold import fold
from journey.state import encode_state
from plumbing.store.engine import Engine
from plumbing.store.reading.connection import reading
from plumbing.store.reading.customers import Found
from plumbing.store.reading.past import lived
from services.api.catalogue import Catalogues
from services.api.problem import CUSTOMER_NOT_FOUND, Refusal


@dataclass(frozen=True, slots=True)
class Past:
    """Answers for instants that are over."""

    engine: Engine
    catalogues: Catalogues

    async def at(self, found: Found, at: datetime) -> Found:
        """The customer as they were at an instant, or at the horizon where that is earlier.

        Raises `Refusal` (customer-not-found) where nothing of them had happened by then; `StoreUnavailable`.
        """
        until = min(at, found.horizon)
        journeys = self.catalogues.current.machines
        async with reading(self.engine) as connection:
            touchpoints = await lived(connection, found.customer, until)
        identifiers = tuple(one for one in found.identifiers if one.first_at <= until)
        if not touchpoints or not identifiers:
            raise Refusal(CUSTOMER_NOT_FOUND, "Nothing of this customer had happened by then.")
        state = fold(journeys, touchpoints, until).state
        return found._replace(state=encode_state(state), horizon=until, identifiers=identifiers)
