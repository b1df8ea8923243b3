"""One batch, one transaction: drop duplicates, tie, fold, write touchpoints, states, transitions, messages, positions.

All of it or nothing. Where another stager gets in between, the whole batch is done again: it is the same batch, and
nothing of an attempt remains but the log line.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from journey.errors import Contended, Superseded
from journey.identity import Kinds
from journey.machine import Journeys
from journey.state import decode_state
from journey.touchpoint import Touchpoint
from plumbing.store import customers, dead_letters, positions, touchpoints
from plumbing.store.bodies import pack
from plumbing.store.dead_letters import DeadLetter
from plumbing.store.definitions import load_active
from plumbing.store.engine import Driver, Engine, transaction
from plumbing.store.in_force import reached_under
from plumbing.store.positions import Claim
from plumbing.store.sealing import Sealer
from plumbing.telemetry import BATCH_RETRIES, CONFLICTS, REFOLDS, Action, log
from services.stager.differences import Change
from services.stager.duplicates import Chosen, choose
from services.stager.folding import fold_again, take
from services.stager.heeding import NeedsToBeAlone, as_told, unchanged
from services.stager.incoming import Incoming
from services.stager.telling import tell
from services.stager.ties import Tier, Ties

ATTEMPTS_BESIDE_OTHERS = 3
"""After so many collisions a batch is done while all other stagers wait."""

ATTEMPTS = 10
"""After so many it is no other stager that is in the way: the consumer starts anew, and says so."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read of some partitions: touchpoints, what could not become one, and the positions before and after.

    `moved` is partition → (next offset, the instant up to which everything received is read).
    """

    topic: str
    claims: Mapping[int, Claim]
    incoming: Sequence[Incoming]
    letters: Sequence[DeadLetter]
    moved: Mapping[int, tuple[int, datetime]]


class Stage:
    """Stages batches by the definitions in force, which it loads anew when others have come into force."""

    def __init__(self, engine: Engine, journeys: Journeys, sealer: Sealer, kinds: Kinds) -> None:
        self._engine = engine
        self._journeys = journeys
        self._kinds = kinds
        self._tier = Tier(sealer, kinds)

    async def stage(self, batch: Batch) -> None:
        """Commit one batch.

        Raises `Fenced` when somebody else has one of its partitions, `StoreUnavailable`, `DoesNotFit` for a value that
        Postgres cannot hold, and `Contended` when it collides even with all others waiting.
        """
        attempt = 0
        alone = False
        while True:
            attempt += 1
            try:
                async with transaction(self._engine) as driver:
                    await positions.lock(driver, batch.topic, batch.claims, alone=alone)
                    await self._stage(driver, batch, alone)
                return
            except Superseded:
                self._journeys = await load_active(self._engine)
            except Contended as error:
                BATCH_RETRIES.inc()
                log(Action.BATCH_RETRIED, attempt=attempt, reason=str(error))
                alone = alone or attempt >= ATTEMPTS_BESIDE_OTHERS or isinstance(error, NeedsToBeAlone)
                if attempt == ATTEMPTS:
                    raise

    async def _stage(self, driver: Driver, batch: Batch, alone: bool) -> None:
        if batch.incoming:
            await self._apply(driver, batch.incoming, alone)
        await dead_letters.keep(driver, batch.letters)
        await positions.advance(driver, batch.topic, batch.moved)

    async def _apply(self, driver: Driver, incoming: Sequence[Incoming], alone: bool) -> None:
        keys = {(one.touchpoint.source, one.touchpoint.id) for one in incoming}
        chosen = choose(incoming, await touchpoints.copies(driver, keys))
        counting = await as_told(driver, [*chosen.new, *(copy.one for copy in chosen.replace)])
        kept = unchanged([copy.row for copy in chosen.replace], counting, self._kinds)
        replaced = [copy.row for copy in chosen.replace if copy.one.order not in kept]
        withdrawn = [row for row in replaced if row["customer"] is not None]
        if withdrawn and not alone:
            raise NeedsToBeAlone
        batch = [one for one in counting if one.order not in kept]
        ties = await self._tier.tie(driver, batch, withdrawn, kept=kept.values())
        await self._store(driver, chosen, counting, ties)
        ties.refold.update(
            ties.whose[copy.one.order].customer for copy in chosen.replace if copy.one.order in ties.whose
        )
        reached = await reached_under(driver, self._journeys)
        changes = await self._fold(driver, chosen.new, ties, reached)
        await tell(driver, changes, ties.rows, ties.shown_before, self._kinds.strong, reached)

    async def _store(self, driver: Driver, chosen: Chosen, counting: Sequence[Incoming], ties: Ties) -> None:
        rows = {one.order: pack(one.touchpoint, ties.whose.get(one.order), one.struck) for one in counting}
        await touchpoints.insert(driver, [rows[one.order] for one in chosen.new])
        await touchpoints.replace(driver, [rows[copy.one.order] for copy in chosen.replace])
        await touchpoints.note_copies(driver, chosen.noted)
        CONFLICTS.inc(sum(conflicts for _, conflicts in chosen.noted.values()))

    async def _fold(self, driver: Driver, new: Sequence[Incoming], ties: Ties, reached: datetime) -> list[Change]:
        fresh: dict[int, list[Touchpoint]] = defaultdict(list)
        for one in sorted(new, key=lambda one: one.order):
            if one.order in ties.whose:
                fresh[ties.whose[one.order].customer].append(one.touchpoint)
        changes = []
        again = set(ties.refold)
        for customer in fresh.keys() - again:
            row = ties.rows[customer]
            folded = take(self._journeys, row, fresh[customer], reached)
            if folded is None:
                again.add(customer)
            else:
                changes.append(Change(customer, decode_state(row.state), folded))
        REFOLDS.labels("row").inc(sum(change.after.again is not None for change in changes))
        return changes + await fold_again_all(driver, self._journeys, again, ties.rows, reached)


async def fold_again_all(
    driver: Driver, journeys: Journeys, again: set[int], rows: Mapping[int, customers.Row], reached: datetime
) -> list[Change]:
    """Fold customers (whose rows are locked) from their stored touchpoints."""
    histories = await touchpoints.histories(driver, again)
    REFOLDS.labels("history").inc(len(again))
    changes = []
    for customer in sorted(again):
        row = rows[customer]
        folded = fold_again(journeys, row, histories.get(customer, []), reached)
        changes.append(Change(customer, decode_state(row.state), folded))
    return changes
