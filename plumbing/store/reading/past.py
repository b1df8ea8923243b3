"""What the store has of a customer's past, touchpoint by touchpoint: to be folded again up to some instant."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from journey.touchpoint import Touchpoint
from plumbing.store.bodies import unpack
from plumbing.store.tables import touchpoints


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
