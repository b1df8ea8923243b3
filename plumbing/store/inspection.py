"""What a store looks like from outside: for `jalon doctor`."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, text

from plumbing.store.definitions import active_versions
from plumbing.store.keys import Key, active_keys
from plumbing.store.migrate import at_head
from plumbing.store.opening import opened
from plumbing.store.tables import dead_letters, horizon, positions

DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
"""Postgres' settings that must not be `off`: else it may lose what was acknowledged."""


class Server(NamedTuple):
    """The server: its version (`18.0`), whether it has our newest schema, and its settings of `DURABLE`."""

    version: str
    migrated: bool
    durability: Mapping[str, str]


class Contents(NamedTuple):
    """What is in a migrated store. `partitions` has for each that a stager has claimed up to when it was read."""

    journeys: Mapping[str, int]
    keys: tuple[Key, ...]
    horizon: datetime
    partitions: Mapping[int, datetime]
    dead_letters: int


async def inspect_server(database_url: str) -> Server:
    """Raises `StoreUnavailable`, `Misconfigured`."""
    async with opened(database_url) as engine, engine.connect() as connection:
        version = (await connection.execute(text("SHOW server_version"))).scalar_one()
        settings = {name: (await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in DURABLE}
        await connection.rollback()
        return Server(version.split()[0], await at_head(database_url), settings)


async def inspect_contents(database_url: str, topic: str) -> Contents:
    """Of the partitions, those of `topic`. Raises `StoreUnavailable`; the database must have been migrated."""
    async with opened(database_url) as engine:
        journeys, keys = await active_versions(engine), await active_keys(engine)
        async with engine.connect() as connection:
            reached = (await connection.execute(select(horizon.c.reached_at))).scalar_one()
            of_topic = select(positions.c.partition, positions.c.read_to).where(positions.c.topic == topic)
            read = {row.partition: row.read_to for row in await connection.execute(of_topic)}
            letters = (await connection.execute(select(func.count()).select_from(dead_letters))).scalar_one()
    return Contents(journeys, keys, reached, read, letters)
