"""The identifiers of customers: which id each customer is shown under, and what their identifiers are."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from journey.identity import Class, Kinds
from plumbing.store.tables import identifiers


class Known(NamedTuple):
    """An identifier of a customer. `sealed` is its value, encrypted; `first_at` when it was first used."""

    digest: bytes
    kind: str
    sealed: bytes
    first_at: datetime


def in_order(known: Iterable[Known], kinds: Kinds) -> list[Known]:
    """These identifiers: strong ones before devices and references, each in the order in which they came.

    The first one's digest is the id under which their customer is shown.
    """
    return sorted(known, key=lambda one: (kinds.class_of(one.kind) is not Class.STRONG, one.first_at, one.digest))


def shown_id(known: Iterable[Known], kinds: Kinds) -> str:
    """The id under which a customer with these identifiers (one at least) is shown: 32 hexadecimal digits."""
    return in_order(known, kinds)[0].digest.hex()


async def identifiers_of(connection: AsyncConnection, customers: Collection[int]) -> Mapping[int, Sequence[Known]]:
    """The identifiers of each of these customers, by the store's own number of the customer."""
    found: dict[int, list[Known]] = {customer: [] for customer in customers}
    table = identifiers.c
    query = select(table.customer, table.digest, table.kind, table.sealed, table.first_at).where(
        table.customer.in_(found)
    )
    for customer, *columns in await connection.execute(query):
        found[customer].append(Known(*columns))
    return found
