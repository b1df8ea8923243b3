"""What the stager does with the log, on a real Postgres (the log's contract suite has shown that Kafka is the same)."""

from base64 import b64encode
from datetime import timedelta

import msgspec
import pytest

from plumbing.clock import now
from plumbing.log.port import Record
from tests.support.stager import (
    Store,
    append,
    append_records,
    looking_into,
    running_stager,
    stager_settings,
    touchpoint,
)

ANONYMOUS = {"anonymous_id": "a-1"}
BOTH = {"email": "ludovic@example.com", "anonymous_id": "a-1"}
STAGE = "SELECT stage FROM stays WHERE journey = $1 AND left_at IS NULL ORDER BY customer"


async def _stages(store: Store, journey: str = "customer-journey") -> list[str]:
    return [stage for (stage,) in await store.rows(STAGE, journey)]


async def _customers(store: Store) -> int:
    return int(await store.value("SELECT count(*) FROM customers WHERE state <> ''"))


async def test_a_touchpoint_moves_its_customer_and_says_why(database_url: str) -> None:
    settings = stager_settings(database_url)
    await append(settings, [touchpoint("1"), touchpoint("2", "order_completed", hours=1)])
    async with looking_into(database_url) as store, running_stager(settings):
        await store.staged(2)
        rows = await store.rows(
            "SELECT from_stage, to_stage, rule, cause ->> 'id' FROM transitions "
            "WHERE journey = 'customer-journey' AND retracted_at IS NULL ORDER BY occurred_at, place"
        )
        assert rows[0][:3] == (None, "acquisition", "begins")
        assert rows[-1][1] == "loyalty"
        assert rows[-1][3] == "2"


async def test_a_copy_changes_nothing(database_url: str) -> None:
    settings = stager_settings(database_url)
    order = touchpoint("1", "order_completed")
    later_copy = msgspec.structs.replace(order, received_at=order.received_at + timedelta(hours=1))
    await append(settings, [order, order, later_copy])
    async with looking_into(database_url) as store, running_stager(settings):
        await store.staged(3)
        assert await store.value("SELECT count(*) FROM touchpoints") == 1
        assert await store.value("SELECT received_at FROM touchpoints") == order.received_at
        assert await store.value("SELECT sum(conflicts) FROM touchpoints") == 0


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("least_first", [True, False])
async def test_of_two_copies_that_differ_the_earlier_counts(
    database_url: str, least_first: bool, together: bool
) -> None:
    settings = stager_settings(database_url)
    least, other = touchpoint("1", "order_completed"), touchpoint("1", "product_viewed", hours=2)
    copies = [least, other] if least_first else [other, least]
    async with looking_into(database_url) as store, running_stager(settings):
        if not together:
            await append(settings, copies[:1])
            await store.staged(1)
        await append(settings, copies[1:] if not together else copies)
        await store.staged(2)
        assert await store.rows("SELECT type, conflicts FROM touchpoints") == [("order_completed", 1)]
        assert await _stages(store) == ["loyalty"]


async def test_strong_identifiers_that_meet_are_one_customer(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, [touchpoint("1"), touchpoint("2", hours=1, identifiers={"loyalty_card": "L1"})])
        await store.staged(2)
        assert await _customers(store) == 2
        both = {"loyalty_card": "L1", "email": "ludovic@example.com"}
        await append(settings, [touchpoint("3", "order_completed", hours=2, identifiers=both)])
        await store.staged(3)
        assert await _customers(store) == 1
        assert await _stages(store) == ["loyalty"]
        assert await store.value("SELECT count(DISTINCT customer) FROM touchpoints") == 1


async def test_the_first_sign_in_claims_what_the_device_did_before(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, [touchpoint("1", identifiers=ANONYMOUS)])
        await store.staged(1)
        await append(settings, [touchpoint("2", hours=1, identifiers=BOTH)])
        await store.staged(2)
        assert await _customers(store) == 1
        assert await store.value("SELECT count(DISTINCT customer) FROM touchpoints") == 1
        began = "SELECT occurred_at FROM transitions WHERE rule = 'begins' AND retracted_at IS NULL AND journey = $1"
        assert await store.rows(began, "customer-journey") == [(touchpoint("1").occurred_at,)]


