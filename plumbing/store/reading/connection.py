"""A connection to read with, and one error for all the ways in which Postgres can be away."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from journey.errors import StoreUnavailable

Engine = AsyncEngine
"""For those who hand it on without naming a driver."""

if TYPE_CHECKING:
    Pool = asyncpg.Pool[Any]
else:
    Pool = asyncpg.Pool

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # nobody has migrated it yet
    DBAPIError,
    PoolExhausted,
    OSError,
    TimeoutError,
)
"""What drivers raise when the store does not answer: we only send queries of ours, so none of it is the caller's."""

ANSWER_WITHIN = 10.0
"""Seconds that a query may take before its reader is told that the store is away."""


@contextmanager
def store_faults() -> Iterator[None]:
    """Raises `StoreUnavailable` where the body meets a store that does not answer."""
    try:
        yield
    except AWAY as error:
        raise StoreUnavailable from error


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that sees one state of the store in all its queries, and cannot write.

    Raises `StoreUnavailable`.
    """
    with store_faults():
        async with engine.connect() as connection:
            yield await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def make_pool(database_url: str, connections: int) -> Pool:
    """A pool of bare asyncpg connections for the hottest reads. Enter it to use it; it connects when first asked."""
    return asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=connections,
        command_timeout=ANSWER_WITHIN,
        server_settings={"application_name": "jalon-api", "timezone": "UTC", "default_transaction_read_only": "on"},
    )
