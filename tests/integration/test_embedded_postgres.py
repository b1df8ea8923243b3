"""The embedded Postgres is durable, has one owner, and outlives whoever started it."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from journey.errors import Misconfigured, StoreUnavailable
from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.waiting import eventually

STARTS_AND_IS_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from plumbing.embedded.postgres import EmbeddedPostgres
asyncio.run(EmbeddedPostgres(Path(sys.argv[1])).start())
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postgres' user may pass into (see the fixture `postgres`)."""
    with TemporaryDirectory(prefix="jalon-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_it_is_durable(postgres: EmbeddedPostgres, setting: str) -> None:
    assert await ask(postgres.url, f"SHOW {setting}") == "on"


async def test_it_serves_only_those_who_may_enter_its_directory(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.url, "SHOW listen_addresses") == ""
    assert postgres.directory.stat().st_mode & 0o077 == 0


async def test_sqlalchemy_takes_its_url_too(postgres: EmbeddedPostgres) -> None:
    engine = create_async_engine(postgres.url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def test_text_sorts_by_code_point_and_has_accents(postgres: EmbeddedPostgres) -> None:
    assert await ask(postgres.url, "SELECT 'Z' < 'a' AND lower('É') = 'é'") is True


async def test_a_directory_has_one_owner(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(Misconfigured, match=f"in use by another Jalon .process {os.getpid()}"):
        await EmbeddedPostgres(postgres.directory).start()


async def test_a_directory_that_cannot_be_made_is_told(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(Misconfigured, match="cannot use"):
        await EmbeddedPostgres(folder / "file" / "postgres").start()


async def test_a_path_too_long_for_a_socket_does(folder: Path) -> None:
    async with EmbeddedPostgres(folder / ("deep" * 40)) as server:
        assert await ask(server.url, "SELECT 1") == 1


async def test_what_was_committed_is_there_after_the_server_is_killed(folder: Path) -> None:
    async with EmbeddedPostgres(folder) as server:
        await ask(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
        os.kill(server.pid, signal.SIGKILL)
    async with EmbeddedPostgres(folder) as server:
        assert await ask(server.url, "SELECT one FROM kept") == 1


async def test_a_server_whose_owner_was_killed_is_adopted(folder: Path) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTS_AND_IS_KILLED, str(folder))
    assert await owner.wait() == -signal.SIGKILL
    orphan = EmbeddedPostgres(folder).pid
    async with EmbeddedPostgres(folder) as server:
        assert server.pid == orphan
        assert await ask(server.url, "SELECT 1") == 1
    assert not (folder / "cluster" / "postmaster.pid").exists()


async def test_a_start_that_is_cancelled_leaves_nothing_running(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    starting = asyncio.create_task(server.start())
    await eventually((folder / "owner.lock").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not (folder / "cluster" / "postmaster.pid").exists()
    async with server:
        assert await ask(server.url, "SELECT 1") == 1


async def test_a_cluster_half_made_is_made_anew(folder: Path) -> None:
    (folder / "cluster.new").mkdir()
    (folder / "cluster.new" / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(folder) as server:
        assert server.pid


async def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    async with EmbeddedPostgres(folder):
        pass
    (folder / "cluster" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="pg_control"):
        await EmbeddedPostgres(folder).start()
