"""The whole law on a real Postgres: whatever comes in whatever order, the store is what a plain reference says.

A state machine of Hypothesis' tells a store touchpoints, copies, commands, time and versions, with crashes in between,
and asks now and then and in the end that whose each touchpoint is be what `reference_identity.py` says, and each
customer's transitions, stays, facts and stage in each journey what `reference.py` says.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from random import Random
from typing import Any, ClassVar, TypeVar

import asyncpg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace

from journey.commands import Verb
from journey.machine import compile_journeys
from journey.touchpoint import Touchpoint
from tests.properties import strategies as worlds
from tests.properties.strategies import HOUR, START, Dice
from tests.support.lives import Said
from tests.support.place import Place
from tests.support.whole import Whole

T = TypeVar("T")

EXAMPLES, MANY = 100, 10_000
OCCURS = ("retraction", "merge", "split", "timer taken back", "persona change", "crash", "activation")
SOURCES = ("till", "web")
STRONG = ("crm_id", "loyalty_card", "email")
PEOPLE = [(kind, f"{kind}-{number}") for kind in STRONG for number in range(2)]

# What touchpoints carry together.
TOGETHER: Sequence[tuple[str, ...]] = (
    *(("email",), ("crm_id",), ("crm_id", "email"), ("loyalty_card", "email"), ("crm_id", "loyalty_card")),
    *(("anonymous_id",), ("tablet_id",), ("anonymous_id", "tablet_id"), ("email", "anonymous_id")),
    *(("crm_id", "tablet_id"), ("loyalty_card", "anonymous_id"), ("order_id",), ("ticket_id",)),
    *(("order_id", "email"), ("ticket_id", "tablet_id"), ("order_id", "anonymous_id"), ("ticket_id", "crm_id")),
)
TRAITS = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(worlds.TRAITS), min_size=1)
VALUES = {"anonymous_id": 2, "order_id": 2}


def identifiers(dice: Dice, together: Sequence[str]) -> dict[str, str]:
    return {kind: f"{kind}-{dice.number(0, VALUES.get(kind, 2 if kind in STRONG else 1) - 1)}" for kind in together}


class Seeded(Dice):
    """Choices from one seed: cheaper by far than one by one, and Hypothesis would repeat itself more than people do."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)

    def one(self, of: Sequence[T]) -> T:
        return self._chance.choice(of)

    def some(self, of: Sequence[T], least: int = 0, most: int = 3) -> list[T]:
        return self._chance.sample(of, self.number(least, min(most, len(of))))

    def number(self, least: int, most: int) -> int:
        return self._chance.randint(least, most)

    def rarely(self, times: int = 3) -> bool:
        return self._chance.randrange(times) == 0


SEEDS = st.integers(0, 2**64 - 1)


def touchpoints(*together: Sequence[str], type_: str | None = None) -> st.SearchStrategy[Touchpoint]:
    """Those that carry identifiers of these kinds (of one of these sets); they get their names when they are lived."""

    def touchpoint(seed: int) -> Touchpoint:
        dice = Seeded(seed)
        one = worlds.touchpoint(dice, "")
        received_at = START if dice.rarely() else one.received_at  # in its future, what happens waits for the horizon
        return replace(
            one,
            type=type_ or dice.one([*worlds.TYPES, *worlds.TYPES, "signed_in", "signed_out"]),
            identifiers=identifiers(dice, dice.one(together)),
            received_at=received_at,
        )

    return SEEDS.map(touchpoint)


def definitions(seed: int) -> list[dict[str, Any]]:
    """Two versions of a journey, and now and then another journey beside it."""
    dice = Seeded(seed)
    written = [worlds.document(dice, "first"), worlds.document(dice, "first") | {"version": 2}]
    return [*written, worlds.document(dice, "second")] if dice.rarely() else written


ANY = touchpoints(*TOGETHER)
SOME = st.lists(ANY, min_size=2, max_size=8)
IN_BATCH = st.sampled_from([None, None, None, "touchpoints", "told", "positions", "again"])
IN_TIMERS = st.sampled_from([None, None, "timers"])
IN_COMMANDS = st.sampled_from([None, None, "commands"])
IN_SWITCH = st.sampled_from([None, "switch"])
PAIRS = st.sampled_from([(one, other) for one in PEOPLE for other in PEOPLE if one < other])
WHICH = st.integers(0, 30)
HOURS = st.integers(1, 24)


