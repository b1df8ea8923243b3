"""The customers' rows: their fold state, locked by whoever changes it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from plumbing.store.engine import Driver


class Row(NamedTuple):
    """A customer's row. `due_at` is a lower bound: looking earlier finds nothing to do."""

    state: bytes
    recent: bytes
    due_at: datetime | None
    waiting: bool


class Written(NamedTuple):
    """What a fold leaves of a customer."""

    customer: int
    state: bytes
    recent: bytes
    due_at: datetime | None
    waiting: bool


_MAKE = "INSERT INTO customers (state) SELECT ''::bytea FROM generate_series(1, $1) RETURNING customer"

_LOCK = """
SELECT customer, state, recent, due_at, waiting FROM customers WHERE customer = ANY($1::bigint[])
ORDER BY customer FOR UPDATE
"""

# Every write of an indexed column makes a new index entry, and states are written all the time: see `write`.
_WRITE = """
UPDATE customers SET state = new.state, recent = new.recent, revision = revision + 1
FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS new (customer, state, recent)
WHERE customers.customer = new.customer
"""

_WRITE_DUE = """
UPDATE customers
SET state = new.state, recent = new.recent, due_at = new.due_at, waiting = new.waiting, revision = revision + 1
FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::timestamptz[], $5::boolean[])
    AS new (customer, state, recent, due_at, waiting)
WHERE customers.customer = new.customer
"""

_DUE = """
SELECT customer, state, recent, due_at, waiting FROM customers WHERE due_at <= $1
ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""


async def make(driver: Driver, number: int) -> list[int]:
    """New customers of whom nothing is known."""
    return [row["customer"] for row in await driver.fetch(_MAKE, number)] if number else []


async def lock(driver: Driver, customers: Collection[int]) -> dict[int, Row]:
    """The rows of these customers, held until the end of the transaction; locked in order of their numbers."""
    rows = await driver.fetch(_LOCK, sorted(customers)) if customers else []
    return {customer: Row(*columns) for customer, *columns in rows}


async def due(driver: Driver, until: datetime, limit: int) -> dict[int, Row]:
    """Customers that may have something to elapse by `until`, held; those that somebody else holds are left to them."""
    rows = await driver.fetch(_DUE, until, limit)
    return {customer: Row(*columns) for customer, *columns in rows}


async def write(driver: Driver, written: Sequence[Written], before: Mapping[int, Row], reached: datetime) -> None:
    """Write states; `due_at`, a lower bound, only where it must come earlier or the horizon has `reached` it."""
    kept = [row for row in written if _bound_holds(row, before[row.customer], reached)]
    moved = [row for row in written if not _bound_holds(row, before[row.customer], reached)]
    if kept:
        columns = [[row[index] for row in kept] for index in range(3)]
        await driver.execute(_WRITE, *columns)
    if moved:
        columns = [[row[index] for row in moved] for index in range(len(Written._fields))]
        await driver.execute(_WRITE_DUE, *columns)


def _bound_holds(row: Written, before: Row, reached: datetime) -> bool:
    if row.waiting or before.waiting:
        return False
    if row.due_at is None or before.due_at is None:
        return row.due_at is before.due_at
    return reached < before.due_at <= row.due_at
