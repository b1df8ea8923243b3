"""What was told about customers: transitions and their retractions, stays, facts, and the messages about them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import msgspec

from journey.outcomes import Fact, Kind, Transition
from journey.state import Cause
from plumbing.store.engine import Driver
from plumbing.store.rows import put


class Stay(NamedTuple):
    """A customer's stay in a stage, in the order of the columns."""

    customer: int
    journey: str
    place: int
    run: int
    stage: str
    entered_at: datetime
    left_at: datetime | None


class Told(NamedTuple):
    """A transition as it was told."""

    id: bytes
    place: int
    journey: str
    run: int
    from_stage: str | None
    to_stage: str
    occurred_at: datetime
    rule: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode
_decode_cause = msgspec.json.Decoder(Cause).decode


_RETRACT = """
UPDATE transitions SET retracted_at = greatest($3, learned_at)
FROM unnest($1::bigint[], $2::bytea[]) AS gone (customer, transition)
WHERE transitions.customer = gone.customer AND transitions.transition = gone.transition AND retracted_at IS NULL
"""

_TRANSITION = (
    "customer",
    "transition",
    "learned_at",
    "journey",
    "version",
    "run",
    "from_stage",
    "to_stage",
    "occurred_at",
    "place",
    "rule",
    "cause",
)

_LEAVE = """
UPDATE stays SET left_at = next.left_at
FROM unnest($1::bigint[], $2::text[], $3::integer[], $4::timestamptz[]) AS next (customer, journey, place, left_at)
WHERE stays.customer = next.customer AND stays.journey = next.journey AND stays.place = next.place
"""

_LIVE = """
SELECT t.customer, transition, place, journey, run, from_stage, to_stage, occurred_at, rule
FROM unnest($1::bigint[], $2::timestamptz[]) AS again (customer, since)
JOIN transitions AS t ON t.customer = again.customer AND t.occurred_at >= coalesce(again.since, '-infinity')
WHERE retracted_at IS NULL
ORDER BY t.customer, occurred_at, journey, place
"""

_TOLD_BEFORE = """
SELECT t.customer, t.transition, count(*)
FROM unnest($1::bigint[], $2::bytea[]) AS moved (customer, transition)
JOIN transitions AS t ON t.customer = moved.customer AND t.transition = moved.transition
WHERE retracted_at IS NOT NULL GROUP BY 1, 2
"""

_FACTS = """
SELECT f.customer, journey, run, kind, name, stage, occurred_at, cause::text AS cause, detail::text AS detail
FROM unnest($1::bigint[], $2::integer[]) AS again (customer, place)
JOIN facts AS f ON f.customer = again.customer AND f.place >= again.place
ORDER BY f.customer, f.place
"""

_FORGET_FACTS = """
DELETE FROM facts USING unnest($1::bigint[], $2::integer[]) AS gone (customer, place)
WHERE facts.customer = gone.customer AND facts.place >= gone.place
"""

_FORGET_STAYS = """
DELETE FROM stays USING unnest($1::bigint[], $2::text[], $3::integer[]) AS gone (customer, journey, place)
WHERE stays.customer = gone.customer AND stays.journey = gone.journey AND stays.place >= gone.place
"""

_RETURN = """
UPDATE stays SET left_at = NULL
FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS gone (customer, journey, place)
WHERE stays.customer = gone.customer AND stays.journey = gone.journey AND stays.place = gone.place - 1
"""

_FACT = ("customer", "place", "journey", "run", "kind", "name", "occurred_at", "stage", "cause", "detail")


async def live(driver: Driver, since: Mapping[int, datetime | None]) -> dict[int, list[Told]]:
    """The transitions that hold now, of each customer, in order: those from an instant on (None: all)."""
    rows = await driver.fetch(_LIVE, list(since), list(since.values())) if since else []
    found: dict[int, list[Told]] = {customer: [] for customer in since}
    for customer, *columns in rows:
        found[customer].append(Told(*columns))
    return found


