"""All that a stager's own parts do on one store, a step at a time, and what a reference says of the same.

What was told so far is kept beside the store: touchpoints that arrived, commands, versions in force, the horizon. From
these alone `expected` works out whose each touchpoint is and what each customer lived; `found` reads the tables.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from pprint import pformat
from typing import Any, NamedTuple

import msgspec
import pytest

from journey.commands import Command
from journey.definition import parse
from journey.durations import format_duration
from journey.grammar import Definition
from journey.state import CustomerState, decode_state
from journey.touchpoint import Touchpoint
from plumbing.store import definitions
from plumbing.store.build_requests import request
from plumbing.store.engine import transaction
from services.stager.build import Builder
from tests.properties.reference import Found, Life, Move, live
from tests.support.lives import Said
from tests.support.place import KINDS, REFERENCE, Place, command_of, that_count

CRASHES = {
    "touchpoints": "services.stager.stage_batch.touchpoints.insert",
    "told": "services.stager.stage_batch.tell",
    "positions": "services.stager.stage_batch.positions.advance",
    "timers": "services.stager.timers.tell",
    "commands": "services.stager.commanded.tell",
    "switch": "services.stager.build.feed.write",
}
"""Where a process may die with its transaction open: instead of what is called there."""

_EMPTY = (
    "UPDATE definitions SET active = false; DELETE FROM activations; DELETE FROM build_customers;"
    "DELETE FROM build_transitions; DELETE FROM build_stays; DELETE FROM build_facts; DELETE FROM builds;"
    "DELETE FROM definitions"
)
_PEOPLE = "SELECT digest, customer FROM identifiers WHERE customer IS NOT NULL AND kind = ANY($1)"
_TAKEN_BACK = """
SELECT count(*) AS retracted, count(*) FILTER (WHERE cause->>'kind' = 'timer' AND NOT EXISTS (
    SELECT FROM transitions AS o WHERE o.retracted_at IS NULL
    AND (o.journey, o.rule, o.occurred_at, o.cause) = (one.journey, one.rule, one.occurred_at, one.cause)
)) AS by_time
FROM transitions AS one WHERE retracted_at IS NOT NULL
"""
_MOVES = """
SELECT customer, journey, version, run, from_stage, to_stage, occurred_at, place, rule, cause::text AS cause
FROM transitions WHERE retracted_at IS NULL ORDER BY customer, journey, occurred_at, place
"""
_STAYS = "SELECT customer, journey, run, stage, entered_at, left_at FROM stays ORDER BY customer, journey, place"
_FACTS = """
SELECT customer, journey, run, kind, name, stage, occurred_at, detail->>'lasted' AS lasted
FROM facts ORDER BY customer, place
"""
_STATES = "SELECT customer, state FROM customers WHERE octet_length(state) > 1"


class Crash(Exception):
    """The process dies here."""


class Past(NamedTuple):
    """What one customer lived in one journey: its transitions with their version, its stays and facts as the tables
    have them, and where it is: stage, run, since when, persona, whether dead time has come, actions proposed."""

    moves: Sequence[tuple[int, Move]]
    stays: Sequence[tuple[object, ...]]
    facts: Sequence[tuple[object, ...]]
    here: tuple[object, ...]


Pasts = Mapping[tuple[str, str], Past]
"""By the id that a customer is shown by, and journey."""


class Whole:
    """One store, and what it was told."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._builder = Builder(place.engine, KINDS, at_once=2)
        self._versions: dict[tuple[str, int], Definition] = {}
        self._in_force: dict[str, int] = {}
        self.arrived: list[Touchpoint] = []
        self.given: dict[int, Command] = {}
        self.horizon: datetime
        self.seen: Counter[str] = Counter()
        self._people: dict[bytes, int] = {}
        self._retracted = (0, 0)

    async def begin(self, documents: Sequence[Mapping[str, Any]], horizon: datetime) -> None:
        """Empty the store, and put the first version of each journey in force."""
        self.horizon = horizon
        await self._place.empty(horizon)
        async with transaction(self._place.engine) as driver:
            await driver.execute(_EMPTY)
        texts = [msgspec.json.encode(document).decode() for document in documents]
        for text in texts:
            definition = parse(text)
            self._versions[definition.journey, definition.version] = definition
        first = [text for text, document in zip(texts, documents, strict=True) if document["version"] == 1]
        await definitions.seed(self._place.engine, first)
        for text in texts:
            await definitions.publish(self._place.engine, text)
        self._in_force = {journey: 1 for journey, _ in self._versions}
        self._place.begin_anew(await definitions.load_active(self._place.engine))

    # --- steps ---

    async def stage(self, batch: Sequence[Touchpoint], crash: str | None = None) -> None:
        await self._do(lambda: self._place.stage(batch), crash)
        self.arrived += batch
        await self._look("retraction")

    async def let_pass(self, until: datetime, crash: str | None = None) -> None:
        self.horizon = max(self.horizon, until)
        await self._do(lambda: self._place.let_pass(until), crash)
        await self._look(None)

    async def say(self, said: Said, crash: str | None = None) -> None:
        number = await self._place.give(said)
        self.given[number] = command_of(said)[0]
        await self._do(self._place.heed, crash)
        await self._look("retraction")

    async def take_back(self, number: int, crash: str | None = None) -> None:
        await self._place.undo(number)
        del self.given[number]
        await self._do(self._place.heed, crash)
        await self._look("retraction")

    async def activate(self, journey: str, crash: str | None = None) -> None:
        """Switch a journey to its other version: build, and switch."""
        version = 3 - self._in_force[journey]
        number = await request(self._place.engine, journey, version, activate=True)
        await self._do(lambda: self._build(number), crash)
        self._in_force[journey] = version
        self.seen["activation"] += 1
        await self._look(None)

    async def _build(self, number: int) -> None:
        while (build := await self._builder.work(number)).at_work:
            pass
        assert build.state == "activated"

    async def _do(self, step: Callable[[], Awaitable[None]], crash: str | None) -> None:
        """Do it; with a crash: begin it, die before the commit, and do it then."""
        if crash is not None:

            async def dies(*_: object, **__: object) -> None:
                raise Crash

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(CRASHES[crash], dies)
                try:
                    await step()
                except Crash:
                    self.seen["crash"] += 1
        await step()

    async def _look(self, retraction: str | None) -> None:
        """Count what this step did."""
        async with transaction(self._place.engine) as driver:
            people = dict(await driver.fetch(_PEOPLE, list(KINDS.strong)))
            retracted, by_time = (await driver.fetch(_TAKEN_BACK))[0]
        if retraction and retracted > self._retracted[0]:
            self.seen[retraction] += 1
        if retraction and by_time > self._retracted[1]:
            self.seen["timer taken back"] += 1
        for one, other in combinations(self._people, 2):
            were, are = self._people[one] == self._people[other], people.get(one) == people.get(other)
            self.seen["merge"] += are and not were
            self.seen["split"] += were and not are
        self._people, self._retracted = people, (retracted, by_time)

    # --- in the end ---

    async def check(self) -> None:
        """The store is what the reference says, once the horizon has reached all that arrived.

        Before, what lies beyond it may be folded already: as soon as nothing that it hides could come in between.
        """
        counting = that_count(self.arrived)
        await self.let_pass(max([self.horizon, *(one.occurred_at for one in counting)]))
        assigned = REFERENCE.assign(counting, list(self.given.values()))
        customer_of, refused = await self._place.assignment()
        assert customer_of == assigned.customer_of
        assert refused == assigned.refused
        found, expected = await self._found(customer_of), self._expected(counting, assigned.customer_of)
        unlike = _unlike(found, expected)
        assert not unlike, pformat(unlike, width=120)
        self.seen["persona change"] += any(fact[1] == "persona" for past in found.values() for fact in past.facts)
        self.seen["conflict"] += bool(refused)
        self.seen["timer"] += any(isinstance(move.cause, datetime) for past in found.values() for _, move in past.moves)

    def _expected(self, counting: Iterable[Touchpoint], customer_of: Mapping[tuple[str, str], str]) -> Pasts:
        theirs: dict[str, list[Touchpoint]] = defaultdict(list)
        for one in counting:
            if (one.source, one.id) in customer_of:
                theirs[customer_of[one.source, one.id]].append(one)
        in_force = [self._versions[name] for name in self._in_force.items()]
        return {
            (customer, life.definition.journey): _lived(life)
            for customer, history in theirs.items()
            for life in live(in_force, history, self.horizon)
        }

    async def _found(self, customer_of: Mapping[tuple[str, str], str]) -> Pasts:
        async with transaction(self._place.engine) as driver:
            shown = {
                row["customer"]: customer_of[row["source"], row["id"]]
                for row in await driver.fetch("SELECT customer, source, id FROM touchpoints WHERE customer IS NOT NULL")
            }
            states = {row["customer"]: decode_state(row["state"]) for row in await driver.fetch(_STATES)}
            tables = [_by_journey(await driver.fetch(sql)) for sql in (_MOVES, _STAYS, _FACTS)]
        pasts = {key for table in tables for key in table} | {
            (customer, journey) for customer, state in states.items() for journey in state.journeys
        }
        return {
            (shown[customer], journey): Past(
                [_move(journey, row) for row in tables[0][customer, journey]],
                [tuple(row) for row in tables[1][customer, journey]],
                [tuple(row) for row in tables[2][customer, journey]],
                _here(states[customer], journey),
            )
            for customer, journey in pasts
        }


