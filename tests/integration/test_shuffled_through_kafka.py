"""DESIGN, law 1, through all that production has: whatever the order in six partitions of Kafka, read by two stagers,
`jalon export` writes the same bytes.

The touchpoints are those of the fault tests: anonymous visits, sign-ins by turns on shared tablets, cards and addresses
that meet late, copies (some with another body) and late ones. Only their order in the log differs between the runs, by
windows within which it is chance; what each record says, its `received_at` too, is the same in all of them.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

from journey.touchpoint import Touchpoint
from plumbing.clock import new_id
from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.backlog import append_backlog, backlog, shuffled
from tests.support.database import clone, drop, sibling
from tests.support.stager import looking_into
from tests.support.stager_process import Work
from tests.support.waiting import eventually


class Runs:
    """Runs of some touchpoints through one broker, each into a topic and a database of its own."""

    def __init__(self, postgres_url: str, template: str, log_url: str, patience: timedelta) -> None:
        self._postgres_url = postgres_url
        self._template = template
        self._log_url = log_url
        self._patience = patience

    async def export(self, told: Sequence[Touchpoint]) -> str:
        """What is exported when two stagers have shared the work on these, in this order."""
        name = f"test_{new_id()}"
        await clone(self._postgres_url, self._template, name)
        database_url = sibling(self._postgres_url, name)
        try:
            async with Work(database_url, self._log_url, f"test-{new_id()}", len(told), self._patience) as work:
                async with _two_stagers(work):
                    await eventually(lambda: _is_shared(work), self._patience)
                    await append_backlog(self._log_url, work.topic, told)
                    await work.finishes()
                    assert await _is_shared(work)
                await _has_what_makes_it_hard(database_url, told)
                return work.export()
        finally:
            await drop(self._postgres_url, name)


@asynccontextmanager
async def _two_stagers(work: Work) -> AsyncIterator[None]:
    """Started together, which takes half as long."""
    async with AsyncExitStack() as stack:
        stagers = [work.stager(JALON_BATCH_SIZE="2000"), work.stager(JALON_BATCH_SIZE="2000")]
        for stager in stagers:
            stager.spawn()
            stack.push_async_callback(stager.close)
        for stager in stagers:
            await stager.ready()
        yield


async def _is_shared(work: Work) -> bool:
    return len(await work.owners()) == 2


async def _has_what_makes_it_hard(database_url: str, told: Sequence[Touchpoint]) -> None:
    """Copies that differ, devices that several people signed in on, and people whom two partitions tie together."""
    async with looking_into(database_url) as store:
        assert await store.value("SELECT count(*) FROM touchpoints") == len({(one.source, one.id) for one in told})
        assert await store.value("SELECT count(*) FROM touchpoints WHERE conflicts > 0") > len(told) // 200
        turns = "SELECT count(*) FROM (SELECT FROM holdings GROUP BY device HAVING count(DISTINCT owner) > 2) AS shared"
        assert await store.value(turns) > 10
        assert await store.value("SELECT count(*) FROM links") > len(told) // 200
        assert await store.value("SELECT count(*) FROM positions WHERE next_offset > 0") == 6


async def _is_the_same_shuffled(runs: Runs, told: Sequence[Touchpoint], windows: Sequence[int]) -> None:
    in_order = sorted(told, key=lambda one: one.order)
    expected = await runs.export(in_order)
    for window in windows:
        found = await runs.export(shuffled(in_order, window))
        differing = set(found.splitlines()) ^ set(expected.splitlines())
        assert found == expected, f"window of {window}: {len(differing)} lines differ, such as {min(differing)[:2_000]}"


async def test_ten_thousand_touchpoints_in_any_order_are_one_export(
    postgres: EmbeddedPostgres, template_database: str, kafka_bootstrap: str
) -> None:
    runs = Runs(postgres.url, template_database, f"kafka://{kafka_bootstrap}", timedelta(minutes=5))
    told = backlog(10_000, customers=1_000)
    await _is_the_same_shuffled(runs, told, [len(told)])


@pytest.mark.long
async def test_a_hundred_thousand_touchpoints_in_any_order_are_one_export(
    postgres: EmbeddedPostgres, template_database: str, kafka_bootstrap: str
) -> None:
    runs = Runs(postgres.url, template_database, f"kafka://{kafka_bootstrap}", timedelta(minutes=20))
    told = backlog(100_000, customers=10_000)
    await _is_the_same_shuffled(runs, told, [10, 100, 1_000, 10_000, len(told)])
