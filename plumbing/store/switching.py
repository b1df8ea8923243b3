"""The switch: what a build says takes the place of what is live, in one transaction.

While it lasts nobody else may write a customer's row: `stand_still` waits for the batches under way and lets later ones
wait. Readers go on and see what was before until the commit. Only rows that differ are written: a replay that finds
nothing wrong writes nothing.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from plumbing.store.engine import Driver

_PATIENCE = timedelta(seconds=5)
"""How long a switch waits for batches under way while others wait behind it; then it lets them pass and tries again."""

_SWITCH = 0x6A616C6F6E03
"""An advisory lock: builders hold it together while they fold, a switch alone."""


class Cell(NamedTuple):
    """So many customers who were in one stage of a journey (None: not in it) are in another by the build."""

    before: str | None
    now: str | None
    customers: int


class Switched(NamedTuple):
    """What a switch has written: states of customers, transitions taken back, transitions told."""

    customers: int
    retracted: int
    told: int


_COLUMNS = {
    "transitions": (
        "customer, transition",
        "journey, version, run, from_stage, to_stage, occurred_at, place, rule, cause",
    ),
    "stays": ("customer, journey, place", "run, stage, entered_at, left_at"),
    "facts": ("customer, place", "journey, run, kind, name, stage, occurred_at, cause, detail"),
}
"""The key of a row, and what else is in it."""


def _leave(table: str) -> str:
    """Delete the live rows that the build does not have."""
    return f"DELETE FROM {table} AS live WHERE NOT EXISTS (SELECT FROM build_{table} AS b WHERE {_same(table)})"  # noqa: S608


def _come(table: str) -> str:
    """Insert the rows of the build that are not live."""
    columns = ", ".join(_COLUMNS[table])
    return f"""
    INSERT INTO {table} ({columns}) SELECT {columns} FROM build_{table} AS b
    WHERE b.build = $1 AND NOT EXISTS (SELECT FROM {table} AS live WHERE {_same(table)})
    """  # noqa: S608 - our own names


def _same(table: str) -> str:
    key, others = (part.split(", ") for part in _COLUMNS[table])
    found = [f"b.{name} = live.{name}" for name in key]
    found += [f"b.{name} IS NOT DISTINCT FROM live.{name}" for name in others]
    return " AND ".join(["b.build = $1", *found])


_RETRACT = f"""
UPDATE transitions AS live SET retracted_at = greatest($2, live.learned_at)
WHERE retracted_at IS NULL AND NOT EXISTS (SELECT FROM build_transitions AS b WHERE {_same("transitions")})
"""  # noqa: S608 - our own names

_TOLD = ", ".join(_COLUMNS["transitions"])

_TELL = f"""
INSERT INTO transitions (learned_at, {_TOLD}) SELECT $2, {_TOLD} FROM build_transitions AS b
WHERE b.build = $1 AND NOT EXISTS (
    SELECT FROM transitions AS live WHERE retracted_at IS NULL AND {_same("transitions")}
)
"""  # noqa: S608 - our own names

_WRITE = """
UPDATE customers AS c
SET state = b.state, recent = '', due_at = b.due_at, waiting = b.waiting, revision = c.revision + 1
FROM build_customers AS b
WHERE b.build = $1 AND b.customer = c.customer
  AND (
    (b.waiting <> c.waiting OR b.state <> c.state AND greatest(octet_length(b.state), octet_length(c.state)) > 1)
    OR (b.due_at < c.due_at OR b.due_at IS NOT NULL AND c.due_at IS NULL)
  )
"""
# The state of nobody is at most one byte, and a live `due_at` may well be earlier: it is a lower bound. What the row
# remembers of the recent past goes with the state that it led to.

_MATRIX = """
SELECT stage_before, stage_now, count(*) FROM build_customers
WHERE build = $1 AND (stage_before IS NOT NULL OR stage_now IS NOT NULL)
GROUP BY stage_before, stage_now ORDER BY stage_before NULLS FIRST, stage_now NULLS FIRST
"""


async def hold_off(driver: Driver) -> None:
    """Until the end of the transaction no switch comes: what is in force and what is stored go together."""
    await driver.execute(f"SELECT pg_advisory_xact_lock_shared({_SWITCH})")


async def stand_still(driver: Driver) -> None:
    """Until the end of the transaction nobody else switches, writes or holds a customer's row; reading goes on.

    Raises `Contended` when those who hold some now do not finish soon.
    """
    await driver.execute(f"SET LOCAL lock_timeout = {int(_PATIENCE.total_seconds() * 1000)}")
    await driver.execute(f"SELECT pg_advisory_xact_lock({_SWITCH})")
    await driver.execute("LOCK TABLE customers IN EXCLUSIVE MODE")
    await driver.execute("SET LOCAL lock_timeout = 0")


async def switch(driver: Driver, build: int, at: datetime) -> Switched:
    """Put the rows of a build in the place of the live ones.

    To be called while all stand still and no customer's row of the build is out of date.
    """
    await driver.execute("SET LOCAL work_mem = '64MB'")  # or each comparison goes by way of the disk
    retracted = await _number(driver, _RETRACT, build, at)
    told = await _number(driver, _TELL, build, at)
    for table in ("stays", "facts"):
        await driver.execute(_leave(table), build)
        await driver.execute(_come(table), build)
    return Switched(await _number(driver, _WRITE, build), retracted, told)


async def _number(driver: Driver, statement: str, *arguments: object) -> int:
    """How many rows a statement has written."""
    return int((await driver.execute(statement, *arguments)).rpartition(" ")[2])


async def matrix(driver: Driver, build: int) -> list[Cell]:
    """How many customers came from which stage into which, by the rows of a build; in a fixed order."""
    return [Cell(*row) for row in await driver.fetch(_MATRIX, build)]
