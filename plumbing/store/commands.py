"""Identity commands: given through the API, applied by a stager, each undoable."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from journey.commands import Command, OnPair, OnTouchpoint, Verb
from plumbing.store.engine import Driver


class Given(NamedTuple):
    """A command as it is stored: `kinds` and `sealed` are of the identifiers it names, in the order of `command`."""

    number: int
    command: Command
    kinds: Sequence[str]
    sealed: Sequence[bytes]
    given_by: str
    given_at: datetime
    undone_at: datetime | None
    pending: bool


_COLUMNS = "command, verb, one, other, source, id, kinds, sealed, given_by, given_at, undone_at, pending"

_PENDING = f"SELECT {_COLUMNS} FROM commands WHERE pending ORDER BY command FOR UPDATE"  # noqa: S608

_ON_PAIRS = f"""
SELECT {_COLUMNS} FROM commands
WHERE one = ANY($1::bytea[]) AND other IS NOT NULL AND undone_at IS NULL AND NOT pending ORDER BY command
"""  # noqa: S608

_ON_TOUCHPOINTS = f"""
SELECT {_COLUMNS} FROM commands
WHERE (source, id) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND undone_at IS NULL AND NOT pending
ORDER BY command
"""  # noqa: S608

_KNOWN_BY = f"""
SELECT {_COLUMNS} FROM commands WHERE given_at <= $1 AND (undone_at IS NULL OR undone_at > $1) ORDER BY command
"""  # noqa: S608

_LIST = f"SELECT {_COLUMNS} FROM commands WHERE command < $1 ORDER BY command DESC LIMIT $2"  # noqa: S608

_GIVE = """
INSERT INTO commands (verb, one, other, source, id, kinds, sealed, given_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING command
"""

_UNDO = """
UPDATE commands SET undone_at = coalesce(undone_at, now()), pending = pending OR undone_at IS NULL WHERE command = $1
RETURNING command
"""

Key = tuple[str, str]


async def give(driver: Driver, command: Command, kinds: Sequence[str], sealed: Sequence[bytes], by: str) -> int:
    """Leave a command to the stagers. Returns its number."""
    match command:
        case OnPair(verb, (one, other)):
            number = await driver.fetchval(_GIVE, verb, one, other, None, None, list(kinds), list(sealed), by)
        case OnTouchpoint(verb, source, id_, struck):
            number = await driver.fetchval(_GIVE, verb, struck, None, source, id_, list(kinds), list(sealed), by)
    assert isinstance(number, int)
    return number


async def undo(driver: Driver, number: int) -> bool:
    """Take a command back, also twice; False when there never was one of this number."""
    return await driver.fetchval(_UNDO, number) is not None


async def newest(driver: Driver, before: int, limit: int) -> list[Given]:
    """Commands with lesser numbers than `before`, the last ones first."""
    return [_given(row) for row in await driver.fetch(_LIST, before, limit)]


async def known_by(driver: Driver, instant: datetime) -> list[Given]:
    """The commands that were in force at an instant, in the order in which they were given."""
    return [_given(row) for row in await driver.fetch(_KNOWN_BY, instant)]


async def waiting(driver: Driver) -> bool:
    """Whether some command is not applied yet."""
    return bool(await driver.fetchval("SELECT EXISTS (SELECT FROM commands WHERE pending)"))


async def pending(driver: Driver) -> list[Given]:
    """Commands, and undone ones, that no stager has applied; held until the end of the transaction."""
    return [_given(row) for row in await driver.fetch(_PENDING)]


async def settle(driver: Driver, numbers: Collection[int]) -> None:
    """These are applied from now on."""
    await driver.execute("UPDATE commands SET pending = false WHERE command = ANY($1::bigint[])", list(numbers))


async def on_pairs(driver: Driver, digests: Collection[bytes]) -> list[Given]:
    """The commands in force on pairs whose lesser one is among these, in the order in which they were given."""
    return [_given(row) for row in await driver.fetch(_ON_PAIRS, list(digests))]


async def on_touchpoints(driver: Driver, keys: Collection[Key]) -> list[Given]:
    """The commands in force on these touchpoints."""
    rows = await driver.fetch(_ON_TOUCHPOINTS, [source for source, _ in keys], [id_ for _, id_ in keys])
    return [_given(row) for row in rows]


def _given(row: Any) -> Given:
    number, verb, one, other, source, id_, *rest = row
    command = OnPair(Verb(verb), (one, other)) if other else OnTouchpoint(Verb(verb), source, id_, one)
    return Given(number, command, *rest)
