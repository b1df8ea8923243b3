"""Timers: what time alone causes while nothing else happens, and touchpoints that waited for the horizon."""

from datetime import datetime

from journey.errors import Superseded
from journey.identity import Kinds
from journey.machine import Journeys
from journey.state import decode_state
from plumbing.store import customers, horizon
from plumbing.store.definitions import load_active
from plumbing.store.engine import Driver, Engine, transaction
from plumbing.store.in_force import reached_under
from plumbing.telemetry import TIMERS_FIRED
from services.stager.differences import Change
from services.stager.folding import Folded, let_pass, take
from services.stager.stage_batch import fold_again_all
from services.stager.telling import tell

AT_ONCE = 500
"""Customers in one transaction: it holds their rows, and a batch that brings touchpoints of theirs waits for it."""


class Timers:
    """Fires what is due, by the definitions in force. Several stagers may do so at once: each takes other customers."""

    def __init__(self, engine: Engine, journeys: Journeys, kinds: Kinds) -> None:
        self._engine = engine
        self._journeys = journeys
        self._kinds = kinds

    async def fire(self) -> bool:
        """Let time pass up to the horizon for some customers who are due; False when there were none."""
        try:
            async with transaction(self._engine) as driver:
                return await fire_some(driver, self._journeys, self._kinds)
        except Superseded:
            self._journeys = await load_active(self._engine)
            return True  # look again at once


async def fire_some(driver: Driver, journeys: Journeys, kinds: Kinds) -> bool:
    """The same as part of a transaction. Raises `Superseded` when other versions are in force than `journeys`."""
    rows = await customers.due(driver, await horizon.reached(driver), AT_ONCE)
    if not rows:
        return False
    reached = await reached_under(driver, journeys)
    found = {customer: _elapse(journeys, row, reached) for customer, row in rows.items()}
    changes = [
        Change(customer, decode_state(rows[customer].state), folded)
        for customer, folded in found.items()
        if folded is not None
    ]
    again = {customer for customer, folded in found.items() if folded is None}
    changes += await fold_again_all(driver, journeys, again, rows, reached)
    await tell(driver, changes, rows, {}, kinds.strong, reached)
    TIMERS_FIRED.inc(sum(len(change.after.transitions) for change in changes if change.after.again is None))
    return True


def _elapse(journeys: Journeys, row: customers.Row, reached: datetime) -> Folded | None:
    """Time passed, and what waited for it folded; None when that needs the customer's history."""
    if row.waiting:
        return take(journeys, row, (), reached)
    return let_pass(journeys, Folded(decode_state(row.state), (), (), None, None, recent=row.recent), reached)
