"""docker-compose.yml, exercised: each service runs with the file's very command and environment, on real parts.

Only host names become addresses of the loopback: `kafka` and `postgres` are those that the tests run, and each service
listens on a free port, as Docker would map one. All start at once, on an empty database: none may need another first.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import httpx
import pytest

from plumbing.clock import new_id, new_secret, now
from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.compose import compose
from tests.support.database import drop, sibling
from tests.support.ports import free_port
from tests.support.proxy import tcp_port_of
from tests.support.service import Service
from tests.support.waiting import eventually

SERVICES = ("ingest", "stager", "api")


@pytest.fixture(scope="module")
async def empty_database_port(postgres: EmbeddedPostgres) -> AsyncIterator[int]:
    """A port behind which is what the compose file's `postgres` makes: the user `jalon` and its empty database."""
    await _execute(postgres.url, "CREATE ROLE jalon LOGIN PASSWORD 'jalon'", "CREATE DATABASE jalon OWNER jalon")
    async with tcp_port_of(postgres.directory / ".s.PGSQL.5432") as port:
        yield port
    await drop(postgres.url, "jalon")
    await _execute(postgres.url, "DROP ROLE jalon")


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(sibling(url, "postgres"))
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    return {"write": new_secret(), "api": new_secret()}


@pytest.fixture(scope="module")
async def running(
    empty_database_port: int, kafka_bootstrap: str, secrets: Mapping[str, str]
) -> AsyncIterator[dict[str, Service]]:
    """The three services of the file, ready."""
    keys = f"write:shop:website:{secrets['write']},api:test:read+pii:{secrets['api']}"
    services = compose({"JALON_SECRET_KEY": "5a" * 32, "JALON_BOOTSTRAP_KEYS": keys})
    hosts = {"postgres:5432": f"127.0.0.1:{empty_database_port}", "kafka:9092": kafka_bootstrap}
    started = {name: _service(name, services[name], hosts) for name in SERVICES}
    async with AsyncExitStack() as stack:
        for service in started.values():
            service.spawn()
            stack.push_async_callback(service.close)
        await asyncio.gather(*(service.ready() for service in started.values()))
        yield started


def _service(name: str, described: Mapping[str, Any], hosts: Mapping[str, str]) -> Service:
    environment = dict(described["environment"])
    for host, address in hosts.items():
        environment = {key: value.replace(host, address) for key, value in environment.items()}
    port = free_port()
    return Service(
        *described["command"], port=port, environment={**environment, f"JALON_{name.upper()}_PORT": str(port)}
    )


async def test_a_touchpoint_posted_to_ingest_is_answered_by_the_api(
    running: Mapping[str, Service], secrets: Mapping[str, str]
) -> None:
    email = f"{new_id()}@example.com"
    touchpoint = {
        "id": new_id(),
        "type": "order_completed",
        "occurred_at": now().isoformat(),
        "identifiers": {"email": email},
    }
    async with httpx.AsyncClient() as client:
        posted = await client.post(
            f"{running['ingest'].url}/v1/touchpoints",
            json=touchpoint,
            headers={"Authorization": f"Bearer {secrets['write']}"},
        )
        assert posted.status_code == 202, posted.text
        assert posted.json()["accepted"] == 1

        async def stages() -> dict[str, str]:
            asked = await client.get(
                f"{running['api'].url}/v1/customers/by/email/{email}",
                headers={"Authorization": f"Bearer {secrets['api']}"},
            )
            assert asked.status_code == 200, asked.text
            return {at["journey"]: at["stage"]["name"] for at in asked.json()["journeys"]}

        assert (await eventually(stages))["customer-journey"] == "loyalty"


@pytest.mark.parametrize("name", SERVICES)
async def test_the_health_check_of_the_file_passes(running: Mapping[str, Service], name: str) -> None:
    service = running[name]
    mode, program, *arguments = compose({"JALON_SECRET_KEY": "5a" * 32})[name]["healthcheck"]["test"]
    assert (mode, program) == ("CMD", "python")
    own_port = service.url.rpartition(":")[2]
    container_port = {"ingest": "8001", "stager": "8002", "api": "8000"}[name]
    checked = await asyncio.create_subprocess_exec(
        sys.executable, *(word.replace(f":{container_port}/", f":{own_port}/") for word in arguments)
    )
    assert await checked.wait() == 0
