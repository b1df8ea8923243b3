"""What waits for somebody to settle it: links that were refused, and identifiers that many people share."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_CONFLICTS = text("""
SELECT * FROM (
    SELECT links.one, links.other, one.kind AS kind, one.sealed AS sealed, other.kind AS other_kind,
           other.sealed AS other_sealed, 1 AS refused, first_source, first_id
    FROM links
    JOIN identifiers AS one ON one.digest = links.one
    JOIN identifiers AS other ON other.digest = links.other
    WHERE refused AND NOT one.shared AND NOT other.shared AND NOT EXISTS (
        SELECT FROM commands
        WHERE commands.one = least(links.one, links.other) AND commands.other = greatest(links.one, links.other)
          AND verb = 'split' AND undone_at IS NULL
    )
    UNION ALL
    SELECT digest, ''::bytea, kind, sealed, NULL, NULL,
           (SELECT count(*) FROM links WHERE (one = digest OR other = digest) AND refused), NULL, NULL
    FROM identifiers WHERE shared
) AS conflicts
WHERE (one, other) > (:one, :other) ORDER BY one, other LIMIT :limit
""")


class Named(NamedTuple):
    digest: bytes
    kind: str
    sealed: bytes


class Conflict(NamedTuple):
    """A refused link and the (source, id) of its first touchpoint; or, without `other`, a shared identifier."""

    one: Named
    other: Named | None
    refused: int
    first: tuple[str, str] | None


async def conflicts(connection: AsyncConnection, limit: int, after: tuple[bytes, bytes] | None) -> list[Conflict]:
    """At most `limit` of them, behind the two digests of one, in the order of digests."""
    one, other = after or (b"", b"")
    rows = await connection.execute(_CONFLICTS, {"one": one, "other": other, "limit": limit})
    return [
        Conflict(
            Named(row.one, row.kind, row.sealed),
            Named(row.other, row.other_kind, row.other_sealed) if row.other else None,
            row.refused,
            (row.first_source, row.first_id) if row.other else None,
        )
        for row in rows
    ]


def place_of(conflict: Conflict) -> tuple[bytes, bytes]:
    """What to read on behind."""
    return conflict.one.digest, conflict.other.digest if conflict.other else b""