class Machine(RuleBasedStateMachine):
    """One example: one store from its beginning."""

    place: ClassVar[Place]
    loop: ClassVar[asyncio.Runner]
    seen: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.whole = Whole(self.place)
        self.lived: list[Touchpoint] = []
        self.waiting: list[Touchpoint] = []
        self.sound = False

    def run(self, step: Coroutine[Any, Any, None]) -> None:
        self.sound = False
        self.loop.run(step)
        self.sound = True

    @initialize(documents=SEEDS.map(definitions), hours=st.integers(0, 40))
    def begins(self, documents: list[dict[str, Any]], hours: int) -> None:
        self.run(self.whole.begin(documents, START + hours * HOUR))

    def live(self, *lived: Touchpoint) -> list[Touchpoint]:
        """Give touchpoints their names."""
        first = len(self.lived)
        named = [replace(one, source=SOURCES[n % 2], id=str(n)) for n, one in enumerate(lived, first)]
        self.lived += named
        return named

    def stage(self, batch: Sequence[Touchpoint], crash: str | None = None) -> None:
        if crash == "again":  # died after the commit, before the log knew of it
            self.run(self.whole.stage(batch))
        self.run(self.whole.stage(batch, None if crash == "again" else crash))

    # --- what arrives ---

    @rule(lived=SOME, crash=IN_BATCH)
    def send(self, lived: list[Touchpoint], crash: str | None) -> None:
        self.stage(self.live(*lived), crash)

    @rule(lived=SOME)
    def keep_for_later(self, lived: list[Touchpoint]) -> None:
        self.waiting += self.live(*lived)

    @precondition(lambda self: self.waiting)
    @rule(chance=st.randoms(use_true_random=False), size=st.integers(1, 6), crash=IN_BATCH)
    def send_kept_ones_shuffled(self, chance: Random, size: int, crash: str | None) -> None:
        shuffled = chance.sample(self.waiting, len(self.waiting))
        self.waiting = []
        for first in range(0, len(shuffled), size):
            self.stage(shuffled[first : first + size], crash)

    @precondition(lambda self: self.lived)
    @rule(which=WHICH, other=ANY, crash=IN_BATCH)
    def send_again_with_another_body(self, which: int, other: Touchpoint, crash: str | None) -> None:
        one = self.lived[which % len(self.lived)]
        self.stage([replace(other, source=one.source, id=one.id)], crash)

    @rule(
        one=touchpoints(("email", "tablet_id"), type_="signed_in"),
        out=st.none() | touchpoints(("tablet_id",), type_="signed_out"),
        other=touchpoints(("crm_id", "tablet_id"), type_="signed_in"),
        between=st.lists(touchpoints(("tablet_id",)), max_size=2),
    )
    def take_turns_on_a_tablet(
        self, one: Touchpoint, out: Touchpoint | None, other: Touchpoint, between: list[Touchpoint]
    ) -> None:
        self.stage(self.live(one, *([out] if out else []), other, *between))

    @rule(visits=st.lists(touchpoints(("anonymous_id",)), min_size=1, max_size=3), days=HOURS)
    def visit_and_be_claimed_later(self, visits: list[Touchpoint], days: int) -> None:
        last = max(visits, key=lambda visit: visit.occurred_at)
        at = last.occurred_at + days * HOUR
        sign_in = {"email": "email-0", "anonymous_id": last.identifiers["anonymous_id"]}
        self.stage(self.live(*visits))
        self.stage(self.live(replace(last, type="signed_in", occurred_at=at, received_at=at, identifiers=sign_in)))

    @rule(who=st.sampled_from(PEOPLE), traits=TRAITS, told=ANY)
    def change_traits(self, who: tuple[str, str], traits: dict[str, Any], told: Touchpoint) -> None:
        self.stage(self.live(replace(told, identifiers=dict([who]), traits=traits)))

    @rule(hours=HOURS, crash=IN_TIMERS)
    def let_time_pass(self, hours: int, crash: str | None) -> None:
        self.run(self.whole.let_pass(self.whole.horizon + hours * HOUR, crash))

    @rule(lived=SOME, hours=HOURS, late=SOME, crash=IN_BATCH)
    def tell_late_what_happened_meanwhile(
        self, lived: list[Touchpoint], hours: int, late: list[Touchpoint], crash: str | None
    ) -> None:
        self.stage(self.live(*lived))
        self.run(self.whole.let_pass(self.whole.horizon + 2 * hours * HOUR))
        self.stage(self.live(*late), crash)

    @rule(one=ANY, others=SOME, crash=IN_BATCH)
    def turn_out_not_to_have_been_silent(self, one: Touchpoint, others: list[Touchpoint], crash: str | None) -> None:
        self.stage(self.live(one))
        self.run(self.whole.let_pass(max(self.whole.horizon, one.occurred_at) + 60 * HOUR))
        late = [
            replace(other, identifiers=one.identifiers, occurred_at=one.occurred_at + hours * HOUR)
            for hours, other in enumerate(others, 1)
        ]
        self.stage(self.live(*late), crash)

    # --- what people say ---

    @rule(verb=st.sampled_from([Verb.JOIN, Verb.SPLIT]), pair=PAIRS, crash=IN_COMMANDS)
    def join_or_split(self, verb: Verb, pair: tuple[tuple[str, str], tuple[str, str]], crash: str | None) -> None:
        self.run(self.whole.say(Said(verb, "", "", pair, undone=False), crash))

    @precondition(lambda self: self.lived)
    @rule(which=WHICH, identifier=st.none() | WHICH, crash=IN_COMMANDS)
    def void_or_strike(self, which: int, identifier: int | None, crash: str | None) -> None:
        one = self.lived[which % len(self.lived)]
        verb = Verb.VOID
        struck: tuple[tuple[str, str], ...] = ()
        if identifier is not None:
            carried = sorted(one.identifiers.items())
            verb, struck = Verb.STRIKE, (carried[identifier % len(carried)],)
        self.run(self.whole.say(Said(verb, one.source, one.id, struck, undone=False), crash))

    @precondition(lambda self: self.whole.given)
    @rule(which=WHICH, crash=IN_COMMANDS)
    def undo(self, which: int, crash: str | None) -> None:
        given = list(self.whole.given)
        self.run(self.whole.take_back(given[which % len(given)], crash))

    @rule(crash=IN_SWITCH)
    def activate_the_other_version(self, crash: str | None) -> None:
        self.run(self.whole.activate("first", crash))

    @rule()
    def look(self) -> None:
        self.run(self.whole.check())

    def teardown(self) -> None:
        if self.sound:
            if self.waiting:
                self.stage(self.waiting)
            self.run(self.whole.check())
            self.run(self.whole.let_pass(self.whole.horizon + 100 * HOUR))
            self.run(self.whole.check())
            self.seen["examples"] += 1
            self.seen.update({what for what, times in self.whole.seen.items() if times})


@pytest.fixture
def machine(database_url: str) -> Iterator[type[Machine]]:
    """The state machine on a store that all its examples share."""
    with asyncio.Runner() as loop:
        loop.run(_lightly(database_url))
        place = Place(database_url, compile_journeys([]))

        class OnPlace(Machine):
            pass

        OnPlace.place, OnPlace.loop, OnPlace.seen = place, loop, Counter()
        yield OnPlace
        loop.run(place.close())


async def _lightly(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')  # nothing here is killed
    await connection.close()


def _occurs(seen: Counter[str]) -> None:
    """Each of what the law is about is in at least one example in twenty."""
    assert {what for what in OCCURS if seen[what] < 0.05 * seen["examples"]} == set(), seen


def test_the_store_is_what_the_reference_says(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=12))
    _occurs(machine.seen)


@pytest.mark.long
def test_the_store_is_what_the_reference_says_in_many_more(machine: type[Machine]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=MANY, stateful_step_count=25))
    _occurs(machine.seen)
