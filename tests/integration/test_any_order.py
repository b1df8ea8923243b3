"""DESIGN, law 1, at the level of the batch: the order and the batches that touchpoints come in change nothing.

Each case invents some crossing lives (tests/support/lives.py), stages them several times in other orders and batches
(also with the horizon moving on in between, so that timers fire which a late touchpoint takes back), and asks that the
export be the same byte for byte, be what a fold of the stored touchpoints gives, tie the touchpoints as the reference
does, and that the tables agree with each other.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import permutations

import asyncpg
import pytest

from journey.identity import Kinds, parse_identity
from journey.machine import Journeys
from journey.touchpoint import Touchpoint, counts_before, encode
from plumbing.log.port import StoredRecord
from plumbing.settings import decode_key
from plumbing.store.engine import make_engine, transaction
from plumbing.store.exporting import Exporter
from plumbing.store.exporting import encode as line_of
from plumbing.store.sealing import Sealer
from schemas import identity_document
from services.stager.incoming import Incoming, Reader
from services.stager.stage_batch import Batch, Stage
from services.stager.timers import Timers
from tests.properties.reference_identity import Key, ReferenceIdentity
from tests.support.lives import Lives
from tests.support.population import publish
from tests.support.stager import NOON, SECRET, touchpoint

BEYOND_ALL = NOON + timedelta(days=3_650)
CONFIG = parse_identity(identity_document())
KINDS = Kinds(CONFIG)
SEALER = Sealer(decode_key(SECRET))
READER = Reader(SEALER, KINDS)
TABLES = ("customers", "holdings", "identifiers", "touchpoints", "transitions", "stays", "facts", "outbox", "feed")

STAYS_DIFFER = """
SELECT count(*) FROM (
    SELECT customer, journey, run, stage, entered_at, row_number() OVER w, lead(entered_at) OVER w AS left_at
    FROM stays WINDOW w AS (PARTITION BY customer, journey ORDER BY place)
    EXCEPT ALL
    SELECT customer, journey, run, to_stage, occurred_at, row_number() OVER w, lead(occurred_at) OVER w
    FROM transitions WHERE retracted_at IS NULL
    WINDOW w AS (PARTITION BY customer, journey ORDER BY occurred_at, place)
) AS one
"""
GROUPS = "SELECT array_agg(ARRAY[source, id]) FROM touchpoints GROUP BY customer"


class Place:
    """A store that is emptied before each telling, with a stager's parts on it."""

    def __init__(self, database_url: str, journeys: Journeys) -> None:
        self._engine = make_engine(database_url, connections=2)
        self._stage = Stage(self._engine, journeys, SEALER, KINDS)
        self._timers = Timers(self._engine, journeys, KINDS)
        self._exporter = Exporter(database_url, decode_key(SECRET))

    async def close(self) -> None:
        await self._exporter.close()
        await self._engine.dispose()

    async def empty(self, horizon: datetime) -> None:
        async with transaction(self._engine) as driver:
            for table in TABLES:
                await driver.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            await driver.execute("UPDATE horizon SET reached_at = $1", horizon)

    async def stage(self, touchpoints: Iterable[Touchpoint]) -> None:
        await self._stage.stage(Batch("none", {}, [stored_form(one) for one in touchpoints], [], {}))

    async def let_pass(self, until: datetime) -> None:
        """Move the horizon on and fire all that is due then."""
        async with transaction(self._engine) as driver:
            await driver.execute("UPDATE horizon SET reached_at = greatest(reached_at, $1)", until)
        while await self._timers.fire():
            pass

    async def export(self) -> list[bytes]:
        return [line_of(customer) async for customer in self._exporter.stored()]

    async def agrees(self) -> bool:
        """Whether the stored rows are what a fold of the stored touchpoints gives, and the stays what was told."""
        async with transaction(self._engine) as driver:
            stays = await driver.fetchval(STAYS_DIFFER)
        return not stays and [found async for found in self._exporter.differences() if found is not None] == []

    async def groups(self) -> set[frozenset[Key]]:
        """The sets of touchpoints that share a customer."""
        async with transaction(self._engine) as driver:
            rows = await driver.fetch(GROUPS)
        return {frozenset((source, id_) for source, id_ in keys) for (keys,) in rows}


