"""What the store has of a customer's past, touchpoint by touchpoint: to be worked out again as of some instant."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from journey.commands import Command, OnPair
from journey.touchpoint import Touchpoint
from plumbing.store.bodies import unpack
from plumbing.store.commands import known_by
from plumbing.store.definitions import in_force_at
from plumbing.store.engine import Driver, driver_of
from plumbing.store.tables import touchpoints

MOST = 100_000
"""Touchpoints that one answer may have to look at: those of everybody who ever met the customer or shared a device."""


class TooMuchError(Exception):
    """More people and devices hang together than one answer can look at."""


class Known(NamedTuple):
    """What was known by some instant that could have to do with an identifier, with `kinds` and values (`sealed`) of
    all identifiers in it, the horizon of today, and the versions of the journeys that were in force."""

    touchpoints: list[Touchpoint]
    commands: list[Command]
    kinds: Mapping[bytes, str]
    sealed: Mapping[bytes, bytes]
    horizon: datetime
    versions: Mapping[str, int]


async def lived(connection: AsyncConnection, customer: int, until: datetime) -> list[Touchpoint]:
    """The touchpoints that are the customer's (the store's own number) today, up to and including `until`, in order."""
    table = touchpoints.c
    query = (
        select(touchpoints)
        .where(table.customer == customer, table.occurred_at <= until)
        .order_by(table.occurred_at, table.sequence, table.source, table.id)
    )
    rows = await connection.execute(query)
    return [unpack({str(name): value for name, value in row.items()}) for row in rows.mappings()]


async def known(connection: AsyncConnection, digest: bytes, by: datetime) -> Known:
    """All that was received by an instant and could have had to do with whose an identifier was then.

    Whoever is tied to it today is followed over links, commands, sign-ins and devices until nobody new turns up; so
    nothing that was tied to it then is missing. Raises `TooMuchError`.
    """
    driver = await driver_of(connection)
    disputed = [unpack(row) for row in await driver.fetch(_DISPUTED, by)]
    given = await known_by(driver, by)
    found: dict[tuple[str, str], Touchpoint] = {}
    followed: set[bytes] = set()
    frontier = {digest}
    while frontier:
        followed |= frontier
        rows = await _carrying(driver, frontier)
        met = set(await _tied(driver, frontier))
        fresh = [one for one in (*map(unpack, rows), *_that_carry(disputed, followed)) if _key(one) not in found]
        found |= {_key(one): one for one in fresh}
        if len(found) > MOST:
            raise TooMuchError
        frontier = (met | _identifiers(fresh)) - followed
    rows = await driver.fetch(_IDENTIFIERS, list(followed))
    horizon = await driver.fetchval("SELECT reached_at FROM horizon")
    named = {
        end: kind
        for one in given
        if isinstance(one.command, OnPair)
        for end, kind in zip(one.command.pair, one.kinds, strict=True)
    }
    return Known(
        [one for one in found.values() if one.received_at <= by],
        [one.command for one in given],
        {**named, **{row["digest"]: row["kind"] for row in rows}},
        {row["digest"]: row["sealed"] for row in rows},
        horizon,
        await in_force_at(driver, by),
    )


async def _carrying(driver: Driver, digests: Collection[bytes]) -> list[Mapping[str, Any]]:
    return list(await driver.fetch(_CARRYING, list(digests), MOST + 1))


async def _tied(driver: Driver, digests: Collection[bytes]) -> Iterable[bytes]:
    return [row["digest"] for row in await driver.fetch(_TIED, list(digests))]


def _that_carry(touchpoints: Iterable[Touchpoint], digests: Collection[bytes]) -> list[Touchpoint]:
    return [one for one in touchpoints if not _identifiers([one]).isdisjoint(digests)]


def _identifiers(touchpoints: Iterable[Touchpoint]) -> set[bytes]:
    return {bytes.fromhex(digest) for one in touchpoints for digest in one.identifiers.values()}


def _key(one: Touchpoint) -> tuple[str, str]:
    return one.source, one.id


# Touchpoints whose identifiers counted otherwise at that instant, because of what was said about them since.
_DISPUTED = """
SELECT DISTINCT touchpoints.* FROM commands
JOIN touchpoints ON touchpoints.source = commands.source AND touchpoints.id = commands.id
WHERE given_at > $1 OR undone_at > $1
"""

_CARRYING = """
WITH asked AS (SELECT unnest($1::bytea[]) AS digest)
SELECT touchpoints.* FROM asked JOIN identifiers ON identifiers.digest = asked.digest
JOIN touchpoints ON touchpoints.customer = identifiers.customer
UNION
SELECT touchpoints.* FROM asked JOIN carried ON carried.identifier = asked.digest
JOIN touchpoints ON touchpoints.source = carried.source AND touchpoints.id = carried.id
UNION
SELECT touchpoints.* FROM asked JOIN holdings ON holdings.device = asked.digest
JOIN touchpoints ON touchpoints.source = holdings.since_source AND touchpoints.id = holdings.since_id
LIMIT $2
"""

_TIED = """
WITH asked AS (SELECT unnest($1::bytea[]) AS digest)
SELECT links.other AS digest FROM asked JOIN links ON links.one = asked.digest
UNION SELECT links.one FROM asked JOIN links ON links.other = asked.digest
UNION SELECT commands.other FROM asked JOIN commands ON commands.one = asked.digest WHERE commands.other IS NOT NULL
UNION SELECT commands.one FROM asked JOIN commands ON commands.other = asked.digest
UNION SELECT holdings.owner FROM asked JOIN holdings ON holdings.device = asked.digest WHERE owner IS NOT NULL
UNION SELECT holdings.device FROM asked JOIN holdings ON holdings.owner = asked.digest
"""

_IDENTIFIERS = "SELECT digest, kind, sealed FROM identifiers WHERE digest = ANY($1::bytea[])"
