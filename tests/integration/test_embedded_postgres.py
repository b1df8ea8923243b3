"""The embedded Postgres is durable, has one owner, and outlives whoever started it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

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


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot use"):
        await EmbeddedPostgres(tmp_path / "file" / "postgres").start()


async def test_a_path_too_long_for_a_socket_does(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / ("deep" * 40)) as server:
        assert await ask(server.url, "SELECT 1") == 1


async def test_what_was_committed_is_there_after_the_server_is_killed(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path) as server:
        await ask(server.url, "CREATE TABLE kept AS SELECT 1 AS one")
        os.kill(server.pid, signal.SIGKILL)
    async with EmbeddedPostgres(tmp_path) as server:
        assert await ask(server.url, "SELECT one FROM kept") == 1


async def test_a_server_whose_owner_was_killed_is_adopted(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTS_AND_IS_KILLED, str(tmp_path))
    assert await owner.wait() == -signal.SIGKILL
    orphan = EmbeddedPostgres(tmp_path).pid
    async with EmbeddedPostgres(tmp_path) as server:
        assert server.pid == orphan
        assert await ask(server.url, "SELECT 1") == 1
    assert not (tmp_path / "cluster" / "postmaster.pid").exists()


async def test_a_start_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    starting = asyncio.create_task(server.start())
    await eventually((tmp_path / "owner.lock").exists)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not (tmp_path / "cluster" / "postmaster.pid").exists()
    async with server:
        assert await ask(server.url, "SELECT 1") == 1


async def test_a_cluster_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "cluster.new").mkdir()
    (tmp_path / "cluster.new" / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(tmp_path) as server:
        assert server.pid


async def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path):
        pass
    (tmp_path / "cluster" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="pg_control"):
        await EmbeddedPostgres(tmp_path).start()
