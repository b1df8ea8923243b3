"""What comes a little late is folded from the customer's own row, says the same as their whole history, and says so."""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from journey.touchpoint import Touchpoint
from plumbing.store import definitions
from plumbing.store.engine import make_engine, transaction
from plumbing.telemetry import REGISTRY
from schemas import journey_documents
from tests.support.place import BEYOND_ALL, Place
from tests.support.population import publish
from tests.support.stager import NOON, touchpoint

TYPES = ("product_viewed", "products_compared", "order_completed", "complaint_submitted", "review_submitted")


class Watched:
    """A store with a stager's parts on it, and the statements that it is sent."""

    def __init__(self, place: Place, database_url: str) -> None:
        self.place = place
        self._url = database_url
        self._statements: list[str] = []

    async def begin(self) -> None:
        await self.place.empty(NOON)
        async with transaction(self.place.engine) as driver:  # its one idle connection, used again
            driver.add_query_logger(lambda query: self._statements.append(query.query))

    async def stage(self, *touchpoints: Touchpoint) -> list[str]:
        """Stage one batch. Returns the statements that read or wrote touchpoints."""
        self._statements.clear()
        await self.place.stage(touchpoints)
        assert self._statements
        return sorted({one for one in self._statements if "touchpoints" in one})

    async def export(self) -> list[bytes]:
        """The export once all time has passed."""
        assert await self.place.agrees()
        await self.place.let_pass(BEYOND_ALL)
        assert await self.place.agrees()
        return await self.place.export()

    async def value(self, sql: str, *arguments: object) -> Any:
        connection = await asyncpg.connect(self._url)
        try:
            return await connection.fetchval(sql, *arguments)
        finally:
            await connection.close()


@pytest.fixture
async def watched(database_url: str) -> AsyncIterator[Watched]:
    place = Place(database_url, await publish(database_url))
    watched = Watched(place, database_url)
    await watched.begin()
    yield watched
    await place.close()


def refolds(source: str) -> float:
    return REGISTRY.get_sample_value("jalon_refolds_total", {"source": source}) or 0.0


def visits(number: int) -> list[Touchpoint]:
    """What one customer did, an hour apart."""
    chance = random.Random(number)
    return [touchpoint(f"{hour:03}", chance.choice(TYPES), hours=hour) for hour in range(number)]


async def in_order(watched: Watched, told: Iterable[Touchpoint]) -> list[bytes]:
    """The export of the same told in order, one batch each."""
    await watched.place.empty(NOON)
    for one in sorted(told, key=lambda one: one.order):
        await watched.place.stage([one])
    return await watched.export()


async def test_a_touchpoint_that_is_a_little_late_reads_no_history(watched: Watched) -> None:
    told = visits(30)
    for one in told[:27]:
        usual = await watched.stage(one)
    assert usual == await watched.stage(told[29])
    before = refolds("row"), refolds("history")
    assert usual == await watched.stage(told[28])
    assert usual == await watched.stage(told[27])
    assert not any("customer = ANY" in statement for statement in usual)
    assert (refolds("row"), refolds("history")) == (before[0] + 2, before[1])
    assert await watched.export() == await in_order(watched, told)


async def test_many_late_ones_of_a_customer_in_one_batch_are_one_fold(watched: Watched) -> None:
    told = visits(20)
    await watched.stage(*told[:14], told[19])
    before = refolds("row") + refolds("history")
    await watched.stage(*told[14:19])
    assert refolds("row") + refolds("history") == before + 1
    assert await watched.export() == await in_order(watched, told)


async def test_what_is_older_than_the_row_remembers_reads_history_once(watched: Watched) -> None:
    told = visits(60)
    await watched.stage(*told[1:])
    before = refolds("history")
    statements = await watched.stage(told[0])
    assert len([one for one in statements if "customer = ANY" in one]) == 1
    assert refolds("history") == before + 1
    assert await watched.place.agrees()
    late = touchpoint("later", "order_completed", hours=58.5)
    await watched.stage(late)  # the fold of the whole history leaves a recent past again
    assert refolds("history") == before + 1
    assert await watched.export() == await in_order(watched, [*told, late])


@pytest.mark.parametrize("back", [1, 3, 8])
async def test_disorder_within_a_window_gives_the_export_of_order(watched: Watched, back: int) -> None:
    chance = random.Random(back)
    told = visits(50)
    shuffled = sorted(told, key=lambda one: (one.occurred_at - NOON) / timedelta(hours=1) + chance.uniform(0, back))
    for one in shuffled:
        await watched.stage(one)
    assert await watched.export() == await in_order(watched, told)


