"""The schema is the sum of its migrations: what they make is what the tables declare."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

import plumbing.log.tables
import plumbing.store.build_tables
import plumbing.store.tables  # noqa: F401 - declares the tables
from plumbing.store.engine import make_engine
from plumbing.store.metadata import metadata
from plumbing.store.migrate import at_head, migrate


def _differences(connection: Connection) -> object:
    return compare_metadata(
        MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True}), metadata
    )


async def test_the_migrations_make_what_the_tables_declare(database_url: str) -> None:
    engine = make_engine(database_url, connections=1)
    async with engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await engine.dispose()
    assert differences == []


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    assert await at_head(database_url)
    await migrate(database_url)
    assert await at_head(database_url)
