"""`jalon export`: every customer's state and history, in words and an order that depend on nothing but what was lived.

Customers are named by their identifiers, and no line has what another run of the same events would have otherwise:
numbers of rows, instants at which something was received or learned. Lines come in the order of the customers' least
identifier digest, which is the same for one secret key.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from journey.fold import advance, elapse, fold
from journey.machine import Journeys
from journey.outcomes import Advanced, Fact, Transition
from journey.state import NOBODY, CustomerState, JourneyState, decode_state, encode_state
from journey.touchpoint import Touchpoint
from plumbing.store import horizon, touchpoints
from plumbing.store.definitions import in_force, load
from plumbing.store.engine import Driver, driver_of, make_engine
from plumbing.store.reading.connection import reading
from plumbing.store.sealing import Sealer

_CHUNK = 100
"""Customers whose rows are in memory at once."""

# The state of nobody has one byte at most.
_COUNT = "SELECT count(*) FROM customers WHERE octet_length(state) > 1 OR waiting"

_BEHIND = "SELECT count(*) FROM customers, horizon WHERE due_at <= reached_at"

_CUSTOMERS = """
SELECT customer, digest FROM (
    SELECT DISTINCT ON (identifiers.customer) identifiers.customer, digest
    FROM identifiers JOIN customers ON customers.customer = identifiers.customer
    WHERE octet_length(customers.state) > 1 OR customers.waiting
    ORDER BY identifiers.customer, digest
) AS named ORDER BY digest
"""

_IDENTIFIERS = "SELECT customer, kind, sealed FROM identifiers WHERE customer = ANY($1::bigint[])"

_HOLDINGS = """
SELECT owners.customer, devices.kind, devices.sealed, since_at
FROM holdings
JOIN identifiers AS owners ON owners.digest = holdings.owner
JOIN identifiers AS devices ON devices.digest = holdings.device
WHERE owners.customer = ANY($1::bigint[])
"""

_STATES = "SELECT customer, state FROM customers WHERE customer = ANY($1::bigint[])"

_TRANSITIONS = """
SELECT customer, journey, version, run, from_stage, to_stage, occurred_at, place, rule, cause::text AS cause
FROM transitions WHERE customer = ANY($1::bigint[]) AND retracted_at IS NULL
ORDER BY customer, occurred_at, journey, place
"""

_FACTS = """
SELECT customer, journey, run, kind, name, stage, occurred_at, cause::text AS cause, detail::text AS detail
FROM facts WHERE customer = ANY($1::bigint[]) ORDER BY customer, place
"""

_TOUCHPOINTS = """
SELECT customer, source, id FROM touchpoints WHERE customer = ANY($1::bigint[])
ORDER BY customer, occurred_at, sequence, source, id
"""


_DOCUMENTS = ("cause", "detail")


class ExportedJourney(msgspec.Struct, frozen=True, kw_only=True):
    """Where a customer is in one journey, since when and why. `measured` has the durations of this run."""

    stage: str
    run: int
    entered_at: datetime
    rule: str
    cause: Mapping[str, Any]
    persona: str | None
    dead_since: datetime | None
    open: Mapping[str, datetime]
    measured: Mapping[str, timedelta]
    proposed: Sequence[str]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """One customer. `identifiers` are `kind:value`; `devices` what they signed in on and since when;
    `touchpoints` (source, id) in order; transitions and facts in the order in which they came about."""

    identifiers: Sequence[str]
    devices: Sequence[tuple[str, datetime]]
    traits: Mapping[str, Any]
    journeys: Mapping[str, ExportedJourney]
    transitions: Sequence[Mapping[str, Any]]
    facts: Sequence[Mapping[str, Any]]
    touchpoints: Sequence[tuple[str, str]]


class Lived(NamedTuple):
    """What a fold says of a customer, stored or done again. Equal when the folds were."""

    state: bytes
    transitions: list[dict[str, Any]]
    facts: list[dict[str, Any]]


class Difference(NamedTuple):
    """A customer (by the id that the outside knows) whose rows are not what a fold of their touchpoints gives."""

    customer: str
    parts: tuple[str, ...]


_encoder = msgspec.json.Encoder(order="deterministic")


def encode(exported: Exported) -> bytes:
    """The line, without its end; members in a fixed order."""
    return _encoder.encode(exported)


class Exporter:
    """Reads one store. Every method reads one snapshot of it, however slowly its rows are taken.

    Raises `StoreUnavailable`, and `Misconfigured` when the identifiers were sealed under another secret.
    """

    def __init__(self, database_url: str, secret: bytes) -> None:
        self._engine = make_engine(database_url, connections=1, application="jalon-export")
        self._sealer = Sealer(secret)

    async def close(self) -> None:
        await self._engine.dispose()

    async def count(self) -> int:
        """How many customers there are."""
        async with self._snapshot() as driver:
            number = await driver.fetchval(_COUNT)
            assert isinstance(number, int)
            return number

    async def behind(self) -> int:
        """How many customers may have something due by the horizon that is not written yet."""
        async with self._snapshot() as driver:
            number = await driver.fetchval(_BEHIND)
            assert isinstance(number, int)
            return number

    async def stored(self) -> AsyncIterator[Exported]:
        """All customers as they are stored."""
        async with self._snapshot() as driver:
            async for customers in _chunks(driver):
                lived, keys = await _stored(driver, customers), await _keys(driver, customers)
                names = await _names(driver, customers, self._sealer)
                for customer in customers:
                    if lived[customer].state:
                        yield _line(names[customer], lived[customer], keys[customer])

    async def as_of(self, until: datetime) -> AsyncIterator[Exported]:
        """All customers as they were at `until`, by all that is stored now: folded again, up to that instant."""
        async with self._snapshot() as driver:
            journeys = await load(driver, await in_force(driver))
            async for customers in _chunks(driver):
                histories = await touchpoints.histories(driver, customers)
                names = await _names(driver, customers, self._sealer)
                for customer in customers:
                    history = [one for one in histories.get(customer, ()) if one.occurred_at <= until]
                    if history:
                        keys = [(one.source, one.id) for one in history]
                        yield _line(names[customer], _folded(journeys, history, until), keys)

    async def differences(self) -> AsyncIterator[Difference | None]:
        """For each customer None, or in which parts the stored rows differ from a fold up to the stored horizon.

        What is due and not written yet is no difference: stored rows are first brought up to the horizon. Nor is what
        the stager folded ahead of it, as it may while nothing can come before: such a customer is folded as far.
        """
        async with self._snapshot() as driver:
            journeys = await load(driver, await in_force(driver))
            until = await horizon.reached(driver)
            async for customers in _chunks(driver):
                lived = await _stored(driver, customers)
                histories = await touchpoints.histories(driver, customers)
                for customer, digest in customers.items():
                    history = histories.get(customer, [])
                    last = decode_state(lived[customer].state).last
                    reached = max(until, last.occurred_at) if last else until
                    again = _folded(journeys, history, reached)
                    here = _continued(journeys, lived[customer], history, reached)
                    pairs = zip(Lived._fields, here, again, strict=True)
                    parts = tuple(name for name, one, other in pairs if one != other)
                    yield Difference(digest.hex(), parts) if parts else None

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Driver]:
        async with reading(self._engine) as connection:
            await connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield await driver_of(connection)


async def _chunks(driver: Driver) -> AsyncIterator[dict[int, bytes]]:
    """Customers and the digests that put them in order, some at a time, from a cursor of the server."""
    chunk: dict[int, bytes] = {}
    async for row in driver.cursor(_CUSTOMERS, prefetch=_CHUNK):
        chunk[row["customer"]] = row["digest"]
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = {}
    if chunk:
        yield chunk


class _Names(NamedTuple):
    identifiers: list[str]
    devices: list[tuple[str, datetime]]


async def _names(driver: Driver, customers: Collection[int], sealer: Sealer) -> dict[int, _Names]:
    names = {customer: _Names([], []) for customer in customers}
    for row in await driver.fetch(_IDENTIFIERS, list(customers)):
        names[row["customer"]].identifiers.append(f"{row['kind']}:{sealer.unseal(row['sealed'])}")
    for row in await driver.fetch(_HOLDINGS, list(customers)):
        device = f"{row['kind']}:{sealer.unseal(row['sealed'])}"
        names[row["customer"]].devices.append((device, row["since_at"]))
    for name in names.values():
        name.identifiers.sort()
        name.devices.sort()
    return names


async def _keys(driver: Driver, customers: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    keys: dict[int, list[tuple[str, str]]] = {customer: [] for customer in customers}
    for row in await driver.fetch(_TOUCHPOINTS, list(customers)):
        keys[row["customer"]].append((row["source"], row["id"]))
    return keys


async def _stored(driver: Driver, customers: Collection[int]) -> dict[int, Lived]:
    rows = await driver.fetch(_STATES, list(customers))
    lived = {row["customer"]: Lived(row["state"] if len(row["state"]) > 1 else b"", [], []) for row in rows}
    for row in await driver.fetch(_TRANSITIONS, list(customers)):
        lived[row["customer"]].transitions.append(_members(row))
    for row in await driver.fetch(_FACTS, list(customers)):
        lived[row["customer"]].facts.append(_members(row))
    return lived


def _members(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: msgspec.json.decode(value) if name in _DOCUMENTS else value
        for name, value in row.items()
        if name != "customer"
    }


def _folded(journeys: Journeys, history: Sequence[Touchpoint], until: datetime) -> Lived:
    found = fold(journeys, history, until)
    return Lived(
        _bytes(found.state), sorted(map(_as_row, found.transitions), key=_place), list(map(_as_row, found.facts))
    )


def _continued(journeys: Journeys, lived: Lived, history: Sequence[Touchpoint], until: datetime) -> Lived:
    """Stored rows with what comes after them by `until`: touchpoints that waited, timers that are due."""
    state = decode_state(lived.state)
    steps: list[Advanced] = []
    for touchpoint in history:
        if touchpoint.occurred_at <= until and (state.last is None or touchpoint.order > state.last):
            step = advance(journeys, state, touchpoint)
            if isinstance(step, Advanced):
                steps.append(step)
                state = step.state
    steps.append(elapse(journeys, state, until))
    transitions = [*lived.transitions, *(_as_row(found) for step in steps for found in step.transitions)]
    facts = [*lived.facts, *(_as_row(found) for step in steps for found in step.facts)]
    return Lived(_bytes(steps[-1].state), sorted(transitions, key=_place), facts)


def _bytes(state: CustomerState) -> bytes:
    return b"" if state == NOBODY else encode_state(state)


def _place(transition: Mapping[str, Any]) -> tuple[datetime, str, int]:
    return transition["occurred_at"], transition["journey"], transition["place"]


def _as_row(found: Transition | Fact) -> dict[str, Any]:
    """As the columns of the tables have it: plain values, documents as JSON has them, instants as instants."""
    row: dict[str, Any] = {name: getattr(found, name) for name in found.__struct_fields__}
    return {name: _as_json(value) if name in _DOCUMENTS else value for name, value in row.items()}


def _as_json(value: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def _line(names: _Names, lived: Lived, keys: Sequence[tuple[str, str]]) -> Exported:
    state: CustomerState = decode_state(lived.state)
    return Exported(
        identifiers=names.identifiers,
        devices=names.devices,
        traits=state.traits,
        journeys={name: _journey(here) for name, here in state.journeys.items()},
        transitions=lived.transitions,
        facts=lived.facts,
        touchpoints=keys,
    )


def _journey(here: JourneyState) -> ExportedJourney:
    return ExportedJourney(
        stage=here.stage,
        run=here.run,
        entered_at=here.entered_at,
        rule=here.rule,
        cause=_as_json(here.cause),
        persona=here.persona,
        dead_since=here.dead_since,
        open=here.open,
        measured={name: timedelta(microseconds=lasted) for name, lasted in here.measured.items()},
        proposed=here.proposed,
    )
