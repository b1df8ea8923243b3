"""A customer's history: touchpoints, transitions and facts, merged into one order and read in pages.

The order is the one in which they came about: what time caused at an instant, then the touchpoints of that instant,
each followed by the transitions and then the facts that it caused.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Row,
    RowMapping,
    Select,
    Text,
    Tuple,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from journey.touchpoint import Order, Touchpoint
from plumbing.store.bodies import struck, unpack
from plumbing.store.tables import Instant, facts, identifiers, touchpoints, transitions

BY_TIME = -(2**63)
"""The sequence of what no touchpoint caused: before every touchpoint of its instant."""

TOUCHPOINT, TRANSITION, FACT = 0, 1, 2

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """Where an item stands in a customer's history; compares as a tuple."""

    occurred_at: datetime
    sequence: int
    source: str
    id: str
    rank: int
    journey: str
    number: int
    learned_at: datetime

    @classmethod
    def of(cls, occurred_at: datetime, by: Order | None, rank: int, journey: str = "", number: int = 0) -> "Place":
        """The place of something not stored, that the touchpoint `by` (or time) brought about."""
        return cls(*(by or (occurred_at, BY_TIME, "", "")), rank, journey, number, NEVER)


_TYPES: tuple[TypeEngine[Any], ...] = (Instant, BigInteger(), Text(), Text(), Integer(), Text(), Integer(), Instant)


class Touched(NamedTuple):
    """A touchpoint of the customer; `touchpoint.identifiers` are digests in hexadecimal.

    `by` is the kind of the device or reference that decided whose it is (None: a strong identifier did), and `claimed`
    whether someone other than the device itself has it.
    """

    place: Place
    touchpoint: Touchpoint
    by: str | None
    claimed: bool


class Moved(NamedTuple):
    """A transition; `retracted_at` is set when it no longer holds, `learned_at` when it is stored at all.

    `cause` is `journey.state.Cause` as JSON."""

    place: Place
    transition: bytes
    journey: str
    version: int
    run: int
    from_stage: str | None
    to_stage: str
    occurred_at: datetime
    learned_at: datetime | None
    retracted_at: datetime | None
    rule: str
    cause: Mapping[str, Any]


class Noted(NamedTuple):
    """A fact. `cause` is `journey.state.Cause` as JSON."""

    place: Place
    journey: str
    run: int
    kind: str
    name: str
    stage: str
    occurred_at: datetime
    cause: Mapping[str, Any]
    detail: Mapping[str, Any]


Item = Touched | Moved | Noted
Some = TypeVar("Some", bound=Item)


class Page(NamedTuple):
    """Which part of a history: at most `limit` items behind `after`, newest or oldest first, up to `until`."""

    limit: int
    after: Place | None = None
    newest_first: bool = False
    until: datetime | None = None

    def of(self, items: Iterable[Some]) -> list[Some]:
        """This part of a whole history, which is in no order."""
        behind = [
            item
            for item in items
            if self.after is None or (item.place < self.after if self.newest_first else item.place > self.after)
        ]
        return sorted(behind, key=lambda item: item.place, reverse=self.newest_first)[: self.limit]

    def cut(self, *parts: Iterable[Item]) -> list[Item]:
        """The parts, each in this order, as one of at most `limit` items."""
        merged = merge(*parts, key=lambda item: item.place, reverse=self.newest_first)
        return list(islice(merged, self.limit))


async def history(
    connection: AsyncConnection, customer: int, page: Page, *, with_facts: bool, with_retracted: bool
) -> list[Item]:
    """A page of all that is known of the customer, by the store's own number of them."""
    parts: list[Iterable[Item]] = [
        await _touchpoints(connection, customer, page),
        await moves(connection, customer, page, with_retracted=with_retracted),
    ]
    if with_facts:
        parts.append(await _facts(connection, customer, page))
    return page.cut(*parts)


async def moves(connection: AsyncConnection, customer: int, page: Page, *, with_retracted: bool) -> list[Moved]:
    """A page of the customer's transitions; those that no longer hold are there `with_retracted`."""
    table = transitions.c
    place = _place(transitions, TRANSITION, table.journey, table.place, table.learned_at)
    columns = (
        table.transition,
        table.journey,
        table.version,
        table.run,
        table.from_stage,
        table.to_stage,
        table.occurred_at,
        table.learned_at,
        table.retracted_at,
        table.rule,
        table.cause,
    )
    query = _caused(select(*place, *columns), transitions).where(table.customer == customer)
    if not with_retracted:
        query = query.where(table.retracted_at.is_(None))
    rows = await connection.execute(_paged(query, place, page))
    return [Moved(*_split(row)) for row in rows]


