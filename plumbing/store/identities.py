"""Identifiers and holdings: who an identifier stands for, read and written for a whole batch at a time."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from journey.timelines import Holding, Holdings
from journey.touchpoint import Order
from plumbing.store.engine import Driver


class Known(NamedTuple):
    """What the store knows of an identifier. `customer` is None for a device of which nothing is left unclaimed."""

    customer: int | None
    first_at: datetime
    kind: str


class NewIdentifier(NamedTuple):
    """An identifier that the store does not have yet, in the order of the columns."""

    digest: bytes
    kind: str
    sealed: bytes
    customer: int | None
    first_at: datetime


_FIND = "SELECT digest, customer, first_at, kind FROM identifiers WHERE digest = ANY($1::bytea[])"

_FIND_LOCKED = """
SELECT digest, customer, first_at, kind FROM identifiers WHERE digest = ANY($1::bytea[])
ORDER BY digest FOR NO KEY UPDATE
"""

_INSERT = """
INSERT INTO identifiers (digest, kind, sealed, customer, first_at)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::bigint[], $5::timestamptz[])
ON CONFLICT (digest) DO NOTHING RETURNING digest
"""

_SEEN_EARLIER = """
UPDATE identifiers SET first_at = seen.first_at FROM unnest($1::bytea[], $2::timestamptz[]) AS seen (digest, first_at)
WHERE identifiers.digest = seen.digest AND seen.first_at < identifiers.first_at
"""

_POINT = """
UPDATE identifiers SET customer = pointed.customer FROM unnest($1::bytea[], $2::bigint[]) AS pointed (digest, customer)
WHERE identifiers.digest = pointed.digest
"""

_RETURN_LATER = """
UPDATE identifiers SET first_at = seen.first_at FROM unnest($1::bytea[], $2::timestamptz[]) AS seen (digest, first_at)
WHERE identifiers.digest = seen.digest
"""

_HOLDINGS = """
SELECT device, since_at, since_sequence, since_source, since_id, owner FROM holdings WHERE device = ANY($1::bytea[])
ORDER BY device, since_at, since_sequence, since_source, since_id
"""

_HOLD = """
INSERT INTO holdings (device, since_at, since_sequence, since_source, since_id, owner)
SELECT * FROM unnest($1::bytea[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])
"""

_LET_GO = """
DELETE FROM holdings USING unnest($1::bytea[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[])
    AS gone (device, at, sequence, source, id)
WHERE holdings.device = gone.device AND since_at = gone.at AND since_sequence = gone.sequence
  AND since_source = gone.source AND since_id = gone.id
"""

_SHOWN = """
SELECT DISTINCT ON (customer) customer, digest FROM identifiers
WHERE customer = ANY($1::bigint[])
ORDER BY customer, kind <> ALL($2::text[]), first_at, digest
"""


async def find(driver: Driver, digests: Collection[bytes], *, locked: bool = False) -> dict[bytes, Known]:
    """What is known of these identifiers; `locked` holds their rows until the end of the transaction."""
    rows = await driver.fetch(_FIND_LOCKED if locked else _FIND, list(digests)) if digests else []
    return {row["digest"]: Known(row["customer"], row["first_at"], row["kind"]) for row in rows}


async def insert(driver: Driver, new: Sequence[NewIdentifier]) -> bool:
    """Write new identifiers, waiting for whoever is writing the same; False when somebody else has written one."""
    if not new:
        return True
    ordered = sorted(new)
    columns = [[row[index] for row in ordered] for index in range(len(NewIdentifier._fields))]
    return len(await driver.fetch(_INSERT, *columns)) == len(ordered)


async def seen_earlier(driver: Driver, seen: Mapping[bytes, datetime]) -> None:
    """Bring `first_at` forward where a touchpoint says so."""
    if seen:
        digests = sorted(seen)
        await driver.execute(_SEEN_EARLIER, digests, [seen[digest] for digest in digests])


async def point(driver: Driver, customers: Mapping[bytes, int]) -> None:
    """Let identifiers stand for these customers."""
    if customers:
        digests = sorted(customers)
        await driver.execute(_POINT, digests, [customers[digest] for digest in digests])


async def seen_from(driver: Driver, seen: Mapping[bytes, datetime]) -> None:
    """Set `first_at` anew where the first touchpoint counts no more."""
    if seen:
        digests = sorted(seen)
        await driver.execute(_RETURN_LATER, digests, [seen[digest] for digest in digests])


async def holdings(driver: Driver, devices: Collection[bytes]) -> dict[bytes, Holdings]:
    """The holdings of each device, in order; a device that nobody signed in on is left out."""
    rows = await driver.fetch(_HOLDINGS, list(devices)) if devices else []
    found: dict[bytes, list[Holding]] = defaultdict(list)
    for device, at, sequence, source, id_, owner in rows:
        found[device].append(Holding(Order(at, sequence, source, id_), owner))
    return dict(found)


async def hold(driver: Driver, before: Mapping[bytes, Holdings], after: Mapping[bytes, Holdings]) -> None:
    """Write what changed of the holdings of devices."""
    gone = [
        (device, *one.since) for device in sorted(after) for one in set(before.get(device, ())) - set(after[device])
    ]
    new = [
        (device, *one.since, one.owner)
        for device in sorted(after)
        for one in sorted(set(after[device]) - set(before.get(device, ())), key=lambda one: one.since)
    ]
    if gone:
        await driver.execute(_LET_GO, *(list(column) for column in zip(*gone, strict=True)))
    if new:
        await driver.execute(_HOLD, *(list(column) for column in zip(*new, strict=True)))


async def shown_ids(driver: Driver, customers: Collection[int], strong_kinds: Collection[str]) -> dict[int, str]:
    """The id under which each customer is shown: their earliest strong identifier's, else their earliest one's."""
    rows = await driver.fetch(_SHOWN, list(customers), list(strong_kinds)) if customers else []
    return {row["customer"]: row["digest"].hex() for row in rows}
