"""DESIGN, law 1, at the level of the batch: the order and the batches that touchpoints come in change nothing.

Each case invents some crossing lives (tests/support/lives.py), with what people say about them, stages them several
times in other orders and batches (also with the horizon moving on in between, so that timers fire which a late
touchpoint takes back), and asks that the export be the same byte for byte, be what a fold of the stored touchpoints
gives, tie the touchpoints and refuse the links as the reference does, and that the tables agree with each other.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from itertools import permutations

import asyncpg
import pytest

from journey.touchpoint import Touchpoint
from tests.support.lives import Lives, Said
from tests.support.place import BEYOND_ALL, REFERENCE, Place, command_of, that_count
from tests.support.population import publish
from tests.support.stager import NOON, touchpoint


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')  # nothing here is killed
    await connection.close()
    place = Place(database_url, await publish(database_url))
    yield place
    await place.close()


async def _tell(
    place: Place, lives: Lives, batches: Sequence[Sequence[Touchpoint]], says: Sequence[Said], *, ticking: bool
) -> list[bytes]:
    """Stage the batches, with commands in between, and export; `ticking`: time passes as they come, otherwise it has
    passed before."""
    last = max(one.occurred_at for batch in batches for one in batch)
    passing = sorted(NOON + (last - NOON) * lives.chance.uniform(0, 1.5) for _ in batches)
    await place.empty(NOON - timedelta(hours=1) if ticking else BEYOND_ALL)
    given: list[int] = []
    to_say = list(says)
    for batch, until in zip(batches, passing, strict=True):
        while to_say and lives.chance.random() < 0.5:
            given.append(await place.say(to_say.pop(0)))
        await place.stage(batch)
        if ticking:
            await place.let_pass(until)
    given += [await place.say(said) for said in to_say]
    for said, number in zip(says, given, strict=True):
        if said.undone:
            await place.take_back(number)
    await place.let_pass(BEYOND_ALL)
    return await place.export()


async def _holds(place: Place, seed: int, tellings: int, most: int) -> None:
    lives = Lives(seed, most)
    told = lives.touchpoints()
    says = lives.commands(told)
    expected = await _tell(place, lives, [told], says, ticking=False)
    in_the_end = [command_of(said)[0] for said in says if not said.undone]
    assigned = REFERENCE.assign(that_count(told), in_the_end)
    assert await place.assignment() == (assigned.customer_of, assigned.refused), f"seed {seed}"
    assert await place.agrees(), f"seed {seed}"
    for telling in range(tellings):
        found = await _tell(place, lives, lives.batches(told), says, ticking=bool((seed + telling) % 2))
        assert found == expected, f"seed {seed}, telling {telling}"
        assert (await place.assignment())[1] == assigned.refused, f"seed {seed}, telling {telling}"
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
