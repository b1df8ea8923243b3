"""What was told about customers: transitions and their retractions, stays, facts, and the messages about them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from journey.outcomes import Fact, Transition
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
SELECT customer, transition, place, journey, run, from_stage, to_stage, occurred_at, rule FROM transitions
WHERE customer = ANY($1::bigint[]) AND retracted_at IS NULL
ORDER BY customer, occurred_at, journey, place
"""

_FACT = ("customer", "place", "journey", "run", "kind", "name", "occurred_at", "stage", "cause", "detail")


async def live(driver: Driver, customers: Collection[int]) -> dict[int, list[Told]]:
    """The transitions that hold now, of each customer, in order."""
    rows = await driver.fetch(_LIVE, list(customers)) if customers else []
    found: dict[int, list[Told]] = {customer: [] for customer in customers}
    for customer, *columns in rows:
        found[customer].append(Told(*columns))
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


async def forget_stays_and_facts(driver: Driver, customers: Collection[int]) -> None:
    """Make room for what a new fold says about these customers."""
    if customers:
        await driver.execute("DELETE FROM stays WHERE customer = ANY($1::bigint[])", list(customers))
        await driver.execute("DELETE FROM facts WHERE customer = ANY($1::bigint[])", list(customers))


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
