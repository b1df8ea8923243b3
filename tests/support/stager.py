"""A stager in the test's own event loop, and what tests need to feed it and to see what it has done."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import asyncpg

from journey.touchpoint import Touchpoint, encode
from plumbing.log import open_log
from plumbing.log.port import Record
from plumbing.settings import Settings, load
from services.stager.app import serve
from tests.support.ports import free_port
from tests.support.waiting import eventually

SECRET = "00" * 32
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def stager_settings(database_url: str, **overrides: Any) -> Settings:
    return load(database_url=database_url, secret_key=SECRET, stager_port=free_port(), **overrides)


def touchpoint(id_: str, type_: str = "product_viewed", *, hours: float = 0, **fields: Any) -> Touchpoint:
    """A touchpoint so many hours after `NOON`."""
    given = {"source": "shop", "channel": "website", "identifiers": {"email": "ludovic@example.com"}} | fields
    at = NOON + timedelta(hours=hours)
    instants: dict[str, Any] = {"occurred_at": at, "received_at": at + timedelta(seconds=1)}
    return Touchpoint(id=id_, type=type_, **instants | given)


@asynccontextmanager
async def running_stager(settings: Settings) -> AsyncIterator[None]:
    """A stager that is stopped as SIGTERM would stop it."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(settings, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def append(settings: Settings, touchpoints: Iterable[Touchpoint], key: bytes | None = None) -> None:
    """Put touchpoints into the log, each under its first identifier unless a key is given."""
    await append_records(
        settings,
        [Record(key or _key(one), encode(one), (("ce_specversion", b"1.0"),)) for one in touchpoints],
    )


async def append_records(settings: Settings, records: Sequence[Record]) -> None:
    log = open_log(settings.log_url, settings.topic, partitions=settings.partitions)
    await log.start()
    try:
        await log.append(records)
    finally:
        await log.stop()


def _key(one: Touchpoint) -> bytes:
    kind, value = next(iter(one.identifiers.items()))
    return f"{kind}:{value}".encode()


class Store:
    """Looks into the stager's tables."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def value(self, sql: str, *arguments: object) -> Any:
        return await self._connection.fetchval(sql, *arguments)

    async def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self._connection.fetch(sql, *arguments)]

    async def dump(self, table: str) -> bytes:
        """All of a table, as COPY writes it."""
        output = BytesIO()
        await self._connection.copy_from_table(table, output=output)
        return output.getvalue()

    async def staged(self, records: int) -> None:
        """Wait until so many records are behind the stored positions."""
        await eventually(lambda: self._has("SELECT coalesce(sum(next_offset), 0) >= $1 FROM positions", records))

    async def _has(self, sql: str, *arguments: object) -> bool:
        return bool(await self.value(sql, *arguments))

    async def holds(self, sql: str, *arguments: object) -> None:
        """Wait until a query answers true."""
        await eventually(lambda: self._has(sql, *arguments))


@asynccontextmanager
async def looking_into(database_url: str) -> AsyncIterator[Store]:
    connection = await asyncpg.connect(database_url)
    try:
        yield Store(connection)
    finally:
        await connection.close()
