"""One connection to Postgres for the log, made anew after any fault, with Postgres' errors read in our tree."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from journey.errors import LogUnavailable, Misconfigured
from plumbing.telemetry import Action, log

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any]
else:
    Connection = asyncpg.Connection

WAKE_CHANNEL = "jalon_log"

_MISCONFIGURED = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)


@contextmanager
def postgres_faults() -> Iterator[None]:
    """Whatever asyncpg raises inside comes out as `Misconfigured` or `LogUnavailable`."""
    try:
        yield
    except asyncpg.UndefinedTableError as error:
        raise Misconfigured("The database of the log lacks its tables: run `jalon doctor`") from error
    except _MISCONFIGURED as error:
        raise Misconfigured(f"Postgres refuses this: {type(error).__name__}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise LogUnavailable(f"Postgres did not answer as it should: {type(error).__name__}") from error
    except (OSError, TimeoutError) as error:
        raise LogUnavailable(f"Postgres did not answer: {type(error).__name__}") from error


class Session:
    """A connection that one task uses at a time, each time for `limit` at most.

    After anything but success the connection is thrown away: a query that was cancelled in the middle can leave one
    that answers the next question with the last one's rows.
    """

    def __init__(
        self,
        url: str,
        application: str,
        limit: timedelta,
        on_connect: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._url = re.sub(r"^postgresql\+\w+:", "postgresql:", url)
        self._application = application
        self._limit = limit.total_seconds()
        self._on_connect = on_connect
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection. Raises `LogUnavailable` or `Misconfigured` for what goes wrong with it."""
        with postgres_faults():
            async with self._lock:
                try:
                    async with asyncio.timeout(self._limit):
                        yield self._connection or await self._connect()
                except BaseException:
                    self._drop()
                    raise

    async def close(self) -> None:
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                try:
                    await connection.close(timeout=self._limit)
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                    connection.terminate()

    async def _connect(self) -> Connection:
        milliseconds = str(int(self._limit * 1000))
        settings = {
            "application_name": self._application,
            "statement_timeout": milliseconds,  # a server that goes on after we gave up keeps locks for no one
            "idle_in_transaction_session_timeout": milliseconds,
        }
        connection: Connection = await asyncpg.connect(self._url, timeout=self._limit, server_settings=settings)
        self._connection = connection
        if self._on_connect is not None:
            await self._on_connect(connection)
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class Topic(NamedTuple):
    """A topic of the log in Postgres: its number inside the tables, its identity, its size."""

    number: int
    log_id: str
    partitions: int


async def check_durable(connection: Connection) -> None:
    """Raise `Misconfigured` where a commit that was acknowledged could be lost."""
    for setting in ("fsync", "synchronous_commit"):
        if await connection.fetchval("SELECT current_setting($1)", setting) == "off":
            raise Misconfigured(f"Postgres runs with {setting} = off: it could lose what the log has acknowledged")


async def find_topic(connection: Connection, name: str) -> Topic:
    """Raises `Misconfigured` when there is no such topic."""
    row = await connection.fetchrow("SELECT topic, log_id, partitions FROM log_topics WHERE name = $1", name)
    if row is None:
        raise Misconfigured(f"The log has no topic {name}: let ingest make it")
    return Topic(row["topic"], f"postgresql:{row['log_id']}", row["partitions"])


async def find_or_make_topic(connection: Connection, name: str, partitions: int) -> Topic:
    async with connection.transaction():
        number = await connection.fetchval(
            "INSERT INTO log_topics (name, partitions) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING topic",
            name,
            partitions,
        )
        if number is not None:
            await connection.execute(
                "INSERT INTO log_heads (topic, partition) SELECT $1, generate_series(0, $2 - 1)", number, partitions
            )
            log(Action.TOPIC_CREATED, topic=name, partitions=partitions)
    return await find_topic(connection, name)
