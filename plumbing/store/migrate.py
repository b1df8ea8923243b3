"""Bringing a database up to the schema of this version of Jalon; several processes may try at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from plumbing.store.engine import make_engine
from plumbing.store.faults import store_faults

_MIGRATION_LOCK = 0x6A616C6F6E  # "jalon"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def migrate(database_url: str) -> None:
    """Apply the migrations that the database lacks, under an advisory lock, in one transaction.

    Raises `StoreUnavailable`.
    """
    engine = make_engine(database_url, connections=1)
    try:
        with store_faults():
            async with engine.begin() as connection:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
                await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


async def at_head(database_url: str) -> bool:
    """Whether the database has the schema of this version."""
    engine = make_engine(database_url, connections=1)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_is_at_head)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_at_head(connection: Connection) -> bool:
    heads = set(ScriptDirectory.from_config(_config()).get_heads())
    return set(MigrationContext.configure(connection).get_current_heads()) == heads
