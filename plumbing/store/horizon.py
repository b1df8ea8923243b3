"""The horizon: the instant up to which time has passed for every customer. One row, never moved back."""

from datetime import datetime
from typing import NamedTuple

from plumbing.store.engine import Driver

_MOVE = """
UPDATE horizon SET reached_at = reached.least
FROM (SELECT min(read_to) AS least, count(*) AS partitions FROM positions WHERE topic = $1) AS reached
WHERE reached.partitions = $2 AND reached.least > horizon.reached_at
"""


_HELD = """
SELECT reached_at, partition FROM horizon, LATERAL (
    SELECT wanted.partition FROM generate_series(0, $2 - 1) AS wanted (partition)
    LEFT JOIN positions ON positions.topic = $1 AND positions.partition = wanted.partition
    ORDER BY read_to NULLS FIRST, wanted.partition LIMIT 1
) AS behind
"""


class Held(NamedTuple):
    """The stored horizon, and the partition that holds it there: one not read at all, or the one furthest behind."""

    reached_at: datetime
    partition: int


async def reached(driver: Driver) -> datetime:
    """The stored horizon."""
    instant = await driver.fetchval("SELECT reached_at FROM horizon")
    assert isinstance(instant, datetime)
    return instant


async def move(driver: Driver, topic: str, partitions: int) -> None:
    """Bring the horizon up to the least `read_to` of all `partitions` (their number) of the topic.

    A partition that no stager has claimed yet holds it where it is.
    """
    await driver.execute(_MOVE, topic, partitions)


async def held(driver: Driver, topic: str, partitions: int) -> Held:
    """Where the horizon is, and which of the `partitions` (their number) of the topic does not let it go on."""
    row = await driver.fetchrow(_HELD, topic, partitions)
    assert row is not None  # the horizon has a row, and a topic at least one partition
    return Held(*row)
