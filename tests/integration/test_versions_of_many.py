"""A version that moves many of a hundred thousand customers: foretold, switched, taken back."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from journey.touchpoint import Touchpoint
from plumbing import clock
from tests.support.population import publish
from tests.support.stager import NOON, touchpoint
from tests.support.versions import Store, customer_journey, without_rules

NAME = "customer-journey"
CUSTOMERS = 100_000
TYPES = ("product_tried", "order_completed", "product_viewed", "review_submitted", "store_visited")
BESIDE = "SELECT customer, stage_before, stage_now FROM build_customers WHERE build = $1 AND stage_now IS NOT NULL"


def _lives(first: int, last: int) -> Iterator[Touchpoint]:
    """One to three touchpoints of each customer."""
    for customer in range(first, last):
        for step in range(1 + customer % 3):
            type_ = TYPES[(customer + step * (1 + customer // 7)) % len(TYPES)]
            at, name = NOON + timedelta(hours=step), {"loyalty_card": f"card-{customer}"}
            yield touchpoint(f"{customer}-{step}", type_, occurred_at=at, received_at=at, identifiers=name)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    store = Store(database_url, await publish(database_url), at_once=500)
    await store.publish(customer_journey(2, transitions=without_rules("weighs_us_up", "tries", "browses_again")))
    await store.let_pass(NOON + timedelta(hours=5))
    for first in range(0, CUSTOMERS, 2_000):
        await store.stage(_lives(first, min(first + 2_000, CUSTOMERS)))
    yield store
    await store.close()


@pytest.mark.long
async def test_a_version_moves_a_hundred_thousand_customers_as_foretold_and_back(store: Store) -> None:
    live, stages = await store.export(), await store.stages(NAME)
    began = clock.monotonic()
    dry = await store.finish(await store.begin(NAME, 2))
    built = clock.monotonic()
    foretold = {customer: (before, now) for customer, before, now in await store.rows(BESIDE, dry.build)}
    assert len(foretold) == CUSTOMERS
    assert sum(before != now for before, now in foretold.values()) >= CUSTOMERS * 0.05

    ready = clock.monotonic()
    done = await store.activate(NAME, 2)
    switched = clock.monotonic()
    print(f"built in {built - began:.1f} s, switched in {switched - ready:.1f} s")  # noqa: T201 (what the record quotes)
    now = await store.stages(NAME)
    assert foretold == {customer: (stages[customer], now[customer]) for customer in now}
    assert {(cell[0], cell[1]): cell[2] for cell in done.outcome["matrix"]} == Counter(foretold.values())
    await store.activate(NAME, 1)
    assert await store.export() == live
    messages = "SELECT count(*) FROM outbox WHERE convert_from(body, 'UTF8')::jsonb ->> 'type' = 'definition.activated'"
    assert await store.value(messages) == 2
