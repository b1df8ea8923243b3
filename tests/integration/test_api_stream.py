"""The feed over SSE: nothing is missed and nothing repeated, whoever connects when."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.store.engine import make_engine
from plumbing.store.keys import create_api_key, revoke
from services.api.answers import Changes
from services.api.stream import QUEUED_AT_MOST, Subscriber
from tests.support.api import READ, bearing, serving_api
from tests.support.population import publish
from tests.support.waiting import eventually
from tests.support.world import World, inhabited

JOURNEY = "customer-journey"


class Event(NamedTuple):
    id: int
    name: str
    data: dict[str, Any]


class Listener:
    """A client of the stream that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ended = False

    @property
    def numbers(self) -> list[int]:
        return [event.id for event in self.events if event.name == "change"]

    async def listen(self, response: httpx.Response) -> None:
        fields: dict[str, str] = {}
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if not line and "data" in fields:
                self.events.append(Event(int(fields["id"]), fields["event"], msgspec.json.decode(fields["data"])))
                fields = {}
            elif line:
                fields[name] = value
        self.ended = True


@asynccontextmanager
async def listening(
    url: str, after: int | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    """A client that listens, from its connection on."""
    listener = Listener()
    query = "" if after is None else f"?after={after}"
    async with (
        httpx.AsyncClient(base_url=url, timeout=30) as client,
        client.stream("GET", f"/v1/stream{query}", headers={**bearing(READ), **(headers or {})}) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        task = asyncio.create_task(listener.listen(response))
        yield listener
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        yield world


async def say(world: World, count: int) -> list[int]:
    return [await world.population.send(world.ludovic, JOURNEY, number=number) for number in range(count)]


async def test_a_listener_hears_what_is_said_after_it_came(world: World) -> None:
    async with listening(world.url) as listener:
        said = await say(world, 3)
        await eventually(lambda: listener.numbers == said)
    event = listener.events[0]
    assert event.data["journey"] == JOURNEY
    assert event.data["data"] == {"customer": world.ludovic, "journey": JOURNEY, "number": 0}


async def test_a_listener_that_comes_back_misses_and_repeats_nothing(world: World) -> None:
    heard: list[int] = []
    saying = asyncio.create_task(say(world, 60))
    while len(heard) < 60:
        after = heard[-1] if heard else 0
        async with listening(world.url, headers={"last-event-id": str(after)}) as listener:
            await eventually(lambda: listener.numbers)
            heard += listener.numbers
    await saying
    assert heard == list(range(1, 61))


async def test_last_event_id_wins_over_after(world: World) -> None:
    await say(world, 4)
    async with listening(world.url, after=0, headers={"last-event-id": "2"}) as listener:
        await eventually(lambda: listener.numbers == [3, 4])


@pytest.mark.parametrize("value", ["x", "-1", "9" * 19, "9" * 5_000])
async def test_a_number_that_no_event_has_is_refused(world: World, value: str) -> None:
    answer = await world.client.get("/v1/stream", headers={"last-event-id": value})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")


@pytest.mark.parametrize("after", [1, 99])
async def test_who_asks_for_what_is_no_longer_kept_is_told_to_start_anew(world: World, after: int) -> None:
    await say(world, 6)
    await world.population.forget_feed(3)
    assert await eventually(lambda: reset(world, after)) == Event(6, "reset", {"next": 6})
    async with listening(world.url, after=after) as listener:
        said = await say(world, 1)
        await eventually(lambda: listener.numbers == said)


async def reset(world: World, after: int) -> Event | None:
    """What somebody who asks for this is told first, when the service has read all that was said."""
    async with listening(world.url, after=after) as listener:
        await eventually(lambda: listener.events)
        return listener.events[0] if listener.events[0].id == 6 else None


async def test_those_who_poll_get_the_same(world: World) -> None:
    said = await say(world, 5)
    first = await changes(world, "after=0&limit=3")
    second = await changes(world, f"after={first.next}")
    assert [change.feed_seq for change in (*first.items, *second.items)] == said
    assert await changes(world, f"after={second.next}") == Changes(items=(), next=5, reset=False)
    assert await changes(world, "after=99") == Changes(items=(), next=5, reset=True)


async def changes(world: World, query: str) -> Changes:
    answer = await world.client.get(f"/v1/changes?{query}")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Changes)


async def test_streams_end_when_the_service_stops(database_url: str) -> None:
    await publish(database_url)
    async with serving_api(database_url) as url:
        leaving = listening(url)
        listener = await leaving.__aenter__()
    await eventually(lambda: listener.ended)
    await leaving.__aexit__(None, None, None)


async def test_a_stream_ends_with_the_token_it_was_opened_with(world: World) -> None:
    engine = make_engine(world.database_url, connections=1)
    token = await create_api_key(engine, "for a while", ["read"])
    await eventually(lambda: opens(world, token))
    async with listening(world.url, headers=bearing(token)) as listener:
        await revoke(engine, "for a while")
        await eventually(lambda: said_until_ended(world, listener))
    await engine.dispose()


async def opens(world: World, token: str) -> bool:
    return (await world.client.get("/v1/journeys", headers=bearing(token))).status_code == 200


async def said_until_ended(world: World, listener: Listener) -> bool:
    await say(world, 1)
    return listener.ended


async def test_a_client_that_does_not_keep_up_is_cut_off() -> None:
    slow = Subscriber(0)
    for _ in range(QUEUED_AT_MOST):
        slow.put(b"event")
    assert not slow.ended
    slow.put(b"one too many")
    assert await slow.take() is None
