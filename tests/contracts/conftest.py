"""Logs to test: both adapters, on a server that all share or on one that a test may kill and pause."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from plumbing.embedded.kafka import EmbeddedKafka
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.log import open_log
from plumbing.log.port import EventLog
from plumbing.store.migrate import migrate

ADAPTERS = ["kafka", "postgres"]
OpenLog = Callable[..., Awaitable[EventLog]]


@pytest.fixture(params=ADAPTERS)
def log_url(request: pytest.FixtureRequest) -> str:
    """The log, on a server that other tests use too."""
    if request.param == "kafka":
        return f"kafka://{request.getfixturevalue('kafka_bootstrap')}"
    return str(request.getfixturevalue("database_url"))


@pytest.fixture
async def opened(topic: str) -> AsyncIterator[OpenLog]:
    """Opens and starts an `EventLog` at a URL on the test's topic, and stops it in the end."""
    async with AsyncExitStack() as stack:

        async def start(url: str, **options: object) -> EventLog:
            log = open_log(url, topic, **{"partitions": 3, **options})  # type: ignore[arg-type]
            await log.start()
            stack.push_async_callback(log.stop)
            return log

        yield start


@dataclass
class Server:
    """A server of one's own, to be killed and paused."""

    url: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]
    pid: Callable[[], int]

    async def kill_and_start(self) -> None:
        self.signal(signal.SIGKILL)
        await self.stop()
        await self.start()

    def signal(self, number: int) -> None:
        """To the server and all its processes."""
        for pid in (self.pid(), *_children(self.pid())):
            os.kill(pid, number)


@pytest.fixture(params=ADAPTERS, scope="session")
async def own_server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    # not a folder of pytest's: a second run of pytest locks those for other users, and Postgres is one
    with TemporaryDirectory(prefix="jalon-test-", ignore_cleanup_errors=True) as folder:
        server = await (_own_kafka(Path(folder)) if request.param == "kafka" else _own_postgres(Path(folder)))
        yield server
        server.signal(signal.SIGCONT)
        await server.stop()


async def _own_kafka(folder: Path) -> Server:
    broker = EmbeddedKafka(folder)
    await broker.start()

    async def stop() -> None:
        await broker.kill()

    return Server(f"kafka://{broker.bootstrap}", broker.start, stop, lambda: broker.pid)


async def _own_postgres(folder: Path) -> Server:
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    await migrate(postgres.url)
    return Server(postgres.url, postgres.start, postgres.stop, lambda: postgres.pid)


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], check=False, capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split()]
