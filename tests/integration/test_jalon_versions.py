"""`jalon journeys publish | list | dry-run | activate` and `jalon replay`, beside a stager that runs."""

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from plumbing.settings import decode_key
from plumbing.store import definitions
from plumbing.store.build_requests import request
from plumbing.store.exporting import Exporter, encode
from plumbing.store.opening import opened
from tests.support.backlog import backlog
from tests.support.command import run_jalon
from tests.support.stager import SECRET, append, looking_into, running_stager, stager_settings
from tests.support.versions import customer_journey, without_rules

NAME = "customer-journey"
SECOND = customer_journey(2, transitions=without_rules("goes_dormant"))
TOLD = backlog(1_200, 120)
SETTLED = """
SELECT reached_at > now() - interval '1 hour' AND NOT EXISTS (SELECT FROM customers WHERE due_at <= reached_at)
FROM horizon
"""


class Command:
    """`jalon` on one database."""

    def __init__(self, database_url: str) -> None:
        self._environment = {"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": SECRET}

    async def exports(self) -> list[bytes]:
        """What `jalon export` writes."""
        exporter = Exporter(self._environment["JALON_DATABASE_URL"], decode_key(SECRET))
        try:
            return [encode(line) async for line in exporter.stored()]
        finally:
            await exporter.close()

    async def says(self, *arguments: str, code: int = 0) -> str:
        """What a command says, run beside whatever this process does."""
        done = await asyncio.to_thread(run_jalon, *arguments, environment=self._environment)
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr


@pytest.fixture
def jalon(database_url: str) -> Command:
    return Command(database_url)


async def test_a_version_is_published_tried_activated_and_taken_back(
    database_url: str, jalon: Command, tmp_path: Path
) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(SECOND)
    settings = stager_settings(database_url, batch_size=100)
    async with looking_into(database_url) as store:
        async with running_stager(settings):
            await append(settings, TOLD[:600])
            await store.staged(600)
            await store.holds(SETTLED)
            before = await jalon.exports()

            assert "published" in await jalon.says("journeys", "publish", str(second))
            second.write_text(customer_journey(2))
            refused = await jalon.says("journeys", "publish", str(second), code=1)
            assert refused.startswith("error: customer-journey: version 2 is published with other rules; ")
            rows = [line.split() for line in (await jalon.says("journeys", "list")).splitlines()]
            assert [(row[1], len(row)) for row in rows if row[0] == NAME] == [("2", 4), ("1", 6)]

            foretold = await jalon.says("journeys", "dry-run", NAME, "2")
            assert await jalon.exports() == before
            told = await jalon.says("journeys", "activate", NAME, "2")
            moved = told.rpartition("; ")[2].split()[0]
            assert int(moved) > 0
            assert f"\n{moved} of " in foretold
            assert await jalon.exports() != before
            await jalon.says("journeys", "activate", NAME, "1")
            assert await jalon.exports() == before

            await jalon.says("journeys", "activate", NAME, "2")
            await append(settings, TOLD[600:])
            await store.staged(1_200)
            await store.holds(SETTLED)
            versions = "SELECT DISTINCT version FROM transitions WHERE journey = $1 AND retracted_at IS NULL"
            assert await store.rows(versions, NAME) == [(2,)]
        assert "0 differ" in await jalon.says("export", "--verify")
        bodies = await store.rows("SELECT convert_from(body, 'UTF8') FROM feed ORDER BY feed_seq")
        said = [msgspec.json.decode(body) for (body,) in bodies]
        switches = [one["version"] for one in said if one["type"] == "definition.activated"]
        assert switches == [2, 1, 2]


async def test_a_stager_does_what_was_asked_for(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings), opened(database_url) as engine:
        await append(settings, TOLD[:300])
        await store.staged(300)
        await store.holds(SETTLED)
        await definitions.publish(engine, SECOND)
        await request(engine, NAME, 2, activate=True)
        await store.holds("SELECT count(*) = 1 FROM definitions WHERE journey = $1 AND version = 2 AND active", NAME)
        await store.holds("SELECT count(*) = 0 FROM build_customers")
        await store.holds(
            "SELECT count(*) = 1 FROM feed WHERE convert_from(body, 'UTF8') LIKE '%definition.activated%'"
        )
        assert await store.value("SELECT state FROM builds") == "activated"


async def test_a_replay_leaves_the_export_as_it_is(database_url: str, jalon: Command) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, TOLD[:400])
        await store.staged(400)
        await store.holds(SETTLED)
        before = await jalon.exports()
        assert "nothing differs" in await jalon.says("replay")
        assert await jalon.exports() == before
        await store.value("UPDATE transitions SET rule = 'tampered' WHERE rule = 'begins' RETURNING 1")
        assert await jalon.exports() != before
        assert "transitions taken back" in await jalon.says("replay")
        assert await jalon.exports() == before


async def test_what_cannot_be_done_is_said_in_one_line(database_url: str, jalon: Command, tmp_path: Path) -> None:
    async with running_stager(stager_settings(database_url)), looking_into(database_url) as store:
        await store.holds("SELECT count(*) = 4 FROM definitions WHERE active")
        assert await jalon.says("journeys", "activate", NAME, "1", code=1) == (
            "error: version 1 of customer-journey is in force already\n"
        )
        assert await jalon.says("journeys", "dry-run", NAME, "7", code=1) == (
            "error: version 7 of customer-journey is not published: see `jalon journeys list`\n"
        )
        faulty = tmp_path / "faulty.yaml"
        faulty.write_text(customer_journey(2, initial="begin"))
        assert (
            await jalon.says("journeys", "publish", str(faulty), code=1)
            == "error: /initial: there is no stage 'begin'\n"
        )


def test_doubts_are_told_and_are_no_faults(jalon: Command, tmp_path: Path) -> None:
    doubtful = tmp_path / "doubtful.yaml"
    doubtful.write_text(customer_journey(1, actions=[]))
    checked = run_jalon("journeys", "check", str(doubtful), within=timedelta(seconds=30))
    assert checked.returncode == 0
    assert checked.stderr.count("no action is proposed there") == 5
    assert checked.stderr.startswith(f"{doubtful}: look /stages/0: acquisition: ")
