"""Two stagers tie the same people from two partitions at the same instant: both are right, whoever waits for whom."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from journey.machine import Journeys
from journey.touchpoint import Touchpoint
from plumbing.store import positions
from plumbing.store.engine import Engine, make_engine, transaction
from services.stager.stage_batch import Batch, Stage
from tests.support.lives import Lives
from tests.support.place import KINDS, REFERENCE, REFUSED, SEALER, WHOSE, stored_form
from tests.support.population import publish
from tests.support.stager import NOON, touchpoint


class TwoStagers:
    """Two stagers on one store, each with a partition of its own."""

    def __init__(self, engine: Engine, journeys: Journeys) -> None:
        self._engine = engine
        self._stages = [Stage(engine, journeys, SEALER, KINDS) for _ in range(2)]
        self._claims: dict[int, positions.Claim] = {}

    async def begin(self) -> None:
        async with transaction(self._engine) as driver:
            await driver.execute("UPDATE horizon SET reached_at = $1", NOON + timedelta(days=3_650))
            self._claims = dict(await positions.claim(driver, "log", "topic", {0, 1}, "test"))

    async def stage(self, partition: int, batches: Sequence[Sequence[Touchpoint]]) -> None:
        for batch in batches:
            claim = self._claims[partition]
            moved = {partition: (claim.next_offset + len(batch), NOON)}
            incoming = [stored_form(one) for one in batch]
            await self._stages[partition].stage(Batch("topic", {partition: claim}, incoming, [], moved))
            self._claims[partition] = claim._replace(next_offset=claim.next_offset + len(batch))

    async def assignment(self) -> tuple[set[frozenset[tuple[str, str]]], set[tuple[bytes, bytes]]]:
        async with transaction(self._engine) as driver:
            whose = [tuple(row) for row in await driver.fetch(WHOSE)]
            refused = {tuple(row) for row in await driver.fetch(REFUSED)}
        groups = {frozenset(row[:2] for row in whose if row[2] == customer) for _, _, customer in whose}
        return groups, refused


@pytest.fixture
async def stagers(database_url: str) -> AsyncIterator[TwoStagers]:
    journeys = await publish(database_url)
    engine = make_engine(database_url, connections=4)
    stagers = TwoStagers(engine, journeys)
    await stagers.begin()
    yield stagers
    await engine.dispose()


async def test_a_person_tied_from_two_partitions_at_the_same_instant_is_one(stagers: TwoStagers) -> None:
    """Each stager makes one link of a chain that neither sees whole, again and again."""
    left, right, told = [], [], []
    for number in range(25):
        mail, card, phone = (
            {"email": f"{number}@a.fr"},
            {"loyalty_card": f"L{number}"},
            {"phone": f"+3360000{number:04}"},
        )
        one = [
            touchpoint(f"l{number}-0", identifiers=mail),
            touchpoint(f"l{number}-1", hours=1, identifiers=card | mail),
        ]
        other = [
            touchpoint(f"r{number}-0", identifiers=phone),
            touchpoint(f"r{number}-1", hours=2, identifiers=card | phone),
        ]
        left.append(one)
        right.append(other)
        told += [*one, *other]
    await asyncio.gather(stagers.stage(0, left), stagers.stage(1, right))
    groups, refused = await stagers.assignment()
    assert groups == REFERENCE.assign(told).groups
    assert len(groups) == 25
    assert not refused


async def test_of_two_links_made_at_the_same_instant_the_later_one_is_refused(stagers: TwoStagers) -> None:
    """One e-mail address with two loyalty cards: the order of the touchpoints decides, not that of the stagers."""
    left, right, told = [], [], []
    for number in range(25):
        mail = {"email": f"{number}@a.fr"}
        early = touchpoint(f"e{number}", hours=1, identifiers=mail | {"loyalty_card": f"A{number}"})
        late = touchpoint(f"l{number}", hours=2, identifiers=mail | {"loyalty_card": f"B{number}"})
        left.append([early if number % 2 else late])
        right.append([late if number % 2 else early])
        told += [early, late]
    await asyncio.gather(stagers.stage(0, left), stagers.stage(1, right))
    expected = REFERENCE.assign(told)
    assert await stagers.assignment() == (expected.groups, expected.refused)
    assert len(expected.refused) == 25


@pytest.mark.parametrize("seed", range(30))
async def test_two_stagers_that_share_crossing_lives_are_both_right(stagers: TwoStagers, seed: int) -> None:
    lives = Lives(seed, 40)
    told = {
        (one.source, one.id): one for one in lives.touchpoints()
    }  # one copy of each: which one counts, is elsewhere
    halves = [[one for one in told.values() if (len(one.id) + ord(one.id[0])) % 2 == side] for side in range(2)]
    await asyncio.gather(*(stagers.stage(side, lives.batches(halves[side])) for side in range(2)))
    expected = REFERENCE.assign(told.values())
    assert await stagers.assignment() == (expected.groups, expected.refused)