async def _facts(connection: AsyncConnection, customer: int, page: Page) -> list[Noted]:
    table = facts.c
    place = _place(facts, FACT, literal(""), table.place, literal(NEVER, Instant))
    columns = (
        table.journey,
        table.run,
        table.kind,
        table.name,
        table.stage,
        table.occurred_at,
        table.cause,
        table.detail,
    )
    query = _caused(select(*place, *columns), facts).where(table.customer == customer)
    rows = await connection.execute(_paged(query, place, page))
    return [Noted(*_split(row)) for row in rows]


async def _touchpoints(connection: AsyncConnection, customer: int, page: Page) -> list[Touched]:
    table, order = touchpoints.c, ("occurred_at", "sequence", "source", "id")
    place = [table[name] for name in order]
    query = (
        select(touchpoints, identifiers.c.kind.label("by"), identifiers.c.customer.label("device_customer"))
        .select_from(touchpoints.outerjoin(identifiers, identifiers.c.digest == table.device))
        .where(table.customer == customer)
        .order_by(*(column.desc() if page.newest_first else column for column in place))
        .limit(page.limit)
    )
    if page.until is not None:
        query = query.where(table.occurred_at <= page.until)
    if page.after is not None:
        here = _literal(page.after[:4])
        if not page.newest_first:
            query = query.where(tuple_(*place) > here)
        elif page.after.rank == TOUCHPOINT:
            query = query.where(tuple_(*place) < here)
        else:
            query = query.where(tuple_(*place) <= here)  # what it caused was shown, itself not yet
    return [_touched(row) for row in (await connection.execute(query)).mappings()]


def _touched(row: RowMapping) -> Touched:
    place = Place(row["occurred_at"], row["sequence"], row["source"], row["id"], TOUCHPOINT, "", 0, NEVER)
    claimed = row["by"] is not None and row["device_customer"] != row["customer"]
    stored = {str(name): value for name, value in row.items()}
    touchpoint, gone = unpack(stored), struck(stored)
    counting = {kind: value for kind, value in touchpoint.identifiers.items() if kind not in gone}
    return Touched(place, replace(touchpoint, identifiers=counting), row["by"], claimed)


def _place(
    table: Any, rank: int, journey: ColumnElement[str], number: ColumnElement[int], learned_at: ColumnElement[datetime]
) -> tuple[ColumnElement[Any], ...]:
    return (
        table.c.occurred_at,
        func.coalesce(touchpoints.c.sequence, literal(BY_TIME, BigInteger())),
        func.coalesce(touchpoints.c.source, literal("", Text())),
        func.coalesce(touchpoints.c.id, literal("", Text())),
        literal(rank, Integer()),
        journey,
        number,
        learned_at,
    )


def _caused(query: Select[Any], table: Any) -> Select[Any]:
    """With the touchpoint that caused it, if one did: its place in the order is the item's too."""
    by = table.outerjoin(
        touchpoints,
        (touchpoints.c.source == table.c.cause["source"].astext) & (touchpoints.c.id == table.c.cause["id"].astext),
    )
    return query.select_from(by)


def _paged(query: Select[Any], place: tuple[ColumnElement[Any], ...], page: Page) -> Select[Any]:
    if page.until is not None:
        query = query.where(place[0] <= page.until)
    if page.after is not None:
        here = _literal(page.after)
        if page.newest_first:
            query = query.where(place[0] <= page.after.occurred_at, tuple_(*place) < here)
        else:
            query = query.where(place[0] >= page.after.occurred_at, tuple_(*place) > here)
    return query.order_by(*(column.desc() if page.newest_first else column for column in place)).limit(page.limit)


def _literal(place: tuple[Any, ...]) -> Tuple:
    return tuple_(*(literal(value, type_) for value, type_ in zip(place, _TYPES, strict=False)))


def _split(row: Row[Any]) -> list[Any]:
    """A row of a place's columns and others, as the place and the others."""
    width = len(Place._fields)
    return [Place(*row[:width]), *row[width:]]
