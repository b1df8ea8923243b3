"""The engine: SQLAlchemy on asyncpg, and the bare asyncpg connection beneath it for the batch writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from asyncpg import Connection
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from journey.errors import Misconfigured
from plumbing.store.faults import store_faults

if TYPE_CHECKING:
    Driver = Connection[Any]
else:
    Driver = Connection

Engine = AsyncEngine
"""For those who hand it on without naming a driver."""

IDLE_IN_TRANSACTION_LIMIT = timedelta(seconds=30)
"""A stopped process must not hold its locks for ever: Postgres ends such a session after this."""


def make_engine(database_url: str, *, connections: int = 10, application: str = "jalon") -> AsyncEngine:
    """An engine for `database_url` (`postgresql://…`), with at most `connections` open at once.

    `application` is what Postgres shows as application_name. Nothing is connected yet. Raises `Misconfigured` for a URL
    of another kind.
    """
    url = make_url(database_url)
    if url.get_backend_name() != "postgresql":
        raise Misconfigured("JALON_DATABASE_URL must start with postgresql://")
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=connections,
        max_overflow=0,
        connect_args={
            "server_settings": {
                "application_name": application,
                "timezone": "UTC",
                "idle_in_transaction_session_timeout": str(int(IDLE_IN_TRANSACTION_LIMIT.total_seconds() * 1000)),
            }
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that the server has ended: the driver knows, without asking it each time."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


async def driver_of(connection: AsyncConnection) -> Driver:
    """The asyncpg connection beneath, in the same transaction: for arrays, COPY and LISTEN."""
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, Connection)
    return driver


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """One transaction on a bare asyncpg connection: committed at the end, rolled back when the body raises.

    Raises `StoreUnavailable` (also where it is not known whether the commit was done), `Contended` and `DoesNotFit`.
    """
    with store_faults():
        async with engine.connect() as connection:
            driver = await driver_of(connection)
            async with driver.transaction():
                yield driver