async def test_people_who_sign_in_by_turns_are_not_welded(database_url: str) -> None:
    settings = stager_settings(database_url)
    tablet = {"device_id": "tablet"}
    told = [
        touchpoint("a", hours=1, identifiers={"email": "a@example.com", **tablet}),
        touchpoint("x", hours=2, identifiers=tablet),
        touchpoint("b", hours=3, identifiers={"email": "b@example.com", **tablet}),
        touchpoint("y", hours=4, identifiers=tablet),
        touchpoint("a2", hours=5, identifiers={"email": "a@example.com", **tablet}),
        touchpoint("z", hours=6, identifiers=tablet),
    ]
    async with looking_into(database_url) as store, running_stager(settings):
        for index in (5, 0, 3, 4, 1, 2):  # any order, a batch each
            await append(settings, [told[index]])
            await store.staged([5, 0, 3, 4, 1, 2].index(index) + 1)
        rows = await store.rows(
            "SELECT array_agg(id ORDER BY occurred_at) FROM touchpoints GROUP BY customer ORDER BY min(occurred_at)"
        )
        assert rows == [(["a", "x", "a2", "z"],), (["b", "y"],)]


async def test_a_late_touchpoint_corrects_the_past_and_says_so(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, [touchpoint("view", hours=5)])
        await store.staged(1)
        await append(settings, [touchpoint("ticket", "order_completed", hours=1, channel="store")])
        await store.staged(2)
        await store.holds("SELECT count(*) > 1 FROM feed WHERE journey = 'customer-journey'")
        rows = await store.rows("SELECT convert_from(body, 'UTF8')::jsonb FROM feed ORDER BY feed_seq")
        messages = [msgspec.json.decode(body) for (body,) in rows]
        correction = [one for one in messages if one["journey"] == "customer-journey"][-1]
        assert correction["stage_now"] == "loyalty"
        assert [one["rule"] for one in correction["retracted"]][:1] == ["begins"]
        assert correction["added"][0]["cause"]["id"] == "ticket"
        assert await store.value("SELECT count(*) FROM transitions WHERE retracted_at IS NOT NULL") > 0


async def test_a_record_that_is_no_touchpoint_becomes_a_dead_letter_and_stops_nothing(database_url: str) -> None:
    settings = stager_settings(database_url)
    bad = Record(b"email:ludovic@example.com", b'{"nonsense"', (("ce_source", b"shop"),))
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, [touchpoint("1")])
        await append_records(settings, [bad])
        await append(settings, [touchpoint("2", hours=1)])
        await store.staged(3)
        assert await store.value("SELECT count(*) FROM touchpoints") == 2
        letters = await store.rows("SELECT source, value, reason FROM dead_letters")
        assert letters[0][:2] == ("shop", b'{"nonsense"')
        assert letters[0][2].startswith("not a touchpoint")


async def test_timers_fire_while_nothing_else_happens(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        long_ago = now() - timedelta(days=4_000)
        await append(settings, [touchpoint("1", occurred_at=long_ago)])
        await store.holds("SELECT count(*) > 0 FROM facts WHERE kind = 'dead_time' AND cause ->> 'kind' = 'timer'")


async def test_a_touchpoint_of_the_near_future_waits_for_the_horizon(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        soon = now() + timedelta(seconds=3)
        await append(settings, [touchpoint("1", "order_completed", occurred_at=soon, received_at=now())])
        await store.staged(1)
        assert await store.value("SELECT waiting FROM customers")
        await store.holds("SELECT NOT waiting FROM customers")
        assert await _stages(store) == ["loyalty"]
        assert await store.value("SELECT reached_at FROM horizon") >= soon


async def test_the_store_names_nobody(database_url: str) -> None:
    settings = stager_settings(database_url)
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, [touchpoint("1", identifiers=BOTH)])
        await store.holds("SELECT count(*) > 0 FROM feed")
        tables = ["identifiers", "touchpoints", "transitions", "stays", "facts", "feed", "holdings", "customers"]
        for table in tables:
            text = await store.dump(table)
            assert text
            assert b"ludovic" not in text
            assert b"ludovic".hex().encode() not in text
            assert b64encode(b"ludovic")[:8] not in text