async def told_before(driver: Driver, moved: Collection[tuple[int, bytes]]) -> dict[tuple[int, bytes], int]:
    """How often each transition, (customer, id), was told and taken back; left out where that is never."""
    if not moved:
        return {}
    rows = await driver.fetch(_TOLD_BEFORE, [customer for customer, _ in moved], [id_ for _, id_ in moved])
    return {(customer, id_): times for customer, id_, times in rows}


async def facts(driver: Driver, since: Mapping[int, int]) -> dict[int, list[Fact]]:
    """The facts of each customer from a place on."""
    found: dict[int, list[Fact]] = {customer: [] for customer in since}
    for row in await driver.fetch(_FACTS, list(since), list(since.values())) if since else []:
        found[row["customer"]].append(_fact(row))
    return found


async def retract(driver: Driver, gone: Sequence[tuple[int, bytes]], at: datetime) -> None:
    """Take transitions back: (customer, id) each."""
    if gone:
        await driver.execute(_RETRACT, [customer for customer, _ in gone], [id_ for _, id_ in gone], at)


async def add(driver: Driver, added: Sequence[tuple[int, Transition]], at: datetime) -> None:
    """Tell transitions, learned at `at`."""
    if not added:
        return
    rows = [
        (
            customer,
            t.id,
            at,
            t.journey,
            t.version,
            t.run,
            t.from_stage,
            t.to_stage,
            t.occurred_at,
            t.place,
            t.rule,
            _encode(t.cause).decode(),
        )
        for customer, t in added
    ]
    await put(driver, "transitions", _TRANSITION, rows)


async def forget_facts(driver: Driver, gone: Mapping[int, int]) -> None:
    """Make room for other facts: customer → the place from which on they no longer hold."""
    if gone:
        await driver.execute(_FORGET_FACTS, list(gone), list(gone.values()))


async def forget_stays(driver: Driver, gone: Collection[tuple[int, str, int]]) -> None:
    """Make room for other stays: (customer, journey, place from which on they no longer hold).

    The one before is the current one again, until another follows it: see `stay`.
    """
    if gone:
        columns = [list(column) for column in zip(*gone, strict=True)]
        await driver.execute(_FORGET_STAYS, *columns)
        await driver.execute(_RETURN, *columns)


async def stay(driver: Driver, stays: Sequence[Stay]) -> None:
    """Write stays; the one before the first new one of each customer and journey ends where that begins."""
    if not stays:
        return
    ordered = sorted(stays)
    firsts = [next(group) for _, group in groupby(ordered, key=lambda stay: (stay.customer, stay.journey))]
    ended = [(s.customer, s.journey, s.place - 1, s.entered_at) for s in firsts if s.place]
    if ended:
        await driver.execute(_LEAVE, *(list(column) for column in zip(*ended, strict=True)))
    await put(driver, "stays", Stay._fields, ordered)


async def note(driver: Driver, facts: Mapping[int, tuple[int, Sequence[Fact]]]) -> None:
    """Write facts: customer → (place of the first, facts)."""
    rows = [
        (
            customer,
            first + index,
            fact.journey,
            fact.run,
            fact.kind.value,
            fact.name,
            fact.occurred_at,
            fact.stage,
            _encode(fact.cause).decode(),
            _encode(fact.detail).decode(),
        )
        for customer, (first, found) in facts.items()
        for index, fact in enumerate(found)
    ]
    await put(driver, "facts", _FACT, rows)


def _fact(row: Mapping[str, Any]) -> Fact:
    return Fact(
        journey=row["journey"],
        run=row["run"],
        kind=Kind(row["kind"]),
        name=row["name"],
        stage=row["stage"],
        occurred_at=row["occurred_at"],
        cause=_decode_cause(row["cause"]),
        detail=_decode(row["detail"]),
    )
