"""`jalon export`: the same words for the same lives, and a check that what is stored is what a fold gives."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import pytest

from jalon.demo.crowd import crowd
from jalon.stories import read
from journey.touchpoint import Touchpoint
from plumbing.clock import new_id, now
from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.command import run_jalon
from tests.support.database import clone, drop, sibling
from tests.support.stager import SECRET, append, looking_into, running_stager, stager_settings, touchpoint

START = datetime(2026, 3, 2, tzinfo=UTC)
LUDOVIC = read("ludovic")


@pytest.fixture
async def another_database_url(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[str]:
    name = f"test_{new_id()}"
    await clone(postgres.url, template_database, name)
    yield sibling(postgres.url, name)
    await drop(postgres.url, name)


def export(database_url: str, *arguments: str, secret: str = SECRET) -> list[str]:
    environment = {"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": secret}
    done = run_jalon("export", *arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


async def stage(database_url: str, batches: Sequence[Sequence[Touchpoint]]) -> None:
    """Let a stager work on batches of touchpoints, one after the other."""
    settings = stager_settings(database_url)
    async with running_stager(settings), looking_into(database_url) as store:
        sent = 0
        for batch in batches:
            await append(settings, batch)
            sent += len(batch)
            await store.staged(sent)


async def test_any_order_and_batching_of_the_same_touchpoints_gives_the_same_export(
    database_url: str, another_database_url: str
) -> None:
    shoppers = crowd(START + timedelta(days=40))[::4]
    lived = [*LUDOVIC.touchpoints_from(START), *(one for shopper in shoppers for one in shopper.touchpoints)]
    in_order = sorted(lived, key=lambda one: one.order)
    await stage(database_url, [in_order])
    shuffled = [*lived, *Random(7).sample(lived, 50)]
    Random(7).shuffle(shuffled)
    await stage(another_database_url, [shuffled[start : start + 97] for start in range(0, len(shuffled), 97)])

    as_of = ("--as-of", "2026-05-01T00:00:00Z")
    first, second = export(database_url, *as_of), export(another_database_url, *as_of)
    assert len(first) > len(shoppers)
    assert first == second
    for url in (database_url, another_database_url):
        environment = {"JALON_DATABASE_URL": url, "JALON_SECRET_KEY": SECRET}
        verified = run_jalon("export", "--verify", environment=environment)
        assert f"{len(first)} customers folded again, 0 differ" in verified.stderr
        assert verified.returncode == 0


async def test_a_customer_is_named_by_identifiers_and_told_as_of_any_instant(database_url: str) -> None:
    await stage(database_url, [list(LUDOVIC.touchpoints_from(START))])
    (line,) = export(database_url, "--as-of", (START + LUDOVIC.lasts).isoformat())
    told = msgspec.json.decode(line)
    assert told["identifiers"] == ["email:ludovic@example.com", "loyalty_card:L000123", "phone:+33639980117"]
    assert [device for device, _ in told["devices"]] == sorted(device for device, _ in told["devices"])
    assert told["journeys"]["customer-journey"]["stage"] == "advocacy"
    assert told["touchpoints"] == [[one.source, one.id] for one in LUDOVIC.touchpoints_from(START)]

    (line,) = export(database_url, "--as-of", (START + timedelta(days=5, hours=11, minutes=15)).isoformat())
    told = msgspec.json.decode(line)
    assert told["journeys"]["customer-journey"]["stage"] == "decision"
    assert told["touchpoints"][-1] == ["store", "l10"]


async def test_a_stored_row_that_no_fold_gives_is_found(database_url: str) -> None:
    await stage(database_url, [list(LUDOVIC.touchpoints_from(START))])
    async with looking_into(database_url) as store:
        await store.value("UPDATE transitions SET rule = 'tampered' WHERE rule = 'praises' RETURNING 1")
    environment = {"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": SECRET}
    verified = run_jalon("export", "--verify", environment=environment)
    assert verified.returncode == 1
    assert verified.stderr.splitlines()[-2].endswith("another fold gives other transitions")
    assert "ludovic" not in verified.stderr


async def test_what_is_folded_ahead_of_the_horizon_is_no_difference(database_url: str) -> None:
    at = now()
    await stage(database_url, [[touchpoint("1", "order_completed", occurred_at=at, received_at=at)]])
    async with looking_into(database_url) as store:
        await store.value("UPDATE horizon SET reached_at = reached_at - interval '1 hour'")
    verified = run_jalon(
        "export", "--verify", environment={"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": SECRET}
    )
    assert "1 customers folded again, 0 differ" in verified.stderr
    assert verified.returncode == 0


async def test_what_cannot_be_done_is_said_in_one_line(database_url: str) -> None:
    await stage(database_url, [list(LUDOVIC.touchpoints_from(START))])
    environment = {"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": "11" * 32}
    other_secret = run_jalon("export", environment=environment)
    assert other_secret.returncode == 1
    assert other_secret.stderr == "error: JALON_SECRET_KEY is not the one that this store was written under\n"
    no_instant = run_jalon("export", "--as-of", "yesterday", environment=environment)
    assert no_instant.returncode == 1
    assert no_instant.stderr == "error: --as-of: 'yesterday' is no RFC 3339 instant, such as 2026-03-01T09:30:00Z\n"
