"""Who holds the horizon back is told: by the store, the stager's pages and the doctor."""

from datetime import timedelta

import asyncpg
import httpx

from plumbing.clock import now
from plumbing.store import horizon
from plumbing.store.engine import make_engine, transaction
from plumbing.store.horizon import Held
from tests.support.command import run_jalon
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY
from tests.support.stager import NOON, running_stager, stager_settings
from tests.support.waiting import eventually

READ = "INSERT INTO positions VALUES ($1, $2, 'log', 7, 1, 'me', $3)"


async def test_the_store_names_the_partition_furthest_behind_or_not_read(database_url: str) -> None:
    engine = make_engine(database_url, connections=1)
    async with transaction(engine) as driver:
        await driver.execute("UPDATE horizon SET reached_at = $1", NOON)
        for partition, hours in ((0, 2), (1, 1), (2, 3)):
            await driver.execute(READ, "ours", partition, NOON + timedelta(hours=hours))
        await driver.execute(READ, "theirs", 0, NOON - timedelta(days=9))
        assert await horizon.held(driver, "ours", 3) == Held(NOON, 1)
        assert await horizon.held(driver, "ours", 4) == Held(NOON, 3)
        await horizon.move(driver, "ours", 4)
        assert await horizon.held(driver, "ours", 4) == Held(NOON, 3)
        await horizon.move(driver, "ours", 3)
        assert await horizon.held(driver, "ours", 3) == Held(NOON + timedelta(hours=1), 1)
    await engine.dispose()


async def test_the_stager_shows_which_partition_it_is(database_url: str) -> None:
    settings = stager_settings(database_url, horizon_patience=timedelta(microseconds=1))
    async with (
        running_stager(settings),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.stager_port}", trust_env=False) as client,
    ):

        async def complains() -> bool:
            answer = await client.get("/readyz")
            return answer.status_code == httpx.codes.OK and "has held time back for" in answer.text

        await eventually(complains)
        assert 'jalon_horizon_held_seconds{partition="' in (await client.get("/metrics")).text


async def test_the_doctor_names_it(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE horizon SET reached_at = $1", NOON)
    await connection.execute(READ, "jalon.touchpoints", 0, now())
    await connection.execute(READ, "jalon.touchpoints", 4, NOON)
    environment = {
        "JALON_DATABASE_URL": database_url,
        "JALON_SECRET_KEY": SECRET_KEY,
        "JALON_STAGER_PORT": str(free_port()),
    }
    examined = run_jalon("doctor", environment=environment).stdout
    assert "look horizon     time stands at 2026-03-02 12:00:00 UTC: partition 4 holds it" in examined
    await connection.execute("UPDATE positions SET read_to = now() WHERE partition = 4")
    await connection.close()
    examined = run_jalon("doctor", environment=environment).stdout
    assert "2026-03-02 12:00:00 UTC: a partition is not read at all" in examined
