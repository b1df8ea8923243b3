"""Must show: a full profile by e-mail costs about as much as a bare read by key, measured in the same minute."""

import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

import asyncpg
import httpx
import pytest

from plumbing.settings import decode_key
from tests.benchmarks.load_generator import Load, generate
from tests.benchmarks.pairs import median_ratio
from tests.support.api import KEYS, READ, bearing
from tests.support.population import Population, publish
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY, Service
from tests.support.waiting import eventually
from tests.support.world import START, touched

pytestmark = pytest.mark.bench

CONNECTIONS = 32
SECONDS = 2.5
CUSTOMERS = 1_000


class Servers(NamedTuple):
    """The ports of what is compared, and whom they know: by e-mail, and by the store's number."""

    api: int
    bare: int
    emails: list[str]
    numbers: list[int]


@pytest.fixture
async def servers(database_url: str) -> AsyncIterator[Servers]:
    emails, numbers = await _populate(database_url)
    port, bare = free_port(), free_port()
    environment = {"JALON_DATABASE_URL": database_url, "JALON_BOOTSTRAP_KEYS": KEYS, "JALON_API_PORT": str(port)}
    async with Service("api", port=port, environment=environment):
        process = subprocess.Popen(  # noqa: ASYNC220 (there is nothing to hold up)
            [sys.executable, "-m", "tests.benchmarks.bare_reads", str(bare), database_url]
        )
        try:
            await eventually(lambda: _answers(bare))
            yield Servers(port, bare, emails, numbers)
        finally:
            process.terminate()
            process.wait(20)


async def _populate(database_url: str) -> tuple[list[str], list[int]]:
    """Customers who have come as far as the first purchase, each with an e-mail address, a card and a browser."""
    journeys = await publish(database_url)
    connection = await asyncpg.connect(database_url)
    population = Population(connection, journeys, decode_key(SECRET_KEY), START + timedelta(days=4))
    await population.begin()
    emails = [f"shopper{number}@example.com" for number in range(CUSTOMERS)]
    for number, email in enumerate(emails):
        browser, card = {"anonymous_id": f"a-{number}"}, {"loyalty_card": f"L{number:06}"}
        await population.add(
            [
                touched(timedelta(), "products_compared", "website", browser),
                touched(timedelta(days=1), "store_visited", "store", card),
                touched(timedelta(days=2), "order_completed", "store", {**card, "email": email}),
                touched(timedelta(days=3), "call_ended", "call_center", {"email": email}),
            ]
        )
    numbers = [row["customer"] for row in await connection.fetch("SELECT customer FROM customers ORDER BY customer")]
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    return emails, numbers


async def _answers(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/hello")).status_code == 200
        except httpx.TransportError:
            return False


async def test_a_profile_by_e_mail_costs_about_as_much_as_a_bare_read_by_key(servers: Servers) -> None:
    async def ours() -> float:
        paths = [f"/v1/customers/by/email/{email}" for email in servers.emails]
        return await _rate(servers.api, paths)

    async def bare() -> float:
        return await _rate(servers.bare, [f"/{number}" for number in servers.numbers])

    ratio = await median_ratio("profiles by e-mail, against raw ASGI + asyncpg pool reading a state", ours, bare)
    assert ratio >= 0.8


async def _rate(port: int, paths: list[str]) -> float:
    counted = await generate(Load(port, "", CONNECTIONS, SECONDS, headers=bearing(READ), paths=paths))
    assert counted.bad == 0
    return counted.rate
