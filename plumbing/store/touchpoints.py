"""The stored touchpoints: found by key for duplicates, by customer for a fold, by device for a claim."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from journey.touchpoint import Order, Touchpoint
from plumbing.store.bodies import COLUMNS, StoredTouchpoint, unpack
from plumbing.store.engine import Driver
from plumbing.store.rows import put

_COPIES = "SELECT * FROM touchpoints WHERE source = $1 AND id = ANY($2::text[]) ORDER BY id FOR UPDATE"

_REPLACE = """
UPDATE touchpoints SET customer = $3, occurred_at = $4, sequence = $5, received_at = $6, type = $7, channel = $8,
    device = $9, body = $10
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

_ON_DEVICES = """
SELECT t.device, t.customer, t.occurred_at, t.sequence, t.source, t.id
FROM unnest($1::bytea[], $2::timestamptz[]) AS changed (device, since)
JOIN touchpoints AS t ON t.device = changed.device AND t.occurred_at >= changed.since
"""

_GIVE = """
UPDATE touchpoints AS t SET customer = given.customer
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given (source, id, customer)
WHERE t.source = given.source AND t.id = given.id
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


async def on_devices(driver: Driver, since: Mapping[bytes, datetime]) -> list[tuple[bytes, int, Order]]:
    """The touchpoints that devices decide about, each from an instant on: device, present customer, order."""
    rows = await driver.fetch(_ON_DEVICES, list(since), list(since.values())) if since else []
    return [(device, customer, Order(*order)) for device, customer, *order in rows]


async def give(driver: Driver, moved: Mapping[Key, int]) -> None:
    """Assign touchpoints to other customers: key → customer."""
    if moved:
        keys = sorted(moved)
        await driver.execute(_GIVE, [k[0] for k in keys], [k[1] for k in keys], [moved[k] for k in keys])


async def after(driver: Driver, customer: int, place: Order) -> list[Touchpoint]:
    """A customer's touchpoints after a place in the order."""
    return [unpack(row) for row in await driver.fetch(_AFTER, customer, *place)]


async def merge(driver: Driver, losers: Sequence[int], survivors: Sequence[int]) -> None:
    """Give all touchpoints of each loser to the survivor at the same index."""
    await driver.execute(
        "UPDATE touchpoints AS t SET customer = merged.survivor "
        "FROM unnest($1::bigint[], $2::bigint[]) AS merged (loser, survivor) WHERE t.customer = merged.loser",
        list(losers),
        list(survivors),
    )
