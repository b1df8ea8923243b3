"""Must show: what ingest costs above the least that could be done, measured in the same minute on the same parts."""

import random
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import msgspec
import pytest

from plumbing.clock import new_id, now
from tests.benchmarks.load_generator import Counted, Load, generate
from tests.benchmarks.pairs import median_ratio
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.waiting import eventually

pytestmark = pytest.mark.bench

CONNECTIONS = 32
SECONDS = 2.5
BATCH = 500
SHOPPERS = 5_000


class Servers(NamedTuple):
    """The ports of what is compared."""

    ingest: int
    bare: int


@pytest.fixture
async def servers(database_url: str, kafka_bootstrap: str, topic: str) -> AsyncIterator[Servers]:
    environment = {
        "JALON_DATABASE_URL": database_url,
        "JALON_LOG_URL": f"kafka://{kafka_bootstrap}",
        "JALON_TOPIC": topic,
        "JALON_BOOTSTRAP_KEYS": "write:web:website:secret",
    }
    port = free_port()
    async with Service("ingest", port=port, environment={**environment, "JALON_INGEST_PORT": str(port)}):
        bare = free_port()
        command = [sys.executable, "-m", "tests.benchmarks.bare_ingest", str(bare), kafka_bootstrap, topic]
        process = subprocess.Popen(command)  # noqa: ASYNC220 - it starts at once
        try:
            await eventually(lambda: _answers(bare))
            yield Servers(port, bare)
        finally:
            process.terminate()
            process.wait(20)


async def _answers(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/hello")).status_code == 200
        except httpx.TransportError:
            return False


async def test_a_single_event_to_kafka_costs_less_than_three_hello_worlds(servers: Servers) -> None:
    singles = [msgspec.json.encode(event).decode() for event in _events(2_000)]

    async def ours() -> float:
        return _all_good(await generate(_load(servers.ingest, "/v1/touchpoints", singles))).rate

    async def hello() -> float:
        return _all_good(await generate(_load(servers.bare, "/hello", []))).rate

    ratio = await median_ratio("single events to Kafka (acks=all), against a raw-ASGI hello world", ours, hello)
    assert ratio >= 0.35


async def test_batches_of_500_cost_less_than_twice_the_bare_route(servers: Servers) -> None:
    events = _events(16 * BATCH)
    batches = [msgspec.json.encode(events[i : i + BATCH]).decode() for i in range(0, len(events), BATCH)]

    async def ours() -> float:
        return BATCH * _all_good(await generate(_load(servers.ingest, "/v1/touchpoints", batches))).rate

    async def bare() -> float:
        return BATCH * _all_good(await generate(_load(servers.bare, "/bare", batches))).rate

    ratio = await median_ratio(f"events in batches of {BATCH}, against msgspec + send_batch alone", ours, bare)
    assert ratio >= 0.5


def _load(port: int, path: str, bodies: list[str]) -> Load:
    headers = {"authorization": "Bearer secret", "content-type": "application/json"}
    return Load(port, path, CONNECTIONS, SECONDS, bodies, headers)


def _all_good(counted: Counted) -> Counted:
    assert counted.bad == 0
    return counted


def _events(count: int) -> list[dict[str, object]]:
    """What a shop's website sends: `count` product views of a crowd that comes back."""
    chance = random.Random(7)
    occurred_at = f"{now():%Y-%m-%dT%H:%M:%S}.042Z"
    events: list[dict[str, object]] = []
    for _ in range(count):
        shopper, product = chance.randrange(SHOPPERS), chance.randrange(900)
        events.append(
            {
                "id": new_id(),
                "type": "product_viewed",
                "occurred_at": occurred_at,
                "channel": "website",
                "identifiers": {"anonymous_id": f"a-{shopper:06d}-7c9e", "email": f"shopper{shopper}@example.com"},
                "properties": {
                    "product_id": f"SKU-{product}",
                    "name": "Running shoe",
                    "price": "119.90",
                    "currency": "EUR",
                    "quantity": 1,
                },
                "context": {"url": f"https://shop.example.com/p/{product}", "campaign": "spring"},
            }
        )
    return events
