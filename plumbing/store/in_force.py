"""Which versions are in force, asked where that cannot change any more: behind the lock of what will be written.

A switch to other versions holds all customers' rows (`plumbing/store/switching.py`). So whoever holds the row of one,
and then finds the versions in force that it folds by, may fold and write: no switch comes in between.
"""

from datetime import datetime

from journey.errors import Superseded
from journey.machine import Journeys
from plumbing.store.engine import Driver

IN_FORCE = """
(SELECT string_agg(journey || ' ' || version, ',' ORDER BY journey COLLATE "C") FROM definitions WHERE active)
"""
"""An expression of SQL that names the versions in force, as `name_of` does."""

_REACHED = f"SELECT reached_at, {IN_FORCE} AS in_force FROM horizon"  # noqa: S608 - our own text


def name_of(journeys: Journeys) -> str:
    """One text for a set of versions: two sets that are equal have the same."""
    return ",".join(f"{name} {journeys.machines[name].version}" for name in sorted(journeys.machines))


async def reached_under(driver: Driver, journeys: Journeys) -> datetime:
    """The stored horizon, where these are the versions in force. Raises `Superseded` where they are not."""
    row = await driver.fetchrow(_REACHED)
    assert row is not None  # the migration has put it there
    if row["in_force"] != name_of(journeys):
        raise Superseded
    assert isinstance(row["reached_at"], datetime)
    return row["reached_at"]
