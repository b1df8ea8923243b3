"""The outbox and the feed: messages are written unnumbered with the batch that makes them, and numbered once committed.

A number taken before the commit would let a reader pass over a message that commits late. So whoever numbers holds the
row of `feed_head`, sees only committed messages, and moves them to the feed in one transaction: sequencers take turns.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from plumbing.store.engine import Driver
from plumbing.store.rows import put

CHANNEL = "jalon_feed"
"""NOTIFY on this channel wakes up those who wait for the feed; it carries nothing."""


class Message(NamedTuple):
    """A message for the outbox, in the order of the columns: `message` is its id, a hash of what it says."""

    message: bytes
    journey: str
    written_at: datetime
    body: bytes


_TAKE_TURNS = "SELECT last_seq FROM feed_head FOR UPDATE"

_MOVE = """
WITH moved AS (
    DELETE FROM outbox WHERE entry IN (SELECT entry FROM outbox ORDER BY entry LIMIT $2)
    RETURNING entry, message, journey, written_at, body
)
INSERT INTO feed (feed_seq, message, journey, written_at, body)
SELECT $1 + row_number() OVER (ORDER BY entry), message, journey, written_at, body FROM moved
RETURNING feed_seq
"""


async def write(driver: Driver, messages: Sequence[Message]) -> None:
    """Put messages into the outbox, as part of the batch."""
    await put(driver, "outbox", Message._fields, messages)


async def number(driver: Driver, limit: int) -> int:
    """Move committed messages (`limit` at most) to the feed, in the order of their writing; says how many they were.

    To be called in a transaction of its own.
    """
    last_seq = await driver.fetchval(_TAKE_TURNS)
    numbers = [row["feed_seq"] for row in await driver.fetch(_MOVE, last_seq, limit)]
    if numbers:
        await driver.execute("UPDATE feed_head SET last_seq = $1", max(numbers))
    return len(numbers)


async def wake_readers(driver: Driver) -> None:
    """Tell those who wait that there is something new; outside any transaction that writes."""
    await driver.execute(f"NOTIFY {CHANNEL}")
