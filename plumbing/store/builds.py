"""Builds: every customer folded under other versions of the journeys, in tables beside the live ones.

A row of a build says which revision of the customer it was folded from. What a batch changes meanwhile raises the
revision, so a row that is out of date is found by comparing two numbers: live touchpoints reach both, and the hot path
knows nothing of builds.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from journey.errors import CallerFault
from journey.outcomes import Fact, Transition
from plumbing.store.engine import Driver
from plumbing.store.rows import put
from plumbing.store.told import Stay

REPLAY = ""
"""The journey of a build of all versions that are in force already."""


class Build(NamedTuple):
    """A build, in the order of `_COLUMNS`. `folded` of about `customers` have been folded once."""

    build: int
    journey: str
    version: int
    versions: Mapping[str, int]
    state: str
    activate: bool
    folded_to: int
    folded: int
    customers: int
    outcome: Any
    began_at: datetime
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state in {"building", "built"}

    @property
    def at_work(self) -> bool:
        """Whether there is something left to do."""
        return self.state == "building" or (self.state == "built" and self.activate)


class Customer(NamedTuple):
    """A customer as they are live: where they are folded from."""

    customer: int
    revision: int
    state: bytes


class Beside(NamedTuple):
    """What a build says of one customer. `stages` are those of its journey, live and by the build."""

    customer: int
    revision: int
    state: bytes
    due_at: datetime | None
    waiting: bool
    stages: tuple[str | None, str | None]
    transitions: Sequence[Transition]
    stays: Sequence[Stay]
    facts: Sequence[Fact]


TABLES = ("build_customers", "build_transitions", "build_stays", "build_facts")

_COLUMNS = ", ".join(f"versions::text AS {f}" if f == "versions" else f for f in Build._fields).replace(
    " outcome", " outcome::text AS outcome"
)

_BEGIN = """
INSERT INTO builds (journey, version, versions, state, activate, customers)
SELECT $1, $2, $3, 'building', $4, (SELECT count(*) FROM customers)
ON CONFLICT (journey, version) WHERE state IN ('building', 'built')
DO UPDATE SET state = 'building', activate = builds.activate OR excluded.activate
RETURNING build
"""

_RESTART = """
UPDATE builds SET versions = $2, state = 'building', folded_to = 0, folded = 0,
    customers = (SELECT count(*) FROM customers)
