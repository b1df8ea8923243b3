"""A served API with a few people in it whose touchpoints are known."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
import httpx

from journey.touchpoint import Touchpoint
from plumbing.clock import new_id
from plumbing.settings import decode_key
from tests.support.api import READ, bearing, serving_api
from tests.support.database import clone, drop, sibling
from tests.support.population import Population, publish
from tests.support.service import SECRET_KEY

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
EMAIL, CARD = "ludovic@example.com", "L000123"


def touched(at: timedelta, type_: str, channel: str, identifiers: dict[str, str], **more: Any) -> Touchpoint:
    return Touchpoint(
        source="test",
        id=more.pop("id", new_id()),
        type=type_,
        occurred_at=START + at,
        received_at=START + at,
        channel=channel,
        identifiers=identifiers,
        **more,
    )


LUDOVIC = [
    touched(timedelta(days=0), "products_compared", "comparator", {"anonymous_id": "a-1"}),
    touched(
        timedelta(days=1), "store_visited", "store", {"loyalty_card": CARD}, traits={"sport": "running", "age": 34}
    ),
    touched(timedelta(days=1, minutes=5), "product_tried", "store", {"loyalty_card": CARD}),
    touched(
        timedelta(days=1, minutes=20),
        "order_completed",
        "store",
        {"loyalty_card": CARD, "email": EMAIL, "ticket_id": "42"},
        properties={"total": "119.90", "currency": "EUR", "deliver_to": "Ludovic Martin"},
        context={"url": "https://shop.example/?mail=secret"},
    ),
    touched(timedelta(days=3), "review_submitted", "social", {"email": EMAIL}, properties={"rating": 5}),
]


class World(NamedTuple):
    """A served API and what is behind it."""

    database_url: str
    url: str
    client: httpx.AsyncClient
    population: Population
    ludovic: str


@asynccontextmanager
async def inhabited(server_url: str, template: str) -> AsyncIterator[World]:
    """A world on a copy of the database `template`, as of four days after `START`."""
    name = f"test_{new_id()}"
    await clone(server_url, template, name)
    url = sibling(server_url, name)
    journeys = await publish(url)
    connection = await asyncpg.connect(url)
    population = Population(connection, journeys, decode_key(SECRET_KEY), START + timedelta(days=4))
    await population.begin()
    ludovic = await population.add(LUDOVIC)
    async with serving_api(url) as address, httpx.AsyncClient(base_url=address) as client:
        client.headers.update(bearing(READ))
        yield World(url, address, client, population, ludovic)
    await connection.close()
    await drop(server_url, name)
