"""The API when what it stands on is away, comes back, or when it is told to stop."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from plumbing.clock import new_id
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.store.migrate import migrate
from tests.support.api import KEYS, READ, bearing, serving_api
from tests.support.database import drop, sibling
from tests.support.population import publish
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.waiting import eventually
from tests.support.world import World, inhabited

PATHS = ("/v1/journeys", "/v1/customers/by/email/a@example.com", "/v1/stream", "/v1/changes")

BUSY = """
SELECT FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a database that nobody has migrated yet."""
    name = f"empty_{new_id()}"
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    yield sibling(postgres.url, name)
    await drop(postgres.url, name)


async def test_it_waits_for_its_tables_and_says_so(empty_database: str) -> None:
    async with (
        serving_api(empty_database, wait=False) as url,
        httpx.AsyncClient(base_url=url, headers=bearing(READ)) as client,
    ):
        assert (await client.get("/healthz")).status_code == 200
        for path in ("/readyz", *PATHS):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
            assert answer.json()["code"] == "store-unavailable"
        assert "API token" in (await client.get("/", headers={"authorization": ""})).text  # this form needs no store
        await migrate(empty_database)
        await publish(empty_database)
        await eventually(lambda: is_ready(client))
        assert len((await client.get("/v1/journeys")).json()["items"]) == 4


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


async def test_it_goes_on_when_its_connections_were_cut(postgres: EmbeddedPostgres, template_database: str) -> None:
    async with inhabited(postgres.url, template_database) as world:
        await eventually(lambda: answers(world))
        connection = await asyncpg.connect(world.database_url)
        cut = await connection.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'jalon-api%'"
        )
        assert len(cut) >= 3
        await connection.close()
        await eventually(lambda: answers(world))
        first = await world.population.send(world.ludovic, "customer-journey", stage_now="advocacy")
        async with world.client.stream("GET", f"/v1/stream?after={first - 1}") as response:
            async for line in response.aiter_lines():
                if line == f"id: {first}":
                    break


async def answers(world: World) -> bool:
    paths = (f"/v1/customers/{world.ludovic}", f"/v1/customers/{world.ludovic}/timeline", "/readyz")
    return {(await world.client.get(path)).status_code for path in paths} == {200}


async def test_clients_that_leave_in_the_middle_leak_no_connection(
    postgres: EmbeddedPostgres, template_database: str
) -> None:
    async with inhabited(postgres.url, template_database) as world:
        for _ in range(30):
            asked = [
                asyncio.create_task(world.client.get(f"/v1/customers/{world.ludovic}{path}"))
                for path in ("", "/timeline", "/transitions")
            ]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        connection = await asyncpg.connect(world.database_url)

        async def none_is_busy() -> bool:
            return not await connection.fetch(BUSY)

        await eventually(none_is_busy)
        await connection.close()
        assert await answers(world)


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_ends_it_in_order_also_with_listeners(database_url: str, workers: int) -> None:
    await publish(database_url)
    port = free_port()
    environment = {
        "JALON_DATABASE_URL": database_url,
        "JALON_BOOTSTRAP_KEYS": KEYS,
        "JALON_API_PORT": str(port),
        "JALON_WORKERS": str(workers),
    }
    async with (
        Service("api", port=port, environment=environment) as service,
        httpx.AsyncClient(base_url=service.url, headers=bearing(READ)) as client,
    ):
        await eventually(lambda: is_ready(client))
        async with client.stream("GET", "/v1/stream") as response:
            assert response.status_code == 200
            ending = asyncio.create_task(asyncio.to_thread(service.terminate))
            async for _ in response.aiter_bytes():
                pass
            assert await ending == 0