def _unlike(found: Pasts, expected: Pasts) -> dict[object, object]:
    """What is found and what was expected where these are not the same."""
    nothing = Past((), (), (), ())
    return {
        (*key, part): (is_, should_be)
        for key in found.keys() | expected.keys()
        for part, is_, should_be in zip(Past._fields, found.get(key, nothing), expected.get(key, nothing), strict=True)
        if is_ != should_be
    }


def _by_journey(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[int, str], list[tuple[Any, ...]]]:
    found: dict[tuple[int, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        customer, journey, *rest = row.values()
        found[customer, journey].append(tuple(rest))
    return found


def _move(journey: str, row: tuple[Any, ...]) -> tuple[int, Move]:
    version, run, from_stage, to_stage, at, place, rule, written = row
    cause = msgspec.json.decode(written)
    by = datetime.fromisoformat(cause["since"]) if cause["kind"] == "timer" else (cause["source"], cause["id"])
    return version, Move(journey, run, from_stage, to_stage, at, place, rule, by)


def _here(state: CustomerState, journey: str) -> tuple[object, ...]:
    here = state.journeys[journey]
    is_dead = here.dead_since is not None
    return here.stage, here.run, here.entered_at, here.persona, is_dead, list(here.proposed)


def _lived(life: Life) -> Past:
    moves = life.moves
    ends = [*(move.at for move in moves[1:]), None]
    return Past(
        [(life.definition.version, move) for move in moves],
        [(move.run, move.to_stage, move.at, end) for move, end in zip(moves, ends, strict=True)],
        [_fact(fact) for fact in life.facts],
        (life.here.to_stage, life.here.run, life.here.at, life.persona, life.is_dead, life.proposed),
    )


def _fact(fact: Found) -> tuple[object, ...]:
    lasted = None if fact.lasted is None else format_duration(fact.lasted)
    return fact.run, fact.kind, fact.name, fact.stage, fact.at, lasted
