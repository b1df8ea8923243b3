"""The published versions of a journey's definition."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from plumbing.store.tables import definitions


class Version(NamedTuple):
    version: int
    active: bool
    published_at: datetime


async def versions(connection: AsyncConnection, journey: str) -> list[Version]:
    """The versions of a journey, newest first; none where nobody published it."""
    table = definitions.c
    query = (
        select(table.version, table.active, table.published_at)
        .where(table.journey == journey)
        .order_by(table.version.desc())
    )
    return [Version(*row) for row in await connection.execute(query)]
