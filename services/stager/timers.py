"""Timers: what time alone causes while nothing else happens, and touchpoints that waited for the horizon."""

from datetime import datetime

from journey.identity import Kinds
from journey.machine import Journeys
from journey.state import decode_state
from plumbing.store import customers, horizon
from plumbing.store.engine import Engine, transaction
from plumbing.telemetry import TIMERS_FIRED
from services.stager.folding import Folded, let_pass
from services.stager.stage_batch import fold_again_all
from services.stager.telling import Change, tell

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
            waiting = {customer for customer, row in rows.items() if row.waiting}
            changes = [self._elapse(customer, rows[customer], reached) for customer in rows.keys() - waiting]
            changes += await fold_again_all(driver, self._journeys, waiting, rows, reached)
            await tell(driver, changes, rows, {}, self._kinds.strong, reached)
        TIMERS_FIRED.inc(sum(len(change.after.transitions) for change in changes if not change.again))
        return bool(rows)

    def _elapse(self, customer: int, row: customers.Row, reached: datetime) -> Change:
        state = decode_state(row.state)
        after = let_pass(self._journeys, Folded(state, (), (), None, None), reached)
        return Change(customer, state, after, again=False)
