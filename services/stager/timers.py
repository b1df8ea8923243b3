"""Timers: what time alone causes while nothing else happens, and touchpoints that waited for the horizon."""

from datetime import datetime

from journey.identity import Kinds
from journey.machine import Journeys
from journey.state import decode_state
from plumbing.store import customers, horizon
from plumbing.store.engine import Engine, transaction
from plumbing.telemetry import TIMERS_FIRED
from services.stager.differences import Change
from services.stager.folding import Folded, let_pass, take
from services.stager.stage_batch import fold_again_all
from services.stager.telling import tell

AT_ONCE = 500
"""Customers in one transaction: it holds their rows, and a batch that brings touchpoints of theirs waits for it."""


class Timers:
    """Fires what is due, by one set of definitions. Several stagers may do so at once: each takes other customers."""

    def __init__(self, engine: Engine, journeys: Journeys, kinds: Kinds) -> None:
        self._engine = engine
        self._journeys = journeys
        self._kinds = kinds

    async def fire(self) -> bool:
        """Let time pass up to the horizon for some customers who are due; False when there were none."""
        async with transaction(self._engine) as driver:
            reached = await horizon.reached(driver)
            rows = await customers.due(driver, reached, AT_ONCE)
            found = {customer: self._elapse(row, reached) for customer, row in rows.items()}
            changes = [
                Change(customer, decode_state(rows[customer].state), folded)
                for customer, folded in found.items()
                if folded is not None
            ]
            again = {customer for customer, folded in found.items() if folded is None}
            changes += await fold_again_all(driver, self._journeys, again, rows, reached)
            await tell(driver, changes, rows, {}, self._kinds.strong, reached)
        TIMERS_FIRED.inc(sum(len(change.after.transitions) for change in changes if change.after.again is None))
        return bool(rows)

    def _elapse(self, row: customers.Row, reached: datetime) -> Folded | None:
        """Time passed, and what waited for it folded; None when that needs the customer's history."""
        if row.waiting:
            return take(self._journeys, row, (), reached)
        folded = Folded(decode_state(row.state), (), (), None, None, recent=row.recent)
        return let_pass(self._journeys, folded, reached)
