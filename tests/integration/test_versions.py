"""Versions of a definition: dry run, build beside, switch, switch back; on a real Postgres."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import msgspec
import pytest

from journey.errors import CallerFault, StoreUnavailable, Superseded
from plumbing.clock import new_id
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.store.builds import REPLAY
from plumbing.store.engine import transaction
from plumbing.store.in_force import reached_under
from tests.support.backlog import LIVED_AT, backlog
from tests.support.database import clone, drop, sibling
from tests.support.population import publish
from tests.support.stories import LABEL, document, rule, text
from tests.support.versions import Store, customer_journey, without_rules

CUSTOMER_JOURNEY = "customer-journey"
HALF_WAY, BEYOND_ALL = LIVED_AT + timedelta(days=60), LIVED_AT + timedelta(days=150)
TOLD = backlog(3_000, 250)

MESSAGES = "SELECT convert_from(body, 'UTF8') FROM outbox WHERE entry > $1 ORDER BY entry"
LIVE_VERSIONS = "SELECT DISTINCT version FROM transitions WHERE journey = $1 AND retracted_at IS NULL"
ACTIVATED = "SELECT version FROM activations WHERE journey = $1 ORDER BY activation"
LAST_ENTRY = "SELECT coalesce(max(entry), 0) FROM outbox"
BESIDE = "SELECT customer, stage_before, stage_now FROM build_customers WHERE build = $1"


@pytest.fixture(scope="module")
async def told_database(postgres: EmbeddedPostgres, template_database: str) -> str:
    """The name of a database with all of `TOLD` in it, up to `BEYOND_ALL`, and version 2 published."""
    await clone(postgres.url, template_database, "told")
    url = sibling(postgres.url, "told")
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER DATABASE told SET synchronous_commit = off")  # nothing here is killed
    await connection.close()
    store = Store(url, await publish(url))
    await store.publish(customer_journey(2, transitions=without_rules("weighs_us_up", "tries", "browses_again")))
    await store.let_pass(HALF_WAY)
    await _tell(store)
    await store.let_pass(BEYOND_ALL)
    await store.close()
    return "told"


@pytest.fixture
async def told(postgres: EmbeddedPostgres, told_database: str) -> AsyncIterator[Store]:
    """A store in which all has happened."""
    name = f"test_{new_id()}"
    await clone(postgres.url, told_database, name)
    url = sibling(postgres.url, name)
    store = Store(url, await publish(url))
    yield store
    await store.close()
    await drop(postgres.url, name)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """An empty store, half-way in time."""
    store = Store(database_url, await publish(database_url))
    await store.publish(customer_journey(2, transitions=without_rules("weighs_us_up", "tries", "browses_again")))
    await store.let_pass(HALF_WAY)
    yield store
    await store.close()


async def _tell(store: Store, first: int = 0, last: int = len(TOLD)) -> None:
    for begin in range(first, last, 500):
        await store.stage(TOLD[begin : min(begin + 500, last)])


async def test_a_dry_run_says_of_each_customer_what_activation_then_does(told: Store) -> None:
    live = await told.export()
    stages = await told.stages(CUSTOMER_JOURNEY)

    dry = await told.finish(await told.begin(CUSTOMER_JOURNEY, 2))
    assert (dry.state, dry.folded) == ("built", dry.customers)
    foretold = {customer: (before, now) for customer, before, now in await told.rows(BESIDE, dry.build) if now}
    assert await told.export() == live

    done = await told.activate(CUSTOMER_JOURNEY, 2)
    assert (done.build, done.state) == (dry.build, "activated")
    now = await told.stages(CUSTOMER_JOURNEY)
    assert foretold == {customer: (stages[customer], now[customer]) for customer in now}
    assert done.outcome["matrix"] == [
        [*cell, number]
        for cell, number in sorted(Counter((stages[customer], now[customer]) for customer in now).items())
    ]
    moved = sum(before != after for before, after in foretold.values())
    assert moved >= len(foretold) * 0.05
    assert await told.differences() == []
    assert await told.rows(LIVE_VERSIONS, CUSTOMER_JOURNEY) == [(2,)]


async def test_rolling_back_restores_the_export_byte_for_byte(told: Store) -> None:
    live = await told.export()
    await told.activate(CUSTOMER_JOURNEY, 2)
    assert await told.export() != live
    await told.activate(CUSTOMER_JOURNEY, 1)
    assert await told.export() == live
    assert await told.differences() == []
    assert await told.rows(ACTIVATED, CUSTOMER_JOURNEY) == [(1,), (2,), (1,)]


async def test_a_switch_sends_one_message_and_none_for_each_customer(told: Store) -> None:
    last = await told.value(LAST_ENTRY)
    done = await told.activate(CUSTOMER_JOURNEY, 2)
    ((body,),) = await told.rows(MESSAGES, last)
    said = msgspec.json.decode(body)
    assert said["type"] == "definition.activated"
    assert (said["journey"], said["version"], said["version_before"]) == (CUSTOMER_JOURNEY, 2, 1)
    assert said["customers_moved"] == sum(number for before, now, number in done.outcome["matrix"] if before != now) > 0


async def test_what_is_told_during_a_build_reaches_both(store: Store) -> None:
    """Touchpoints, merges, late ones, timers: between the chunks of a build, and between it and the switch."""
    await _tell(store, last=1_500)
    number = await store.begin(CUSTOMER_JOURNEY, 2)
    for begin in range(1_500, 2_500, 250):
        build = await store.builder.work(number)
        assert build.state == "building"
        await _tell(store, begin, begin + 250)
    await store.let_pass(LIVED_AT + timedelta(days=100))
    await store.finish(number)
    await _tell(store, 2_500)
    done = await store.activate(CUSTOMER_JOURNEY, 2)
    assert done.build == number
    assert await store.differences() == []
    await store.let_pass(BEYOND_ALL)
    switched = await store.export()

    await store.activate(CUSTOMER_JOURNEY, 1)
    assert await store.differences() == []
    await store.activate(CUSTOMER_JOURNEY, 2)
    assert await store.export() == switched


async def test_a_stager_that_runs_goes_on_under_the_version_that_came_into_force(store: Store) -> None:
    await _tell(store, last=1_500)
    before = store.stager._journeys
    await store.activate(CUSTOMER_JOURNEY, 2)
    async with transaction(store.engine) as driver:
        with pytest.raises(Superseded):
            await reached_under(driver, before)
    await _tell(store, 1_500)
    await store.let_pass(BEYOND_ALL)
    assert store.stager._journeys is not before
    assert await store.differences() == []
    assert await store.rows(LIVE_VERSIONS, CUSTOMER_JOURNEY) == [(2,)]


async def test_switches_to_and_fro_while_batches_and_timers_go_on_tear_nothing_apart(store: Store) -> None:
    done = asyncio.Event()

    async def stage() -> None:
        for begin in range(0, len(TOLD), 60):
            await _tell(store, begin, begin + 60)
        done.set()

    async def time_passes() -> None:
        day = 60
        while not done.is_set():
            day += 2
            await store.let_pass(LIVED_AT + timedelta(days=day))
            await asyncio.sleep(0.05)

    async def switch() -> int:
        switches = 0
        while not done.is_set():
            switches += 1
            version = 1 + switches % 2
            await store.activate(CUSTOMER_JOURNEY, version)
            for _ in range(20):
                assert await store.rows(LIVE_VERSIONS, CUSTOMER_JOURNEY) == [(version,)]
                await asyncio.sleep(0.02)
        return switches

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage())
        tasks.create_task(time_passes())
        switching = tasks.create_task(switch())
    assert switching.result() >= 2
    await store.let_pass(BEYOND_ALL + timedelta(days=400))
    assert await store.differences() == []
    version = 1 + switching.result() % 2
    assert await store.rows(LIVE_VERSIONS, CUSTOMER_JOURNEY) == [(version,)]


async def test_a_build_that_was_interrupted_goes_on_where_it_was(told: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    number = await told.begin(CUSTOMER_JOURNEY, 2, activate=True)
    await told.builder.work(number)
    await told.builder.work(number)

    async def fails(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr("plumbing.store.builds.passed", fails)
        with pytest.raises(StoreUnavailable):
            await told.builder.work(number)
    half = await told.builder.work(number)
    assert 0 < half.folded < half.customers
    assert half.folded == await told.value("SELECT count(*) FROM build_customers")
    done = await told.finish(number)
    assert (done.build, done.state, done.folded) == (number, "activated", done.customers)
    assert await told.differences() == []


async def test_a_switch_that_fails_leaves_everything_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await _tell(store, last=1_000)
    await store.let_pass(HALF_WAY)
    live, last = await store.export(), await store.value(LAST_ENTRY)
    built = await store.finish(await store.begin(CUSTOMER_JOURNEY, 2))

    async def fails(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr("plumbing.store.feed.write", fails)
        with pytest.raises(StoreUnavailable):
            await store.activate(CUSTOMER_JOURNEY, 2)
    assert await store.export() == live
    assert await store.value(LAST_ENTRY) == last
    assert await store.value("SELECT version FROM definitions WHERE active AND journey = $1", CUSTOMER_JOURNEY) == 1
    assert (await store.finish(built.build)).state == "activated"


async def test_a_build_begins_anew_when_another_journey_gets_another_version(store: Store) -> None:
    await _tell(store, last=1_000)
    number = await store.begin(CUSTOMER_JOURNEY, 2)
    await store.finish(number)
    await store.publish(text(document(transitions=[rule("wins", "new", "won", on="order_completed")])))
    assert (await store.activate("story", 1)).state == "activated"
    done = await store.activate(CUSTOMER_JOURNEY, 2)
    assert done.build == number
    assert done.versions["story"] == 1
    assert await store.differences() == []


async def test_a_build_that_no_longer_goes_with_the_others_is_dropped_with_the_reason(store: Store) -> None:
    await _tell(store, last=200)
    pairs = [{"with": "story", "pairs": [["loyalty", "loyalty"]], "reason": LABEL}]
    await store.publish(customer_journey(3, incoherent=pairs))
    number = await store.begin(CUSTOMER_JOURNEY, 3, activate=True)
    await store.publish(text(document(transitions=[rule("wins", "new", "won", on="order_completed")])))
    assert (await store.activate("story", 1)).state == "activated"
    done = await store.finish(number)
    assert done.state == "dropped"
    assert "story has no stage 'loyalty'" in done.outcome["refused"]
    assert await store.differences() == []


async def test_what_ended_is_cleared_away(store: Store) -> None:
    await _tell(store, last=500)
    await store.activate(CUSTOMER_JOURNEY, 2)
    assert await store.value("SELECT count(*) FROM build_customers") > 0
    while await store.builder.look():
        pass
    for table in ("build_customers", "build_transitions", "build_stays", "build_facts"):
        assert await store.value(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - our own names


async def test_what_cannot_be_activated_is_refused(store: Store) -> None:
    with pytest.raises(CallerFault, match="not published"):
        await store.begin(CUSTOMER_JOURNEY, 7)
    with pytest.raises(CallerFault, match="in force already"):
        await store.begin(CUSTOMER_JOURNEY, 1)


async def test_a_replay_changes_nothing_and_says_nothing(told: Store) -> None:
    live, last = await told.export(), await told.value(LAST_ENTRY)
    revisions = await told.rows("SELECT customer, revision FROM customers ORDER BY customer")
    done = await told.activate(REPLAY, 0)
    assert done.outcome["switched"] == {"customers": 0, "retracted": 0, "told": 0}
    assert await told.export() == live
    assert await told.value(LAST_ENTRY) == last
    assert await told.rows("SELECT customer, revision FROM customers ORDER BY customer") == revisions


async def test_a_replay_mends_what_no_fold_gives(store: Store) -> None:
    await _tell(store, last=1_000)
    await store.let_pass(HALF_WAY)
    live, last = await store.export(), await store.value(LAST_ENTRY)
    await store.execute("UPDATE stays SET stage = 'tampered' WHERE left_at IS NULL")
    await store.execute("UPDATE transitions SET retracted_at = learned_at WHERE journey = 'drive' OR rule = 'begins'")
    await store.execute("DELETE FROM facts WHERE place = 0")
    assert await store.export() != live
    done = await store.activate(REPLAY, 0)
    assert done.outcome["switched"]["told"] > 0
    assert await store.export() == live
    assert await store.differences() == []
    assert "tampered" not in (await store.stages(CUSTOMER_JOURNEY)).values()
    ((body,),) = await store.rows(MESSAGES, last)
    assert msgspec.json.decode(body)["type"] == "state.replayed"
