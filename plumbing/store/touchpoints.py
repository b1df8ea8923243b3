"""The stored touchpoints: found by key for duplicates, by customer for a fold, by device for a claim."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from journey.touchpoint import Order, Touchpoint
from plumbing.store.bodies import COLUMNS, StoredTouchpoint, Whose, unpack
from plumbing.store.engine import Driver
from plumbing.store.rows import put

_COPIES = "SELECT * FROM touchpoints WHERE source = $1 AND id = ANY($2::text[]) ORDER BY id FOR UPDATE"

_REPLACE = """
UPDATE touchpoints SET customer = $3, occurred_at = $4, sequence = $5, received_at = $6, type = $7, channel = $8,
    device = $9, owner = $10, body = $11
WHERE source = $1 AND id = $2
"""

_NOTE_COPIES = """
UPDATE touchpoints AS t
SET received_at = least(t.received_at, sent.received_at), conflicts = t.conflicts + sent.conflicts
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::integer[]) AS sent (source, id, received_at, conflicts)
WHERE t.source = sent.source AND t.id = sent.id
"""

_HISTORY = """
SELECT * FROM touchpoints WHERE customer = ANY($1::bigint[]) ORDER BY customer, occurred_at, sequence, source, id
"""

_GIVE = """
UPDATE touchpoints AS t SET customer = given.customer, owner = given.owner, device = given.device
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::bytea[])
    AS given (source, id, customer, owner, device)
WHERE t.source = given.source AND t.id = given.id
"""

_FOLLOW = """
UPDATE touchpoints AS t SET customer = moved.customer
FROM unnest($1::bytea[], $2::bigint[]) AS moved (owner, customer)
WHERE t.customer = ANY($3::bigint[]) AND t.owner = moved.owner AND t.customer <> moved.customer
"""

_TAKE = """
UPDATE touchpoints AS t SET customer = NULL, owner = NULL, device = NULL
FROM unnest($1::text[], $2::text[]) AS taken (source, id) WHERE t.source = taken.source AND t.id = taken.id
"""

_OF_KEYS = """
SELECT touchpoints.* FROM unnest($1::text[], $2::text[]) AS asked (source, id) JOIN touchpoints USING (source, id)
"""

_AFTER = """
SELECT * FROM touchpoints WHERE customer = $1 AND (occurred_at, sequence, source, id) > ($2, $3, $4, $5)
ORDER BY occurred_at, sequence, source, id
"""

Key = tuple[str, str]

_PREFETCHED = 2_000
"""Rows of histories that are read ahead."""


async def copies(driver: Driver, keys: Collection[Key]) -> Mapping[Key, Mapping[str, Any]]:
    """The stored rows of those (source, id) that are stored, held: another stager may have a further copy."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for source, id_ in keys:
        by_source[source].append(id_)
    found: dict[Key, Mapping[str, Any]] = {}
    for source, ids in sorted(by_source.items()):
        found |= {(source, row["id"]): row for row in await driver.fetch(_COPIES, source, ids)}
    return found


async def insert(driver: Driver, rows: Sequence[StoredTouchpoint]) -> None:
    """Write new rows; UniqueViolationError means that another stager just wrote a copy: do the batch again."""
    await put(driver, "touchpoints", COLUMNS, rows)


async def replace(driver: Driver, rows: Sequence[StoredTouchpoint]) -> None:
    """Put copies that count in the place of the stored ones."""
    if rows:
        await driver.executemany(_REPLACE, rows)


async def note_copies(driver: Driver, noted: Mapping[Key, tuple[datetime, int]]) -> None:
    """Of further copies keep the least `received_at` and count those with another body: key → (instant, conflicts)."""
    if noted:
        keys, values = list(noted), list(noted.values())
        await driver.execute(
            _NOTE_COPIES, [k[0] for k in keys], [k[1] for k in keys], [v[0] for v in values], [v[1] for v in values]
        )


async def histories(driver: Driver, customers: Collection[int]) -> dict[int, list[Touchpoint]]:
    """All touchpoints of each customer, in order."""
    rows = await driver.fetch(_HISTORY, list(customers)) if customers else []
    grouped = groupby(rows, key=lambda row: row["customer"])
    return {customer: [unpack(row) for row in theirs] for customer, theirs in grouped}


async def each_history(driver: Driver, customers: Collection[int]) -> AsyncIterator[tuple[int, list[Touchpoint]]]:
    """The same, one customer after the other in the order of their numbers: no more than one history is in memory.

    Customers without touchpoints are left out.
    """
    customer, history = 0, list[Touchpoint]()
    async for row in driver.cursor(_HISTORY, list(customers), prefetch=_PREFETCHED):
        if row["customer"] != customer:
            if history:
                yield customer, history
            customer, history = row["customer"], []
        history.append(unpack(row))
    if history:
        yield customer, history


async def give(driver: Driver, moved: Mapping[Key, Whose]) -> None:
    """Assign touchpoints to other customers."""
    if moved:
        keys = sorted(moved)
        whose = [moved[key] for key in keys]
        await driver.execute(
            _GIVE,
            *([key[0] for key in keys], [key[1] for key in keys]),
            *([one.customer for one in whose], [one.owner for one in whose], [one.device for one in whose]),
        )


async def follow(driver: Driver, moved: Mapping[bytes, int], before: Collection[int]) -> None:
    """Give the touchpoints that belong by an identifier to its new customer; `before` are those who had them."""
    if moved and before:
        await driver.execute(_FOLLOW, list(moved), list(moved.values()), list(before))


async def take(driver: Driver, keys: Collection[Key]) -> None:
    """Let touchpoints be nobody's."""
    if keys:
        await driver.execute(_TAKE, [source for source, _ in keys], [id_ for _, id_ in keys])


def order_of(row: Mapping[str, Any]) -> Order:
    return Order(row["occurred_at"], row["sequence"], row["source"], row["id"])


async def of_keys(driver: Driver, keys: Collection[Key]) -> list[Mapping[str, Any]]:
    """The rows of these (source, id) that are stored."""
    if not keys:
        return []
    return list(await driver.fetch(_OF_KEYS, [source for source, _ in keys], [id_ for _, id_ in keys]))


async def rows_of(driver: Driver, customers: Collection[int]) -> list[Mapping[str, Any]]:
    """The rows of all touchpoints of these customers, in each one's order."""
    return list(await driver.fetch(_HISTORY, list(customers))) if customers else []


async def after(driver: Driver, customer: int, place: Order) -> list[Mapping[str, Any]]:
    """The rows of a customer's touchpoints after a place in the order, in order."""
    return list(await driver.fetch(_AFTER, customer, *place))
