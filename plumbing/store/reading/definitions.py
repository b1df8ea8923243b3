"""The published versions of a journey's definition."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from plumbing.store.build_tables import activations
from plumbing.store.tables import definitions


class Version(NamedTuple):
    """`since` is when it came into force, where it is."""

    version: int
    active: bool
    published_at: datetime
    since: datetime | None


async def versions(connection: AsyncConnection, journey: str) -> list[Version]:
    """The versions of a journey, newest first; none where nobody published it."""
    table, activated = definitions.c, activations.c
    since = (
        select(func.max(activated.activated_at))
        .where(activated.journey == table.journey, activated.version == table.version, table.active)
        .scalar_subquery()
    )
    query = (
        select(table.version, table.active, table.published_at, since)
        .where(table.journey == journey)
        .order_by(table.version.desc())
    )
    return [Version(*row) for row in await connection.execute(query)]
