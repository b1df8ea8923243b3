"""Links between strong identifiers, read for all that could have to do with a change."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from journey.commands import Pair
from journey.links import Link
from journey.touchpoint import Order
from plumbing.store.engine import Driver


class Stored(NamedTuple):
    """A link as it is stored."""

    first: Order
    refused: bool


Links = Mapping[Pair, Stored]
"""By the two identifiers, the higher first."""

_OF = """
SELECT links.* FROM unnest($1::bytea[], $2::bytea[]) AS asked (one, other)
JOIN links ON links.one = asked.one AND links.other = asked.other
"""

_AMONG = "SELECT * FROM links WHERE one = ANY($1::bytea[])"

_REACHED = """
WITH RECURSIVE reached (digest) AS (
    SELECT unnest($1::bytea[])
    UNION
    SELECT next.digest FROM reached, LATERAL (
        SELECT other FROM links WHERE one = reached.digest
        UNION ALL SELECT one FROM links WHERE other = reached.digest
        UNION ALL SELECT other FROM commands
            WHERE one = reached.digest AND other IS NOT NULL AND undone_at IS NULL AND NOT pending
        UNION ALL SELECT one FROM commands
            WHERE other = reached.digest AND other IS NOT NULL AND undone_at IS NULL AND NOT pending
    ) AS next (digest)
)
SELECT reached.digest, kind FROM reached JOIN identifiers ON identifiers.digest = reached.digest
"""

_WRITE = """
INSERT INTO links (one, other, first_at, first_sequence, first_source, first_id, refused)
SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::boolean[])
ON CONFLICT (one, other) DO UPDATE SET first_at = excluded.first_at, first_sequence = excluded.first_sequence,
    first_source = excluded.first_source, first_id = excluded.first_id, refused = excluded.refused
"""

_SHARE = """
UPDATE identifiers SET shared = NOT shared
WHERE digest = ANY($1::bytea[]) AND shared <> (digest = ANY($2::bytea[]))
"""

_DELETE = """
DELETE FROM links USING unnest($1::bytea[], $2::bytea[]) AS gone (one, other)
WHERE links.one = gone.one AND links.other = gone.other
"""


async def find(driver: Driver, pairs: Collection[Pair]) -> dict[Pair, Stored]:
    """Those of these links that are stored."""
    if not pairs:
        return {}
    return _links(await driver.fetch(_OF, [one for one, _ in pairs], [other for _, other in pairs]))


async def reached(driver: Driver, digests: Collection[bytes]) -> dict[bytes, str]:
    """All identifiers that links and commands connect with these, over however many others, and their kinds."""
    return {row["digest"]: row["kind"] for row in await driver.fetch(_REACHED, list(digests))} if digests else {}


async def among(driver: Driver, digests: Collection[bytes]) -> dict[Pair, Stored]:
    """All links of these identifiers, which are all that some of them reach."""
    return _links(await driver.fetch(_AMONG, list(digests))) if digests else {}


async def write(driver: Driver, changed: Collection[Link], refused: Collection[Pair]) -> None:
    """Write links that are new or have changed; of their pairs, those `refused`."""
    rows = sorted((link.one, link.other, *link.first, (link.one, link.other) in refused) for link in changed)
    if rows:
        await driver.execute(_WRITE, *(list(column) for column in zip(*rows, strict=True)))


async def share(driver: Driver, among: Collection[bytes], shared: Collection[bytes]) -> None:
    """Note which of these identifiers many people share."""
    await driver.execute(_SHARE, list(among), list(shared))


async def delete(driver: Driver, pairs: Collection[Pair]) -> None:
    """Forget links that no touchpoint has any more."""
    if pairs:
        await driver.execute(_DELETE, [one for one, _ in pairs], [other for _, other in pairs])


def _links(rows: Iterable[Any]) -> dict[Pair, Stored]:
    return {
        (one, other): Stored(Order(at, sequence, source, id_), refused)
        for one, other, at, sequence, source, id_, refused in rows
    }
