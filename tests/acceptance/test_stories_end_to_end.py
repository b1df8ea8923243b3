"""The four stories through the whole chain, each service a process: HTTP → ingest → log → stager → Postgres → API.

On real Kafka and on the embedded log. Each story is posted in another way; all are posted once more into a second
Jalon, shuffled and in part twice, which must then export the same.
"""

import gzip
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import httpx
import msgspec
import pytest

from jalon.demo.api import Api, Moved, Profile
from jalon.stories import NAMES, Ending, Story, read
from journey.touchpoint import Touchpoint
from plumbing.clock import new_id, now
from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.command import run_jalon
from tests.support.database import clone, drop, sibling
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY, Service
from tests.support.waiting import eventually

STORIES = [read(name) for name in NAMES]
SOURCES = sorted({one.source for story in STORIES for one in story.touchpoints})
KEYS = ",".join([*(f"write:{source}:website:writes-{source}" for source in SOURCES), "api:reader:read+pii:reads"])
JUST_AFTER = timedelta(minutes=10)
"""How long ago each story has ended: what it expects holds at its end, and time goes on."""

PATIENCE = timedelta(seconds=90)
Post = Callable[[httpx.AsyncClient, Sequence[Touchpoint]], AsyncIterator[httpx.Response]]


class Jalon:
    """One installation: a database, a log, and the environment of its services."""

    def __init__(self, database_url: str, log_url: str) -> None:
        self.ingest_port, self.stager_port, self.api_port = free_port(), free_port(), free_port()
        self.environment = {
            "JALON_DATABASE_URL": database_url,
            "JALON_LOG_URL": log_url,
            "JALON_TOPIC": f"test-{new_id()}",
            "JALON_SECRET_KEY": SECRET_KEY,
            "JALON_BOOTSTRAP_KEYS": KEYS,
            "JALON_INGEST_PORT": str(self.ingest_port),
            "JALON_STAGER_PORT": str(self.stager_port),
            "JALON_API_PORT": str(self.api_port),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Jalon"]:
        """With its three services ready, all started at once."""
        ports = {"ingest": self.ingest_port, "stager": self.stager_port, "api": self.api_port}
        services = [Service(name, port=port, environment=self.environment) for name, port in ports.items()]
        async with AsyncExitStack() as stack:
            for service in services:
                service.spawn()
                stack.push_async_callback(service.close)
            for service in services:
                await service.ready()
            yield self

    async def take(self, post: Post, touchpoints: Sequence[Touchpoint]) -> None:
        """Post touchpoints in some way, each with the key of its source."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.ingest_port}", timeout=30) as client:
            async for answer in post(client, touchpoints):
                assert answer.status_code == 202, answer.text
                assert answer.json()["rejected"] == []

    def export(self) -> str:
        """What `jalon export` writes."""
        done = run_jalon("export", environment=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


def sent(touchpoint: Touchpoint) -> bytes:
    """As a source sends it: who it is says the key, when it was received says ingest."""
    members = msgspec.to_builtins(touchpoint)
    del members["source"], members["received_at"]
    return msgspec.json.encode(members)


def headers(source: str, media: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer writes-{source}", "content-type": media, **more}


def by_source(touchpoints: Iterable[Touchpoint]) -> dict[str, list[bytes]]:
    lines = defaultdict(list)
    for one in touchpoints:
        lines[one.source].append(sent(one))
    return lines


async def one_by_one(client: httpx.AsyncClient, touchpoints: Sequence[Touchpoint]) -> AsyncIterator[httpx.Response]:
    for one in touchpoints:
        yield await client.post("/v1/touchpoints", content=sent(one), headers=headers(one.source, "application/json"))


async def as_lines(client: httpx.AsyncClient, touchpoints: Sequence[Touchpoint]) -> AsyncIterator[httpx.Response]:
    """NDJSON, compressed."""
    for source, lines in by_source(touchpoints).items():
        given = headers(source, "application/x-ndjson", **{"content-encoding": "gzip"})
        yield await client.post("/v1/touchpoints", content=gzip.compress(b"\n".join(lines)), headers=given)


async def as_array(client: httpx.AsyncClient, touchpoints: Sequence[Touchpoint]) -> AsyncIterator[httpx.Response]:
    for source, lines in by_source(touchpoints).items():
        yield await client.post(
            "/v1/touchpoints", content=b"[" + b",".join(lines) + b"]", headers=headers(source, "application/json")
        )


HOW = dict(zip(NAMES, (one_by_one, as_lines, as_array, one_by_one), strict=True))


@pytest.fixture(params=["kafka", "postgres"])
def log_url(request: pytest.FixtureRequest) -> str | None:
    """Of Kafka; None for the log in each Jalon's own database."""
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if request.param == "kafka" else None


@asynccontextmanager
async def new_jalon(postgres: EmbeddedPostgres, template: str, log_url: str | None) -> AsyncIterator[Jalon]:
    name = f"test_{new_id()}"
    await clone(postgres.url, template, name)
    url = sibling(postgres.url, name)
    async with Jalon(url, log_url or url).running() as jalon:
        yield jalon
    await drop(postgres.url, name)


async def test_the_stories_end_as_they_say_in_whatever_order_they_are_told(
    postgres: EmbeddedPostgres, template_database: str, log_url: str | None
) -> None:
    ended_at = now() - JUST_AFTER
    told = {story.story: list(story.touchpoints_from(ended_at - story.lasts)) for story in STORIES}
    async with new_jalon(postgres, template_database, log_url) as jalon:
        for name, touchpoints in told.items():
            await jalon.take(HOW[name], touchpoints)
        for story in STORIES:
            await _ends_as_it_says(jalon, story, len(told[story.story]))
        in_order = jalon.export()
    async with new_jalon(postgres, template_database, log_url) as other:
        chance = random.Random(4)
        everything = [one for touchpoints in told.values() for one in touchpoints]
        await other.take(one_by_one, chance.sample(everything, len(everything)))
        await other.take(as_array, chance.sample(everything, len(everything) // 2))
        for story in STORIES:
            await _ends_as_it_says(other, story, len(told[story.story]))
        assert other.export() == in_order


async def _ends_as_it_says(jalon: Jalon, story: Story, touchpoints: int) -> None:
    async with httpx.AsyncClient(timeout=30) as client:
        api = Api(client, f"http://127.0.0.1:{jalon.api_port}", "reads")
        told_by = now()

        async def settled() -> list[Profile]:
            """The shopper as found by each identifier, when all that was posted is known and time has passed."""
            found = [await api.profile(kind, value) for kind, value in story.found_by.items()]
            profiles = [one for one in found if one and one.settled and one.horizon > told_by]
            assert len(profiles) == len(story.found_by)
            return profiles

        profiles = await eventually(settled, PATIENCE)
        assert len({profile.id for profile in profiles}) == 1
        timeline = await api.timeline(profiles[0].id)
        assert timeline is not None
        kinds = [type(item).__name__ for item in timeline.items]
        assert kinds.count("Touched") == touchpoints
        moves = [item for item in timeline.items if isinstance(item, Moved)]
        for journey, ending in story.expects.items():
            assert _ended(profiles[0], journey) == (ending and (ending.stage, ending.run, ending.persona))
            assert [_said(move) for move in moves if move.journey == journey] == list(_expected(ending))
        assert [move.occurred_at for move in moves] == sorted(move.occurred_at for move in moves)


def _ended(profile: Profile, journey: str) -> tuple[str, int, str | None] | None:
    where = next((one for one in profile.journeys if one.journey == journey), None)
    return (where.stage.name, where.run, where.persona.name if where.persona else None) if where else None


def _said(move: Moved) -> str:
    return f"{move.rule} {move.cause.get('id', 'time')} {move.to_stage}"


def _expected(ending: Ending | None) -> Sequence[str]:
    return ending.transitions if ending else ()
