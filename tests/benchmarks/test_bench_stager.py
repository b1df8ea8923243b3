"""Must show: from Kafka to committed rows, against the least that a loop over asyncpg could do."""

import random
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from journey.touchpoint import Touchpoint, encode
from plumbing.clock import monotonic, new_id
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.log import open_log
from plumbing.log.port import Record
from schemas import journey_documents
from tests.benchmarks.pairs import median_ratio
from tests.support.database import clone, drop, sibling
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.stager import NOON, SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.bench

RECORDS = 60_000
SHOPPERS = 8_000
TYPES = ["product_viewed"] * 12 + ["search_performed"] * 3 + ["product_added"] * 2 + ["order_completed", "call_ended"]
PATIENCE = timedelta(seconds=90)


class Parts(NamedTuple):
    """Where the records are, and a server for fresh databases."""

    postgres: EmbeddedPostgres
    template: str
    bootstrap: str
    topic: str


@pytest.fixture
async def parts(postgres: EmbeddedPostgres, template_database: str, kafka_bootstrap: str, topic: str) -> Parts:
    log = open_log(f"kafka://{kafka_bootstrap}", topic, partitions=6)
    await log.start()
    chance = random.Random(11)
    for begin in range(0, RECORDS, 1_000):
        await log.append([_record(number, chance) for number in range(begin, begin + 1_000)])
    await log.stop()
    return Parts(postgres, template_database, kafka_bootstrap, topic)


def _record(number: int, chance: random.Random) -> Record:
    """A shopper signed in on the website, as Segment's clients tell it: both identifiers each time."""
    shopper = chance.randrange(SHOPPERS)
    at = NOON + timedelta(seconds=number)
    one = Touchpoint(
        source="shop",
        id=f"event-{number:08}",
        type=chance.choice(TYPES),
        occurred_at=at,
        received_at=at + timedelta(milliseconds=40),
        channel="website",
        identifiers={"user_id": f"user-{shopper}", "anonymous_id": f"browser-{shopper}"},
        properties={"product_id": f"shoe-{chance.randrange(500)}", "price": "119.90", "currency": "EUR"},
    )
    headers = (("ce_specversion", b"1.0"), ("ce_id", one.id.encode()), ("ce_source", b"shop"))
    return Record(f"user_id:user-{shopper}".encode(), encode(one), headers)


@asynccontextmanager
async def _database(parts: Parts) -> AsyncIterator[str]:
    name = f"bench_{new_id()}"
    await clone(parts.postgres.url, parts.template, name)
    yield sibling(parts.postgres.url, name)
    await drop(parts.postgres.url, name)


async def _rate(database_url: str, table: str) -> float:
    """Records a second between the first committed batch and the last."""
    connection = await asyncpg.connect(database_url)

    async def done() -> int:
        try:
            return int(await connection.fetchval(f"SELECT coalesce(sum(next_offset), 0)::bigint FROM {table}"))  # noqa: S608
        except asyncpg.UndefinedTableError:
            return 0

    first = await eventually(done, within=PATIENCE)
    began = monotonic()
    await eventually(lambda: _reaches(done, RECORDS), within=PATIENCE)
    took = monotonic() - began
    await connection.close()
    return (RECORDS - first) / took


async def _reaches(done: Callable[[], Awaitable[int]], number: int) -> bool:
    return await done() >= number


async def _ours(parts: Parts, journeys: Path) -> float:
    port = free_port()
    async with _database(parts) as database_url:
        environment = {
            "JALON_DATABASE_URL": database_url,
            "JALON_LOG_URL": f"kafka://{parts.bootstrap}",
            "JALON_TOPIC": parts.topic,
            "JALON_SECRET_KEY": SECRET,
            "JALON_STAGER_PORT": str(port),
            "JALON_JOURNEYS": str(journeys),
        }
        async with Service("stager", port=port, environment=environment):
            return await _rate(database_url, "positions")


async def _bare(parts: Parts) -> float:
    async with _database(parts) as database_url:
        command = [sys.executable, "-m", "tests.benchmarks.bare_stager", database_url, parts.bootstrap, parts.topic]
        process = subprocess.Popen(command)  # noqa: ASYNC220 - it starts at once
        try:
            return await _rate(database_url, "bare_progress")
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("names", [["customer-journey"], ["all four"]], ids=["one journey", "all four journeys"])
async def test_the_stager_against_a_bare_loop(parts: Parts, names: list[str], tmp_path: Path) -> None:
    for index, document in enumerate(journey_documents()):
        if names == ["all four"] or any(f"journey: {name}\n" in document for name in names):
            (tmp_path / f"{index}.yaml").write_text(document, encoding="utf-8")
    ratio = await median_ratio(f"stager, {names[0]}", lambda: _ours(parts, tmp_path), lambda: _bare(parts), pairs=2)
    assert ratio >= 0.35
