"""A build outlives whoever works on it: killed again and again, it goes on where it was, and the switch is whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.backlog import LIVED_AT, backlog
from tests.support.command import Session, run_jalon
from tests.support.population import publish
from tests.support.stager import SECRET
from tests.support.versions import Store, customer_journey, without_rules
from tests.support.waiting import eventually

NAME = "customer-journey"
TOLD = backlog(20_000, 5_000)
FOLDED = "SELECT coalesce(max(folded), 0) FROM builds"
PENDING = "SELECT customers - folded FROM builds WHERE state = 'building'"
KILLS = 3


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(database_url, await publish(database_url))
    await store.publish(customer_journey(2, transitions=without_rules("weighs_us_up", "tries", "browses_again")))
    await store.execute("UPDATE horizon SET reached_at = $1", LIVED_AT)
    for begin in range(0, len(TOLD), 1_000):
        await store.stage(TOLD[begin : begin + 1_000])
    yield store
    await store.close()


@pytest.mark.long
async def test_a_build_that_is_killed_goes_on_where_it_was(store: Store, database_url: str) -> None:
    environment = {"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": SECRET}
    live = await store.export()
    for _ in range(KILLS):
        folded = await store.value(FOLDED)

        async def is_further(than: int = folded) -> bool:
            return bool(await store.value(FOLDED) > than)

        with Session("journeys", "activate", NAME, "2", environment=environment) as command:
            await eventually(is_further)
            command.process.kill()
            await asyncio.to_thread(command.process.wait)
        assert await store.value(PENDING) > 0  # or the kill came too late to show anything
        assert await store.value("SELECT count(*) FROM build_customers") == await store.value(FOLDED)
        assert await store.export() == live
    done = await asyncio.to_thread(run_jalon, "journeys", "activate", NAME, "2", environment=environment)
    assert done.returncode == 0, done.stderr
    assert await store.value("SELECT count(*) FROM builds") == 1
    assert await store.differences() == []
    await store.activate(NAME, 1)
    assert await store.export() == live
