"""Ingest as a process of its own, on the real logs and the real database."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from journey.touchpoint import decode
from plumbing.clock import new_id
from plumbing.embedded.kafka import EmbeddedKafka
from plumbing.store.engine import make_engine
from plumbing.store.keys import create_write_key, revoke
from tests.contracts.log_reading import read_until, reading, values
from tests.support.ports import free_port
from tests.support.service import Service
from tests.support.waiting import eventually

KEY = "a-secret"
SLOW_LIMIT = timedelta(seconds=2)
PARTITIONS = 6
STARTS = timedelta(minutes=2)


def touchpoint(id_: str) -> dict[str, object]:
    return {"id": id_, "type": "product_viewed", "identifiers": {"email": f"{id_}@example.com"}}


@pytest.fixture(params=["postgresql", "kafka"])
def log_url(request: pytest.FixtureRequest, database_url: str) -> str:
    if request.param == "postgresql":
        return database_url
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}"


def ingest_with(database_url: str, log_url: str, topic: str, **settings: str) -> Service:
    port = free_port()
    environment = {
        "JALON_DATABASE_URL": database_url,
        "JALON_LOG_URL": log_url,
        "JALON_TOPIC": topic,
        "JALON_INGEST_PORT": str(port),
        "JALON_BOOTSTRAP_KEYS": f"write:web:website:{KEY}",
        "JALON_BODY_TIMEOUT": str(SLOW_LIMIT.total_seconds()),
        **settings,
    }
    return Service("ingest", port=port, environment=environment)


@pytest.fixture
async def ingest(database_url: str, log_url: str, topic: str) -> AsyncIterator[Service]:
    async with ingest_with(database_url, log_url, topic) as service:
        yield service


async def post(service: Service, *ids: str, key: str = KEY) -> httpx.Response:
    async with httpx.AsyncClient(timeout=20) as client:
        body = [touchpoint(id_) for id_ in ids] if len(ids) > 1 else touchpoint(ids[0])
        return await client.post(f"{service.url}/v1/touchpoints", json=body, auth=(key, ""))


async def logged_ids(log_url: str, topic: str) -> list[str]:
    """The ids of all touchpoints in the log, each as often as it is there."""
    async with reading(log_url, topic, group=new_id()) as reader:
        extents = await reader.extents(frozenset(range(PARTITIONS)))
        held = sum(extent.end - extent.first for extent in extents.values())
        reads = await read_until(reader, held) if held else []
        return [decode(value).id for value in values(reads)]


async def test_what_it_acknowledges_is_in_the_log(ingest: Service, log_url: str, topic: str) -> None:
    assert (await post(ingest, "one")).json() == {"accepted": 1, "rejected": []}
    many = [f"many-{n}" for n in range(400)]
    assert (await post(ingest, *many)).json()["accepted"] == 400
    assert sorted(await logged_ids(log_url, topic)) == sorted(["one", *many])


async def test_a_stop_answers_what_has_come_in_and_is_no_failure(ingest: Service, log_url: str, topic: str) -> None:
    posting = [asyncio.create_task(post(ingest, *(f"{n}-{m}" for m in range(50)))) for n in range(20)]
    await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
    ingest.process.send_signal(signal.SIGTERM)
    answers = await asyncio.gather(*posting, return_exceptions=True)
    assert await eventually(lambda: ingest.process.poll() is not None)
    assert ingest.process.returncode == 0
    acknowledged = sum(isinstance(answer, httpx.Response) and answer.status_code == 202 for answer in answers)
    assert acknowledged >= 1
    assert len(await logged_ids(log_url, topic)) >= 50 * acknowledged


async def test_a_kill_loses_nothing_that_was_acknowledged(ingest: Service, log_url: str, topic: str) -> None:
    acknowledged: list[str] = []

    async def post_until_it_dies(poster: int) -> None:
        for n in range(10_000):
            ids = [f"{poster}-{n}-{m}" for m in range(20)]
            try:
                answer = await post(ingest, *ids)
            except httpx.TransportError:
                return
            assert answer.status_code == 202
            acknowledged.extend(ids)

    posters = [asyncio.create_task(post_until_it_dies(poster)) for poster in range(4)]
    await eventually(lambda: len(acknowledged) >= 400)
    ingest.kill()
    await asyncio.gather(*posters)
    assert set(acknowledged) <= set(await logged_ids(log_url, topic))


async def test_a_key_counts_within_moments_of_its_making_and_not_after_its_end(
    ingest: Service, database_url: str
) -> None:
    engine = make_engine(database_url)
    try:
        secret = await create_write_key(engine, "till-1", "till", "store")
        two = timedelta(seconds=10)  # two, and what a busy machine adds

        async def answers(status: int) -> bool:
            return (await post(ingest, "a", key=secret)).status_code == status

        assert await eventually(lambda: answers(202), two)
        assert await revoke(engine, "till-1")
        assert await eventually(lambda: answers(401), two)
    finally:
        await engine.dispose()


async def test_slow_clients_are_shown_out_and_slow_nobody(ingest: Service) -> None:
    host, port = ingest.url.removeprefix("http://").split(":")
    halves = [b"", b"POST /v1/touch", b"POST /v1/touchpoints HTTP/1.1\r\ncontent-length: 99\r\n\r\n{"]
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for n in range(210):
            reader, writer = await asyncio.open_connection(host, int(port))
            stack.callback(writer.close)
            writer.write(halves[n % 3])
            streams.append(reader)
        assert (await post(ingest, "quick")).status_code == 202
        async with asyncio.timeout(60):
            last_words = await asyncio.gather(*(reader.read() for reader in streams))
    assert all(words.startswith(b"HTTP/1.1 4") or words == b"" for words in last_words)
    assert any(words.startswith(b"HTTP/1.1 408") for words in last_words)
    assert (await post(ingest, "later")).status_code == 202


async def test_a_head_without_end_is_cut_off(ingest: Service) -> None:
    host, port = ingest.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /v1/touchpoints HTTP/1.1\r\n" + b"x-filler: and so on\r\n" * 10_000)
    with contextlib.suppress(ConnectionError):
        await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await reader.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    writer.close()
    assert (await post(ingest, "next")).status_code == 202


async def test_several_processes_share_the_port_and_end_together(database_url: str, log_url: str, topic: str) -> None:
    async with ingest_with(database_url, log_url, topic, JALON_WORKERS="2") as service:
        answers = await asyncio.gather(*(post(service, f"e-{n}") for n in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert service.terminate() == 0
    assert len(await logged_ids(log_url, topic)) == 20


async def test_it_serves_before_its_log_is_there(database_url: str, topic: str, tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, port=free_port())
    service = ingest_with(database_url, f"kafka://{broker.bootstrap}", topic)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_exit(service)
        service.spawn()
        early = (await eventually(lambda: _answers(service), STARTS))[0]
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{service.url}/readyz")).status_code == 503
            assert (await client.get(f"{service.url}/healthz")).status_code == 200
        async with broker:
            await service.ready(STARTS)
            assert (await post(service, "at last")).status_code == 202
            service.terminate()


async def _answers(service: Service) -> list[httpx.Response]:
    """The answer to a POST; none while nothing listens."""
    try:
        return [await post(service, "early")]
    except httpx.ConnectError:
        return []
