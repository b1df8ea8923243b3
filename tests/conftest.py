"""What every test may ask for: a fresh migrated database, a Kafka broker. Both are real."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest

from plumbing.clock import new_id
from plumbing.embedded.kafka import EmbeddedKafka
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.store.migrate import migrate
from tests.support.database import clone, drop, sibling


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[EmbeddedPostgres]:
    """The one embedded Postgres of this run.

    Its folder is not one of pytest's: those a second run of pytest locks for other users, and Postgres is one.
    """
    with TemporaryDirectory(prefix="jalon-test-", ignore_cleanup_errors=True) as folder:
        async with EmbeddedPostgres(Path(folder)) as server:
            yield server


@pytest.fixture(scope="session")
async def template_database(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database that nobody connects to, so that it can be cloned."""
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("CREATE DATABASE migrated")
    await connection.close()
    await migrate(sibling(postgres.url, "migrated"))
    return "migrated"


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[str]:
    """A database of the newest schema that only this test uses."""
    name = f"test_{new_id()}"
    await clone(postgres.url, template_database, name)
    yield sibling(postgres.url, name)
    await drop(postgres.url, name)


@pytest.fixture(scope="session")
async def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """`host:port` of a Kafka broker: the one of `KAFKA_BOOTSTRAP_SERVERS`, or one that this run starts."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    async with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap


@pytest.fixture
def topic() -> str:
    """The name of a topic that only this test uses."""
    return f"test-{new_id()}"
