"""Applying identity commands to what is stored (what comes later heeds them by itself: `heeding.py`).

They are applied while no batch is under way: what they take back, no other stager may be relying on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from journey.assignment import Names
from journey.commands import OnPair, OnTouchpoint
from journey.errors import Superseded
from journey.identity import Kinds
from journey.machine import Journeys
from plumbing.store import commands, positions, touchpoints
from plumbing.store.bodies import pack, unpack
from plumbing.store.commands import Given
from plumbing.store.definitions import load_active
from plumbing.store.engine import Driver, Engine, transaction
from plumbing.store.in_force import reached_under
from plumbing.store.sealing import Sealer
from plumbing.telemetry import Action, log
from services.stager.heeding import as_told
from services.stager.incoming import CLASSES, Carried, Incoming
from services.stager.stage_batch import fold_again_all
from services.stager.telling import tell
from services.stager.ties import Tier, Ties, Told


class Commander:
    """Applies commands by the definitions in force and one identity configuration."""

    def __init__(self, engine: Engine, journeys: Journeys, sealer: Sealer, kinds: Kinds) -> None:
        self._engine = engine
        self._journeys = journeys
        self._kinds = kinds
        self._tier = Tier(sealer, kinds)

    async def apply(self) -> bool:
        """Apply commands that were given or undone since the last time; False when there were none."""
        async with transaction(self._engine) as driver:
            if not await commands.waiting(driver):
                return False
        try:
            async with transaction(self._engine) as driver:
                applied = await self._apply(driver)
        except Superseded:
            self._journeys = await load_active(self._engine)
            return True  # look again at once
        log(Action.COMMANDS_APPLIED, records=applied)
        return True

    async def _apply(self, driver: Driver) -> int:
        """How many commands were applied. Raises `Superseded`."""
        await positions.wait_for_all(driver)
        given = await commands.pending(driver)
        await commands.settle(driver, [one.number for one in given])
        ties = await self._tie(driver, given)
        reached = await reached_under(driver, self._journeys)
        changes = await fold_again_all(driver, self._journeys, ties.refold, ties.rows, reached)
        await tell(driver, changes, ties.rows, ties.shown_before, self._kinds.strong, reached)
        return len(given)

    async def _tie(self, driver: Driver, given: Sequence[Given]) -> Ties:
        pairs = [one.command.pair for one in given if isinstance(one.command, OnPair)]
        told = [
            Told(*identifier)
            for one in given
            if isinstance(one.command, OnPair)
            for identifier in zip(one.command.pair, one.kinds, one.sealed, strict=True)
        ]
        keys = {(one.command.source, one.command.id) for one in given if isinstance(one.command, OnTouchpoint)}
        rows = await touchpoints.of_keys(driver, keys)
        batch = await as_told(driver, [_as_it_came(row, self._kinds) for row in rows])
        withdrawn = [row for row in rows if row["customer"] is not None]
        ties = await self._tier.tie(driver, batch, withdrawn, pairs, told)
        await touchpoints.replace(
            driver, [pack(one.touchpoint, ties.whose.get(one.order), one.struck) for one in batch]
        )
        ties.refold |= {whose.customer for whose in ties.whose.values()}
        return ties


def _as_it_came(row: Mapping[str, Any], kinds: Kinds) -> Incoming:
    touchpoint = unpack(row)
    carried = [Carried(bytes.fromhex(one.value), one) for one in kinds.identifiers(touchpoint)]
    return Incoming(
        touchpoint,
        touchpoint.order,
        carried,
        Names(*(tuple(one.digest for one in carried if one.identifier.class_ is class_) for class_ in CLASSES)),
    )