async def test_a_timer_that_a_late_touchpoint_prevents_is_taken_back(watched: Watched) -> None:
    silent = "SELECT count(*) FROM facts WHERE kind = 'dead_time' AND occurred_at < $1"
    spring = NOON + timedelta(days=90)
    await watched.stage(touchpoint("1"))
    await watched.place.let_pass(spring)
    assert await watched.value(silent, spring) > 0
    before = refolds("row"), refolds("history")
    await watched.stage(*(touchpoint(f"late {day}", hours=24 * day) for day in range(1, 90)))
    assert await watched.value(silent, spring) == 0
    assert (refolds("row"), refolds("history")) == (before[0] + 1, before[1])
    assert await watched.place.agrees()


async def test_what_waits_for_the_horizon_is_folded_from_the_row_when_it_comes(watched: Watched) -> None:
    ahead = touchpoint("ahead", "order_completed", hours=5, received_at=NOON)
    await watched.stage(touchpoint("1"), ahead)
    await watched.stage(touchpoint("2", hours=1))
    assert await watched.value("SELECT waiting FROM customers WHERE octet_length(state) > 1")
    before = refolds("history")
    await watched.place.let_pass(NOON + timedelta(hours=6))
    assert await watched.value("SELECT count(*) FROM transitions WHERE cause ->> 'id' = 'ahead'") > 0
    assert refolds("history") == before
    assert await watched.place.agrees()


async def test_under_other_definitions_what_is_late_reads_history(watched: Watched, database_url: str) -> None:
    told = visits(10)
    for one in told[:9]:
        await watched.stage(one)
    changed = [document.replace("\nversion: 1\n", "\nversion: 2\n") for document in journey_documents()]
    await put_in_force(database_url, changed)
    before = refolds("history")
    await watched.place.stage([told[9]])
    await watched.place.stage([touchpoint("late", hours=8.5)])
    assert refolds("history") == before + 1
    assert await watched.value("SELECT array_agg(DISTINCT version) FROM transitions WHERE retracted_at IS NULL") == [2]


async def put_in_force(database_url: str, documents: Iterable[str]) -> None:
    """Without the switch that would fold everybody anew."""
    engine = make_engine(database_url, connections=1)
    async with transaction(engine) as driver:
        await driver.execute("UPDATE definitions SET active = false")
    for document in documents:
        published = await definitions.publish(engine, document)
        async with transaction(engine) as driver:
            await definitions.put_in_force(driver, published.definition.journey, 2, NOON)
    await engine.dispose()


async def test_what_is_told_taken_back_and_told_again_are_three_messages(watched: Watched) -> None:
    """A till's ticket without a card belongs to who signed in last: to Anne, to Bob, and to Anne again."""
    tablet = {"device_id": "tablet"}
    anne = touchpoint("anne", "signed_in", hours=1, identifiers={"email": "anne@example.com", **tablet})
    bob = touchpoint("bob", "signed_in", hours=2, identifiers={"email": "bob@example.com", **tablet})
    earlier = msgspec.structs.replace(bob, occurred_at=NOON)  # the copy that counts
    order = touchpoint("order", "order_completed", hours=3, identifiers=tablet)
    for one in (anne, order, bob, earlier):
        await watched.stage(one)
    assert await watched.place.agrees()
    messages = await _messages(watched)
    said = [_without_id(one) for one in messages]
    again = [one for one in said if said.count(one) == 2]
    assert {one["added"][0]["cause"]["id"] for one in again} == {"order"}
    assert len({one["id"] for one in messages}) == len(messages)


async def test_a_restored_backup_sends_the_same_messages(watched: Watched) -> None:
    told = visits(12)
    order = [*told[:6], told[8], *told[9:], told[6], told[7]]
    ids = []
    for _ in range(2):
        await watched.place.empty(NOON)
        for one in order:
            await watched.stage(one)
        ids.append([one["id"] for one in await _messages(watched)])
    assert ids[0] == ids[1]
    assert ids[0]


async def _messages(watched: Watched) -> Sequence[dict[str, Any]]:
    bodies = await watched.value("SELECT array_agg(body ORDER BY entry) FROM outbox")
    return [msgspec.json.decode(body) for body in bodies]


def _without_id(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in {"id", "learned_at"}}
