"""How far each partition has been read: the truth of it, written in the batch's own transaction and fenced by an epoch.

A stager claims a partition by raising its epoch. From then on whoever holds an older epoch, because it was stopped and
went on, finds another number when it locks the row, and drops what it has in hand.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

from journey.errors import Fenced, WrongLog
from plumbing.store.engine import Driver


class Claim(NamedTuple):
    """A partition as its owner knows it: where to read on, and the epoch under which that may be written."""

    next_offset: int
    epoch: int


_CLAIM = """
INSERT INTO positions (topic, partition, log_id, next_offset, epoch, owner, read_to)
SELECT $1, partition, $2, 0, 1, $4, '1970-01-01 00:00:00+00'
FROM unnest($3::integer[]) AS partition
ORDER BY partition
ON CONFLICT (topic, partition) DO UPDATE SET epoch = positions.epoch + 1, owner = excluded.owner
RETURNING partition, log_id, next_offset, epoch
"""

_TURN = 0x6A616C6F6E02
"""An advisory lock: batches hold it together, but for one that keeps colliding with the others."""

_LOCK = f"""
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({_TURN}))
SELECT partition, next_offset, epoch FROM turn, positions
WHERE topic = $1 AND partition = ANY($2::integer[])
ORDER BY partition FOR UPDATE OF positions
"""  # noqa: S608 - a number of ours

_LOCK_ALONE = _LOCK.replace("lock_shared", "lock")

_ADVANCE = """
UPDATE positions SET next_offset = new.next_offset, read_to = greatest(positions.read_to, new.read_to)
FROM unnest($2::integer[], $3::bigint[], $4::timestamptz[]) AS new (partition, next_offset, read_to)
WHERE topic = $1 AND positions.partition = new.partition
"""

_CATCH_UP = """
UPDATE positions SET read_to = greatest(positions.read_to, $5)
FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS mine (partition, next_offset, epoch)
WHERE topic = $1 AND positions.partition = mine.partition
  AND positions.next_offset = mine.next_offset AND positions.epoch = mine.epoch
"""


async def claim(
    driver: Driver, log_id: str, topic: str, partitions: Collection[int], owner: str
) -> Mapping[int, Claim]:
    """Take partitions over: their positions, under an epoch of one's own. To be called in a transaction.

    Raises `WrongLog` when the stored positions belong to another cluster or to a topic that was made again.
    """
    rows = await driver.fetch(_CLAIM, topic, log_id, sorted(partitions), owner)
    for row in rows:
        if row["log_id"] != log_id:
            raise WrongLog(
                f"partition {row['partition']} of {topic} was read in the log {row['log_id']}, but this one is {log_id}"
            )
    return {row["partition"]: Claim(row["next_offset"], row["epoch"]) for row in rows}


async def lock(driver: Driver, topic: str, claims: Mapping[int, Claim], *, alone: bool = False) -> None:
    """Hold the positions until the end of the transaction, when they still are as `claims` says.

    `alone`: beside no other transaction that holds positions. To be called before anything else is locked.

    Raises `Fenced` when another owner has claimed one of them or its position has moved.
    """
    rows = await driver.fetch(_LOCK_ALONE if alone else _LOCK, topic, sorted(claims))
    found = {row["partition"]: Claim(row["next_offset"], row["epoch"]) for row in rows}
    for partition, held in claims.items():
        if found.get(partition) != held:
            raise Fenced(f"partition {partition} of {topic} was taken over: {held} became {found.get(partition)}")


async def wait_for_all(driver: Driver) -> None:
    """Be beside no transaction that holds positions, until the end of this one."""
    await driver.execute(f"SELECT pg_advisory_xact_lock({_TURN})")


async def advance(driver: Driver, topic: str, moved: Mapping[int, tuple[int, datetime]]) -> None:
    """Move locked positions on: partition → (next offset, up to when everything received is in the store)."""
    partitions = sorted(moved)
    offsets, instants = [moved[partition][0] for partition in partitions], [moved[p][1] for p in partitions]
    await driver.execute(_ADVANCE, topic, partitions, offsets, instants)


async def catch_up(driver: Driver, topic: str, claims: Mapping[int, Claim], read_to: datetime) -> None:
    """Note that partitions were read to their end at `read_to`, for those whose claim still holds."""
    partitions = sorted(claims)
    offsets, epochs = [claims[p].next_offset for p in partitions], [claims[p].epoch for p in partitions]
    await driver.execute(_CATCH_UP, topic, partitions, offsets, epochs, read_to)
