"""A connection to read with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from plumbing.store.faults import store_faults

if TYPE_CHECKING:
    Pool = asyncpg.Pool[Any]
else:
    Pool = asyncpg.Pool

ANSWER_WITHIN = 10.0
"""Seconds that a query may take before its reader is told that the store is away."""


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
