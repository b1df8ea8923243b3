"""What a build says before anyone is touched: how many customers would move where, and why a few of them would."""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from journey.state import JourneyState, decode_state
from plumbing.store import identities
from plumbing.store.builds import Build
from plumbing.store.engine import Driver
from plumbing.store.switching import Cell, matrix


class Sample(NamedTuple):
    """A customer, by the id that the outside knows: where they are, and where the build has them. Both say why."""

    customer: str
    before: JourneyState | None
    now: JourneyState | None


class Foretold(NamedTuple):
    """One cell of the matrix with samples: those of its customers who came first."""

    cell: Cell
    samples: tuple[Sample, ...]


_SAMPLES = """
SELECT b.customer, b.stage_before, b.stage_now, c.state AS live, b.state
FROM (
    SELECT customer, row_number() OVER (PARTITION BY stage_before, stage_now ORDER BY customer) AS place
    FROM build_customers WHERE build = $1 AND (stage_before IS NOT NULL OR stage_now IS NOT NULL)
) AS placed
JOIN build_customers AS b ON b.build = $1 AND b.customer = placed.customer
JOIN customers AS c ON c.customer = b.customer
WHERE placed.place <= $2 AND c.revision = b.revision
ORDER BY b.customer
"""


async def foretold(driver: Driver, build: Build, strong_kinds: Collection[str], samples: int) -> list[Foretold]:
    """The matrix of a build that is built, with at most so many `samples` of each cell; of an ended one its outcome."""
    if not build.is_open:
        ended = build.outcome or {}
        return [Foretold(Cell(*cell), ()) for cell in ended.get("matrix", ())]
    rows = await driver.fetch(_SAMPLES, build.build, samples)
    shown = await identities.shown_ids(driver, [row["customer"] for row in rows], strong_kinds)
    found: dict[tuple[str | None, str | None], list[Sample]] = defaultdict(list)
    for row in rows:
        before, now = (_here(row[state], build.journey) for state in ("live", "state"))
        found[row["stage_before"], row["stage_now"]].append(Sample(shown[row["customer"]], before, now))
    cells = await matrix(driver, build.build)
    return [Foretold(cell, tuple(found[cell.before, cell.now])) for cell in cells]


def _here(state: bytes, journey: str) -> JourneyState | None:
    return decode_state(state).journeys.get(journey)
