"""Law 1 under faults: however often stagers are killed, stopped or cut off, the export is that of a clean run.

A run in which the work was over when the fault struck is no run: each test asserts how much was still to be done.
Touchpoints, their order in the log and the batches are the same for all tests of one size, so they share one clean run.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from journey.touchpoint import Touchpoint
from plumbing.clock import new_id
from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.backlog import append_backlog, backlog
from tests.support.database import clone, drop, sibling
from tests.support.ports import free_port
from tests.support.stager_process import PATIENCE, Work
from tests.support.waiting import eventually

MANY, SOME = 20_000, 3_000
KILLS = 5
LEAST_PENDING = 2_000


@asynccontextmanager
async def _database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    name = f"test_{new_id()}"
    await clone(postgres.url, template, name)
    yield sibling(postgres.url, name)
    await drop(postgres.url, name)


async def _clean_run(postgres: EmbeddedPostgres, template: str, log_url: str, told: Sequence[Touchpoint]) -> str:
    topic = f"test-{new_id()}"
    await append_backlog(log_url, topic, told)
    async with (
        _database(postgres, template) as database_url,
        Work(database_url, log_url, topic, len(told)) as work,
        work.stager(JALON_BATCH_SIZE="2000"),
    ):
        await work.finishes()
        return work.export()


@pytest.fixture(scope="module")
def some() -> list[Touchpoint]:
    return backlog(SOME, customers=120)


@pytest.fixture(scope="module")
async def clean(postgres: EmbeddedPostgres, template_database: str, kafka_url: str, some: list[Touchpoint]) -> str:
    """The export of `some` when nothing happens."""
    return await _clean_run(postgres, template_database, kafka_url, some)


@pytest.fixture(scope="module")
def kafka_url(kafka_bootstrap: str) -> str:
    return f"kafka://{kafka_bootstrap}"


@pytest.fixture
def log_url(request: pytest.FixtureRequest, database_url: str) -> str:
    return str(request.getfixturevalue("kafka_url")) if request.param == "kafka" else database_url


on_both_logs = pytest.mark.parametrize("log_url", ["kafka", "postgres"], indirect=True)
on_kafka = pytest.mark.parametrize(
    "log_url", ["kafka", pytest.param("postgres", marks=pytest.mark.long)], indirect=True
)


@pytest.fixture
async def coming(database_url: str, log_url: str, topic: str, some: list[Touchpoint]) -> AsyncIterator[Work]:
    """An empty topic, into which `some` touchpoints will come."""
    async with Work(database_url, log_url, topic, len(some)) as work:
        yield work


@pytest.fixture
async def work(coming: Work, some: list[Touchpoint]) -> Work:
    """`some` touchpoints that wait in the log, six partitions of it."""
    await append_backlog(coming.log_url, coming.topic, some)
    return coming


async def _kill_again_and_again(work: Work, kills: int, least_pending: int, **settings: str) -> None:
    """Kill a stager and start it again: each time when some more of the work is done, and much is left."""
    step = (work.records - least_pending) // (kills + 1)
    port = free_port()
    for kill in range(kills):
        async with work.stager(port, **settings) as stager:
            await work.reaches(step * kill + 1)
            stager.kill()
        assert await work.pending() >= least_pending
    async with work.stager(port, **settings):
        await work.finishes()


async def test_killed_five_times_in_twenty_thousand(
    postgres: EmbeddedPostgres, template_database: str, database_url: str, kafka_url: str, topic: str
) -> None:
    told = backlog(MANY, customers=600)
    await append_backlog(kafka_url, topic, told)
    async with Work(database_url, kafka_url, topic, len(told)) as work:
        await _kill_again_and_again(work, KILLS, LEAST_PENDING, JALON_BATCH_SIZE="500")
        export = work.export()
    assert export.count("\n") > 500
    assert export == await _clean_run(postgres, template_database, kafka_url, told)


@pytest.mark.parametrize("log_url", ["postgres"], indirect=True)
async def test_killed_on_the_embedded_log(work: Work, clean: str) -> None:
    await _kill_again_and_again(work, kills=2, least_pending=500)
    assert work.export() == clean


@on_kafka
async def test_stopped_in_order_in_the_middle(work: Work, clean: str) -> None:
    port = free_port()
    async with work.stager(port) as stager:
        await work.reaches(1)
        assert stager.terminate() == 0
    assert await work.pending() >= 500
    async with work.stager(port):
        await work.finishes()
    assert work.export() == clean


@on_both_logs
async def test_of_two_one_is_killed_and_the_other_takes_over(coming: Work, some: list[Touchpoint], clean: str) -> None:
    async with coming.stager(), coming.stager() as killed:
        await eventually(lambda: _is_shared_by(coming, 2), PATIENCE)
        await append_backlog(coming.log_url, coming.topic, some)
        await coming.reaches(1)
        killed.kill()
        assert await coming.pending() >= 500
        await coming.finishes()
    assert coming.export() == clean


@on_kafka
async def test_cut_off_from_the_database_in_the_middle(work: Work, clean: str) -> None:
    async with work.stager() as stager:
        for share in (0.1, 0.3, 0.5):
            await work.reaches(int(work.records * share))
            assert await work.cut() > 0
            assert await work.pending() >= 500
        await work.finishes()
        assert stager.process.poll() is None
    assert work.export() == clean


@on_kafka
async def test_one_that_stood_still_while_another_took_over_is_fenced(work: Work, clean: str) -> None:
    async with work.stager() as stopped:
        await work.reaches(1)
        stopped.pause()
        assert await work.pending() >= 500
        async with work.stager() as other:
            await eventually(lambda: _is_alone(work, other.url), PATIENCE)
            assert await work.pending() >= 500
            stopped.resume()
            await work.finishes()
            assert stopped.process.poll() is None
    assert work.export() == clean


async def _is_shared_by(work: Work, stagers: int) -> bool:
    return len(await work.owners()) == stagers


async def _is_alone(work: Work, url: str) -> bool:
    """Whether the stager at `url` has claimed every partition."""
    await work.cut("idle in transaction%")  # what Postgres would do by itself, 30 seconds later
    port = url.rpartition(":")[2]
    return all(owner.endswith(f"-{port}") for owner in await work.owners())
