"""Which touchpoints without a strong identifier carry a device or reference: what a sign-in may claim.

All of it is protected by the lock on the identifier's row.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from journey.touchpoint import Order
from plumbing.store.engine import Driver
from plumbing.store.rows import put

Key = tuple[str, str]


class Carried(NamedTuple):
    """A row of `carried`."""

    identifier: bytes
    order: Order
    by_device: bool


class Stretch(NamedTuple):
    """A part of what a device did: from one instant to another, both included; no more than `nearest` to the end."""

    identifier: bytes
    since: Order | None
    until: Order | None
    nearest: int | None = None


_COLUMNS = ("identifier", "occurred_at", "sequence", "source", "id", "by_device")

_FORGET = """
DELETE FROM carried USING unnest($1::bytea[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[])
    AS gone (identifier, occurred_at, sequence, source, id)
WHERE carried.identifier = gone.identifier AND carried.occurred_at = gone.occurred_at
  AND carried.sequence = gone.sequence AND carried.source = gone.source AND carried.id = gone.id
"""

_WITHIN = """
SELECT touchpoints.* FROM (
    SELECT DISTINCT found.source, found.id
    FROM unnest($1::bytea[], $2::timestamptz[], $3::timestamptz[], $4::bigint[])
        AS asked (identifier, since, until, nearest),
    LATERAL (
        SELECT source, id FROM carried
        WHERE identifier = asked.identifier
          AND occurred_at BETWEEN coalesce(asked.since, '-infinity') AND coalesce(asked.until, 'infinity')
        ORDER BY occurred_at DESC, sequence DESC, source DESC, id DESC LIMIT asked.nearest
    ) AS found
) AS found JOIN touchpoints ON touchpoints.source = found.source AND touchpoints.id = found.id
"""

_BACK = """
SELECT asked.place, (
    SELECT count(*) FROM (
        SELECT FROM carried
        WHERE identifier = asked.identifier
          AND (occurred_at, sequence, source, id) >= (asked.since_at, asked.since_sequence, asked.source, asked.id)
          AND (occurred_at, sequence, source, id)
              < (asked.until_at, asked.until_sequence, asked.until_source, asked.until_id)
        LIMIT $10
    ) AS between_them
)
FROM unnest(
    $1::bytea[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[],
    $6::timestamptz[], $7::bigint[], $8::text[], $9::text[]
) WITH ORDINALITY
    AS asked (identifier, since_at, since_sequence, source, id, until_at, until_sequence, until_source, until_id, place)
"""

_FIRST = """
SELECT asked.identifier, found.occurred_at, found.sequence, found.source, found.id
FROM unnest($1::bytea[]) AS asked (identifier), LATERAL (
    SELECT * FROM carried WHERE carried.identifier = asked.identifier AND by_device
    ORDER BY occurred_at, sequence, source, id LIMIT 1
) AS found
"""

_REFERENCES_ONLY = """
SELECT touchpoints.* FROM (
    SELECT DISTINCT source, id FROM carried WHERE identifier = ANY($1::bytea[]) AND NOT by_device
) AS found JOIN touchpoints ON touchpoints.source = found.source AND touchpoints.id = found.id
"""


async def add(driver: Driver, rows: Sequence[Carried]) -> None:
    await put(driver, "carried", _COLUMNS, [(row.identifier, *row.order, row.by_device) for row in rows])


async def forget(driver: Driver, gone: Collection[tuple[bytes, Order]]) -> None:
    if gone:
        rows = [(identifier, *order) for identifier, order in gone]
        await driver.execute(_FORGET, *(list(column) for column in zip(*rows, strict=True)))


async def within(driver: Driver, stretches: Collection[Stretch]) -> list[Mapping[str, Any]]:
    """The rows of the touchpoints that carry an identifier in one of these parts of its life."""
    if not stretches:
        return []
    parts = [
        (
            one.identifier,
            one.since and one.since.occurred_at,
            one.until and one.until.occurred_at,
            one.nearest,
        )
        for one in stretches
    ]
    identifiers, since, until, nearest = (list(column) for column in zip(*parts, strict=True))
    return list(await driver.fetch(_WITHIN, identifiers, since, until, nearest))


async def back(
    driver: Driver, asked: Sequence[tuple[bytes, Order, Order]], most: int
) -> dict[tuple[bytes, Order], int]:
    """For each (identifier, place, later place) how many carry it from the one to before the other, up to `most`."""
    if not asked:
        return {}
    rows = [(identifier, *since, *until) for identifier, since, until in asked]
    found = await driver.fetch(_BACK, *(list(column) for column in zip(*rows, strict=True)), most)
    return {asked[row[0] - 1][:2]: row[1] for row in found}


async def first_by_device(driver: Driver, references: Collection[bytes]) -> dict[bytes, Order]:
    """For each reference the first touchpoint that carries it along with a weak identifier, if there is one."""
    rows = await driver.fetch(_FIRST, list(references)) if references else []
    return {identifier: Order(*order) for identifier, *order in rows}


async def by_references_only(driver: Driver, references: Collection[bytes]) -> list[Mapping[str, Any]]:
    """The rows of the touchpoints that carry one of these and nothing but references."""
    return list(await driver.fetch(_REFERENCES_ONLY, list(references))) if references else []