def stored_form(one: Touchpoint) -> Incoming:
    read = READER.read(StoredRecord(0, b"", encode(one), ()))
    assert isinstance(read, Incoming)
    return read


def that_count(told: Iterable[Touchpoint]) -> list[Touchpoint]:
    """Of all copies of a touchpoint the one that counts, by the rule for its stored form."""
    least: dict[Key, Touchpoint] = {}
    for one in told:
        key = (one.source, one.id)
        if key not in least or counts_before(stored_form(one).touchpoint, stored_form(least[key]).touchpoint):
            least[key] = one
    return list(least.values())


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')  # nothing here is killed
    await connection.close()
    place = Place(database_url, await publish(database_url))
    yield place
    await place.close()


async def _tell(place: Place, lives: Lives, batches: Sequence[Sequence[Touchpoint]], *, ticking: bool) -> list[bytes]:
    """Stage the batches and export; `ticking`: time passes as they come, otherwise it has passed before."""
    last = max(one.occurred_at for batch in batches for one in batch)
    passing = sorted(NOON + (last - NOON) * lives.chance.uniform(0, 1.5) for _ in batches)
    await place.empty(NOON - timedelta(hours=1) if ticking else BEYOND_ALL)
    for batch, until in zip(batches, passing, strict=True):
        await place.stage(batch)
        if ticking:
            await place.let_pass(until)
    await place.let_pass(BEYOND_ALL)
    return await place.export()


async def _holds(place: Place, seed: int, tellings: int, most: int) -> None:
    lives = Lives(seed, most)
    told = lives.touchpoints()
    expected = await _tell(place, lives, [told], ticking=False)
    assert await place.groups() == ReferenceIdentity(CONFIG).customers(that_count(told)), f"seed {seed}"
    assert await place.agrees(), f"seed {seed}"
    for telling in range(tellings):
        found = await _tell(place, lives, lives.batches(told), ticking=bool((seed + telling) % 2))
        assert found == expected, f"seed {seed}, telling {telling}"
        assert await place.agrees(), f"seed {seed}, telling {telling}"


@pytest.mark.parametrize("first", range(0, 64, 16))
async def test_order_and_batches_change_nothing(place: Place, first: int) -> None:
    for seed in range(first, first + 16):
        await _holds(place, seed, tellings=1, most=25)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_a_copy_that_counts_takes_its_sign_in_along(place: Place, order: Sequence[int]) -> None:
    """One person's sign-in turns out to be earlier than another's, who signed in on the same tablet in between."""
    tablet = {"device_id": "tablet"}
    told = [
        touchpoint("in", "signed_in", hours=5, identifiers={"email": "a@example.com", **tablet}),
        touchpoint("between", "signed_in", hours=3, identifiers={"email": "b@example.com", **tablet}),
        touchpoint("in", "signed_in", hours=1, identifiers={"email": "a@example.com", **tablet}),
    ]
    await place.empty(BEYOND_ALL)
    await place.stage([touchpoint("after", hours=6, identifiers=tablet)])
    for index in order:
        await place.stage([told[index]])
    assert frozenset({("shop", "between"), ("shop", "after")}) in await place.groups()
    owners = [line.count(b"device_id:tablet") for line in await place.export()]
    assert owners == [1, 1]


@pytest.mark.long
@pytest.mark.parametrize("first", range(1_000, 2_000, 50))
async def test_order_and_batches_change_nothing_in_many_more_lives(place: Place, first: int) -> None:
    for seed in range(first, first + 50):
        await _holds(place, seed, tellings=4, most=60)
