"""The horizon: the instant up to which time has passed for every customer. One row, never moved back."""

from datetime import datetime

from plumbing.store.engine import Driver

_MOVE = """
UPDATE horizon SET reached_at = reached.least
FROM (SELECT min(read_to) AS least, count(*) AS partitions FROM positions WHERE topic = $1) AS reached
WHERE reached.partitions = $2 AND reached.least > horizon.reached_at
"""


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
