"""Who is in which stage now, and how many."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from plumbing.store.tables import Instant, horizon, stays


class Stay(NamedTuple):
    """A customer who is in the stage now. `customer` is the store's own number for them."""

    entered_at: datetime
    customer: int
    run: int


async def who_is_in(
    connection: AsyncConnection, journey: str, stage: str, limit: int, after: tuple[datetime, int] | None
) -> list[Stay]:
    """At most `limit` of those who are in the stage now, longest first, behind (`entered_at`, `customer`)."""
    table = stays.c
    query = (
        select(table.entered_at, table.customer, table.run)
        .where(table.journey == journey, table.stage == stage, table.left_at.is_(None))
        .order_by(table.entered_at, table.customer)
        .limit(limit)
    )
    if after is not None:
        here = tuple_(literal(after[0], Instant), literal(after[1], BigInteger()))
        query = query.where(tuple_(table.entered_at, table.customer) > here)
    return [Stay(*row) for row in await connection.execute(query)]


async def how_many(connection: AsyncConnection, journey: str) -> Mapping[str, int]:
    """Stage → customers who are in it now; a stage without any is not there."""
    table = stays.c
    query = (
        select(table.stage, func.count()).where(table.journey == journey, table.left_at.is_(None)).group_by(table.stage)
    )
    rows = await connection.execute(query)
    return {row[0]: row[1] for row in rows}


async def visited(connection: AsyncConnection, customer: int) -> set[tuple[str, int, str]]:
    """Where a customer has ever been: journey, run and stage."""
    query = select(stays.c.journey, stays.c.run, stays.c.stage).where(stays.c.customer == customer).distinct()
    return {(row[0], row[1], row[2]) for row in await connection.execute(query)}


async def reached_at(connection: AsyncConnection) -> datetime:
    """The horizon: the instant that the store's answers are true of."""
    instant: datetime = (await connection.execute(select(horizon.c.reached_at))).scalar_one()
    return instant