WHERE build = $1
"""

_UNSEEN = "SELECT customer, revision, state FROM customers WHERE customer > $1 ORDER BY customer LIMIT $2"

_OUT_OF_DATE = """
SELECT c.customer, c.revision, c.state FROM customers AS c
LEFT JOIN build_customers AS b ON b.build = $1 AND b.customer = c.customer
WHERE b.customer IS NULL OR b.revision <> c.revision OR b.due_at <= $2
ORDER BY c.customer LIMIT $3
"""

_CUSTOMER = ("build", "customer", "revision", "state", "due_at", "waiting", "stage_before", "stage_now")
_TRANSITION = ("build", "customer", "transition", *Transition.__struct_fields__)
_FACT = ("build", "customer", "place", *Fact.__struct_fields__)

_DOCUMENTS = ("cause", "detail")
_encode = msgspec.json.Encoder().encode


async def begin(driver: Driver, journey: str, version: int, versions: Mapping[str, int], *, activate: bool) -> int:
    """The number of the open build of this version, begun anew if there is none, and to be brought up to date."""
    written = _encode(versions).decode()
    number = await driver.fetchval(_BEGIN, journey, version, written, activate)
    assert isinstance(number, int)
    return number


async def find(driver: Driver, build: int, *, held: bool = False) -> Build:
    """The build of this number; `held` until the end of the transaction, so that builders take turns."""
    row = await driver.fetchrow(f"SELECT {_COLUMNS} FROM builds WHERE build = $1" + " FOR UPDATE" * held, build)  # noqa: S608
    if row is None:
        raise CallerFault("there is no such build")
    return _build(row)


async def latest(driver: Driver, journey: str, version: int) -> Build | None:
    """The last build of a version, whatever became of it."""
    query = f"SELECT {_COLUMNS} FROM builds WHERE journey = $1 AND version = $2 ORDER BY build DESC LIMIT 1"  # noqa: S608
    row = await driver.fetchrow(query, journey, version)
    return _build(row) if row else None


async def to_do(driver: Driver) -> int | None:
    """The oldest build that has something left to do and that nobody holds."""
    number: int | None = await driver.fetchval(
        "SELECT build FROM builds WHERE state = 'building' OR (state = 'built' AND activate) "
        "ORDER BY build LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    return number


async def unseen(driver: Driver, build: Build, limit: int) -> list[Customer]:
    """Customers that the build has not folded yet, in the order of their numbers."""
    return [Customer(*row) for row in await driver.fetch(_UNSEEN, build.folded_to, limit)]


async def out_of_date(driver: Driver, build: Build, reached: datetime, limit: int) -> list[Customer]:
    """Customers who changed since the build folded them, came since, or for whom time has passed."""
    return [Customer(*row) for row in await driver.fetch(_OUT_OF_DATE, build.build, reached, limit)]


async def passed(driver: Driver, build: Build, seen: Sequence[Customer]) -> None:
    """Note that these have been folded for the first time."""
    await driver.execute(
        "UPDATE builds SET folded_to = $2, folded = folded + $3 WHERE build = $1",
        build.build,
        seen[-1].customer,
        len(seen),
    )


async def mark(driver: Driver, build: Build, state: str, outcome: Any = None) -> None:
    """Give a held build its state: `building`, `built`, `activated` with its outcome, or `dropped`."""
    await driver.execute(
        "UPDATE builds SET state = $2, outcome = $3, "
        "ended_at = CASE WHEN $2 IN ('activated', 'dropped') THEN clock_timestamp() END WHERE build = $1",
        build.build,
        state,
        None if outcome is None else _encode(outcome).decode(),
    )


async def restart(driver: Driver, build: Build, versions: Mapping[str, int]) -> None:
    """Begin a held build anew, because other versions of other journeys are in force now."""
    await clear(driver, build.build)
    await driver.execute(_RESTART, build.build, _encode(versions).decode())


async def drop_others(driver: Driver, build: Build) -> None:
    """Give up the other open builds of the same journey: they were compared with what is no longer in force."""
    await driver.execute(
        "UPDATE builds SET state = 'dropped', ended_at = clock_timestamp() "
        "WHERE journey = $1 AND build <> $2 AND state IN ('building', 'built')",
        build.journey,
        build.build,
    )


async def clear_ended(driver: Driver) -> bool:
    """Delete the rows of one build that has ended; False when there is none."""
    number = await driver.fetchval(
        "SELECT build FROM builds WHERE state IN ('activated', 'dropped') "
        "AND EXISTS (SELECT FROM build_customers AS b WHERE b.build = builds.build) LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    if number is not None:
        await clear(driver, number)
    return number is not None


async def clear(driver: Driver, build: int, customers: Sequence[int] | None = None) -> None:
    """Delete the rows of a build, all or those of some customers."""
    for table in TABLES:
        if customers is None:
            await driver.execute(f"DELETE FROM {table} WHERE build = $1", build)  # noqa: S608 - our own names
        else:
            some = f"DELETE FROM {table} WHERE build = $1 AND customer = ANY($2::bigint[])"  # noqa: S608
            await driver.execute(some, build, customers)


async def keep(driver: Driver, build: Build, folded: Sequence[Beside]) -> None:
    """Write rows of a build, in the place of those it has of the same customers."""
    number = build.build
    await clear(driver, number, [one.customer for one in folded])
    customers = [(number, c.customer, c.revision, c.state, c.due_at, c.waiting, *c.stages) for c in folded]
    await put(driver, "build_customers", _CUSTOMER, customers)
    moves = [(number, one.customer, move.id, *_values(move)) for one in folded for move in one.transitions]
    await put(driver, "build_transitions", _TRANSITION, moves)
    stays = [(number, *stay) for one in folded for stay in one.stays]
    await put(driver, "build_stays", ("build", *Stay._fields), stays)
    facts = [(number, one.customer, place, *_values(fact)) for one in folded for place, fact in enumerate(one.facts)]
    await put(driver, "build_facts", _FACT, facts)


def _values(found: Transition | Fact) -> tuple[Any, ...]:
    """The columns of a transition or fact, in the order of its fields; documents as JSON."""
    fields = ((name, getattr(found, name)) for name in found.__struct_fields__)
    return tuple(_encode(value).decode() if name in _DOCUMENTS else value for name, value in fields)


def _build(row: Any) -> Build:
    columns = dict(row)
    columns["versions"] = msgspec.json.decode(columns["versions"])
    columns["outcome"] = columns["outcome"] and msgspec.json.decode(columns["outcome"])
    return Build(**columns)
