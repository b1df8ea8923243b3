"""Must show: from the POST of a touchpoint to its customer's new state, against the bare chain on the same parts."""

import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from statistics import median

import asyncpg
import httpx
import msgspec
import pytest

from plumbing.clock import new_id, now
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.log import open_log
from tests.benchmarks.visibility import RATE, Chain, Latency, measure
from tests.support.database import clone, drop, sibling
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY, Service
from tests.support.waiting import eventually

pytestmark = pytest.mark.bench

SECONDS = 6
PAIRS = 5
MOST = 3.0
SHOPPERS = 2_000
PATIENCE = timedelta(seconds=60)


def _sent(chance: random.Random, id_: str) -> dict[str, object]:
    shopper = chance.randrange(SHOPPERS)
    return {
        "id": id_,
        "type": chance.choice(["product_viewed"] * 10 + ["product_added", "order_completed", "call_ended"]),
        "occurred_at": now(),
        "channel": "website",
        "identifiers": {"user_id": f"user-{shopper}", "anonymous_id": f"browser-{shopper}"},
        "properties": {"product_id": f"shoe-{chance.randrange(500)}", "price": "119.90", "currency": "EUR"},
    }


@pytest.fixture
async def database(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[str]:
    name = f"bench_{new_id()}"
    await clone(postgres.url, template_database, name)
    yield sibling(postgres.url, name)
    await drop(postgres.url, name)


@pytest.fixture
async def ours(database: str, kafka_bootstrap: str) -> AsyncIterator[Chain]:
    ports = {"ingest": free_port(), "stager": free_port()}
    environment = {
        "JALON_DATABASE_URL": database,
        "JALON_LOG_URL": f"kafka://{kafka_bootstrap}",
        "JALON_TOPIC": f"ours-{new_id()}",
        "JALON_SECRET_KEY": SECRET_KEY,
        "JALON_BOOTSTRAP_KEYS": "write:shop:website:writes",
        **{f"JALON_{name.upper()}_PORT": str(port) for name, port in ports.items()},
    }
    chance = random.Random(1)
    async with (
        Service("stager", port=ports["stager"], environment=environment),
        Service("ingest", port=ports["ingest"], environment=environment),
    ):
        headers = {"authorization": "Bearer writes"}
        yield Chain(
            ports["ingest"],
            "/v1/touchpoints",
            headers,
            lambda id_: msgspec.json.encode(_sent(chance, id_)),
            database,
            "touchpoints",
        )


@pytest.fixture
async def bare(database_url: str, kafka_bootstrap: str, ours: Chain) -> AsyncIterator[Chain]:
    topic, port = f"bare-{new_id()}", free_port()
    await _make_topic(kafka_bootstrap, topic)
    chance = random.Random(1)

    def body(id_: str) -> bytes:
        return msgspec.json.encode([{**_sent(chance, id_), "source": "shop", "received_at": now()}])

    with (
        _process("tests.benchmarks.bare_chain", str(port), kafka_bootstrap, topic),
        _process("tests.benchmarks.bare_stager", database_url, kafka_bootstrap, topic),
    ):
        await eventually(lambda: _has_tables(database_url), PATIENCE)
        await eventually(lambda: _listens(port), PATIENCE)
        yield Chain(port, "/bare", {}, body, database_url, "bare_events")


async def test_from_post_to_visible_against_the_bare_chain(ours: Chain, bare: Chain) -> None:
    for chain in (ours, bare):
        await measure(chain, "warm", RATE)
    found: list[tuple[Latency, Latency]] = []
    for pair in range(PAIRS):
        order = (ours, bare) if pair % 2 else (bare, ours)
        taken = [await measure(chain, f"pair-{pair}", RATE * SECONDS) for chain in order]
        mine, theirs = taken if pair % 2 else reversed(taken)
        found.append((mine, theirs))
    ratios = {name: _ratio(found, name) for name in Latency._fields}
    assert ratios["p50"] <= MOST
    assert ratios["p99"] <= MOST


def _ratio(found: Sequence[tuple[Latency, Latency]], name: str) -> float:
    """The median of ours / bare, printed with what it is made of."""
    pairs: list[tuple[float, float]] = [(getattr(ours, name), getattr(bare, name)) for ours, bare in found]
    ratios = sorted(ours / bare for ours, bare in pairs)
    ours, bare = (median(column) * 1_000 for column in zip(*pairs, strict=True))
    print(
        f"\nPOST to visible at {RATE}/s, {name}: {ours:.1f} ms against {bare:.1f} ms = {median(ratios):.2f}"
        f" (median of {len(pairs)} pairs, {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    return median(ratios)


async def _make_topic(bootstrap: str, topic: str) -> None:
    log = open_log(f"kafka://{bootstrap}", topic, partitions=6)
    await log.start()
    await log.stop()


@contextmanager
def _process(module: str, *arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def _has_tables(database_url: str) -> bool:
    connection = await asyncpg.connect(database_url)
    found = await connection.fetchval("SELECT to_regclass('bare_states') IS NOT NULL")
    await connection.close()
    return bool(found)


async def _listens(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/hello")).status_code == 200
        except httpx.TransportError:
            return False
