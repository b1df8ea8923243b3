"""The feed: numbered messages in the one order in which every reader sees them, and a way to wait for more."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from plumbing.store.faults import AWAY
from plumbing.store.feed import CHANNEL
from plumbing.store.tables import feed, feed_head

POLLED_EVERY = timedelta(seconds=1)
"""A notification may be missed: a reader looks at least this often."""


class Message(NamedTuple):
    """A message of the feed; `body` is its JSON."""

    feed_seq: int
    message: bytes
    journey: str
    written_at: datetime
    body: bytes


class Kept(NamedTuple):
    """What can be read: the messages behind `before` up to `last`. Both are the same where there are none."""

    before: int
    last: int


async def kept(connection: AsyncConnection) -> Kept:
    """The part of the feed that is still there."""
    last = (await connection.execute(select(feed_head.c.last_seq))).scalar_one_or_none() or 0
    first = (await connection.execute(select(func.min(feed.c.feed_seq)))).scalar_one_or_none()
    return Kept(last if first is None else first - 1, last)


async def messages_after(connection: AsyncConnection, feed_seq: int, limit: int) -> list[Message]:
    """At most `limit` messages numbered above `feed_seq`, in order."""
    table = feed.c
    query = (
        select(table.feed_seq, table.message, table.journey, table.written_at, table.body)
        .where(table.feed_seq > feed_seq)
        .order_by(table.feed_seq)
        .limit(limit)
    )
    return [Message(*row) for row in await connection.execute(query)]


class FeedBell:
    """Wakes a reader of the feed: by Postgres' notification, and at least once every `POLLED_EVERY`.

    One reader waits at it. While its connection is lost it only polls; the next wait connects again.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._rung = asyncio.Event()
        self._connection: asyncpg.Connection[Any] | None = None

    async def wait(self) -> None:
        """Return when there may be more."""
        await self._listen()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), POLLED_EVERY.total_seconds())
        self._rung.clear()

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def _listen(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        try:
            self._connection = await asyncpg.connect(
                self._database_url, server_settings={"application_name": "jalon-api-feed"}
            )
            await self._connection.add_listener(CHANNEL, lambda *_: self._rung.set())
        except AWAY:
            self._connection = None  # polling goes on, and what it meets is told there
