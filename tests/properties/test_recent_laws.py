"""What a customer's row remembers is worth their whole history: states, and all that is told, come out the same."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from journey import recent as recents
from journey.fold import elapse, fold
from journey.grammar import Definition
from journey.machine import Journeys, compile_journeys
from journey.outcomes import Fact, Transition
from journey.state import decode_state, encode_state
from journey.touchpoint import Touchpoint
from plumbing.store.customers import Row
from plumbing.store.told import Stay, Told
from services.stager.differences import Change, Difference, went_on, went_over
from services.stager.folding import Folded, fold_again, let_pass, take
from tests.properties import strategies as worlds
from tests.properties.strategies import in_order

NOBODY = Row(b"", b"", None, waiting=False)


@dataclass
class Customer:
    """A customer's rows as the stager keeps them, without a database. `remembers` False: what is late reads history."""

    journeys: Journeys
    remembers: bool
    row: Row = NOBODY
    history: list[Touchpoint] = field(default_factory=list)
    told: dict[bytes, Told] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    stays: dict[tuple[str, int], Stay] = field(default_factory=dict)
    from_row: int = 0
    from_history: int = 0

    def batch(self, fresh: Iterable[Touchpoint], horizon: datetime) -> tuple[list[bytes], list[bytes]]:
        """One transaction. Returns what is taken back and what is told."""
        fresh = in_order(list(fresh))
        self.history = in_order([*self.history, *fresh])
        if not self.remembers:
            self.row = self.row._replace(recent=b"")
        folded = take(self.journeys, self.row, fresh, horizon) if fresh or self.row.waiting else self._pass(horizon)
        if folded is None:
            self.from_history += 1
            folded = fold_again(self.journeys, self.row, self.history, horizon)
        else:
            self.from_row += folded.again is not None
        found = self._difference(folded)
        due_at = min((at for at in (folded.due_at, folded.waits_until) if at is not None), default=None)
        state = encode_state(folded.state) if folded.state.last else b""
        self.row = Row(state, folded.recent, due_at, folded.waits_until is not None)
        return self._write(found)

    def _pass(self, horizon: datetime) -> Folded:
        state = decode_state(self.row.state)
        return let_pass(self.journeys, Folded(state, (), (), None, None, recent=self.row.recent), horizon)

    def _difference(self, folded: Folded) -> Difference:
        change = Change(0, decode_state(self.row.state), folded)
        again = folded.again
        if again is None:
            return went_on(change)
        live = sorted(self.told.values(), key=lambda one: (one.occurred_at, one.journey, one.place))
        since = [one for one in live if again.last is None or one.occurred_at >= again.last.occurred_at]
        return went_over(change, again, since, self.facts[again.facts :])

    def _write(self, found: Difference) -> tuple[list[bytes], list[bytes]]:
        for gone in found.retracted:
            del self.told[gone.id]
        assert not self.told.keys() & {one.id for one in found.added}
        self.told |= {one.id: as_told(one) for one in found.added}
        for journey, place in found.stays_gone.items():
            self.stays = {key: stay for key, stay in self.stays.items() if key[0] != journey or key[1] < place}
            self._leave(journey, place - 1, None)
        for stay in found.stays:
            assert (stay.journey, stay.place) not in self.stays
            self._leave(stay.journey, stay.place - 1, stay.entered_at)
            self.stays[stay.journey, stay.place] = stay
        del self.facts[len(self.facts) if found.facts_gone is None else found.facts_gone :]
        assert not found.facts or found.facts_from == len(self.facts)
        self.facts += found.facts
        return [one.id for one in found.retracted], [one.id for one in found.added]

    def _leave(self, journey: str, place: int, at: datetime | None) -> None:
        if place >= 0:
            self.stays[journey, place] = self.stays[journey, place]._replace(left_at=at)


def waiting(history: list[Touchpoint]) -> list[Touchpoint]:
    """The same, but that every other one lay in the future when it was received."""
    return [replace(one, received_at=one.occurred_at - worlds.HOUR) for one in history[::2]] + history[1::2]


def as_told(one: Transition) -> Told:
    return Told(one.id, one.place, one.journey, one.run, one.from_stage, one.to_stage, one.occurred_at, one.rule)


def stays_of(transitions: Iterable[Transition]) -> set[Stay]:
    """The stays that a whole history of transitions makes."""
    by_journey: dict[str, list[Transition]] = {}
    for one in transitions:
        by_journey.setdefault(one.journey, []).append(one)
    return {
        Stay(0, journey, place, move.run, move.to_stage, move.occurred_at, end)
        for journey, moves in by_journey.items()
        for place, (move, end) in enumerate(zip(moves, [*(m.occurred_at for m in moves[1:]), None], strict=True))
    }


cuts = st.lists(st.tuples(st.integers(0, 20), worlds.horizons), max_size=10)


@pytest.mark.parametrize("room", [384, 90], ids=["some touchpoints", "two or three"])
@given(
    definitions=worlds.definitions(),
    history=worlds.histories(),
    order=st.randoms(use_true_random=False),
    disorder=st.integers(0, 20),
    cuts=cuts,
    ahead=st.booleans(),
)
def test_what_a_row_remembers_says_the_same_as_the_whole_history(
    definitions: list[Definition],
    history: list[Touchpoint],
    order: Random,
    disorder: int,
    cuts: list[tuple[int, datetime]],
    ahead: bool,
    room: int,
) -> None:
    """Whatever the order and the batches; after each batch what is told and taken back is the same, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recents, "LEAST_BYTES", room)
        patch.setattr(recents, "ROW_BYTES", 0)
        _says_the_same(compile_journeys(definitions), waiting(history) if ahead else history, order, disorder, cuts)


def _says_the_same(
    journeys: Journeys, history: list[Touchpoint], order: Random, disorder: int, cuts: list[tuple[int, datetime]]
) -> None:
    places = {one.id: place + order.uniform(0, disorder) for place, one in enumerate(in_order(history))}
    arriving = sorted(history, key=lambda one: places[one.id])
    remembering, forgetful = Customer(journeys, remembers=True), Customer(journeys, remembers=False)
    begin, horizon = 0, worlds.START
    end_of_time = worlds.START + 200 * worlds.HOUR
    for end, until in [*sorted(cuts), (len(arriving), end_of_time), (len(arriving), end_of_time)]:
        horizon = max(horizon, until)
        batch = arriving[begin:end]
        begin = max(begin, end)
        assert remembering.batch(batch, horizon) == forgetful.batch(batch, horizon)
        assert remembering.row._replace(recent=b"") == forgetful.row._replace(recent=b"")
        assert remembers_all(remembering)
    whole = fold(journeys, in_order(history), horizon)
    assert remembering.row.state == (encode_state(whole.state) if history else b"")
    assert remembering.told == {one.id: as_told(one) for one in whole.transitions}
    assert remembering.facts == forgetful.facts == list(whole.facts)
    assert set(remembering.stays.values()) == set(forgetful.stays.values()) == stays_of(whole.transitions)
    event(f"from the row {min(remembering.from_row, 3)} times, from history {min(remembering.from_history, 3)} times")


def remembers_all(customer: Customer) -> bool:
    """Whether what the row remembers are states that were, and every touchpoint since."""
    recent, journeys = customer.row.recent, customer.journeys
    past = recents.past(recent, None) if recent else None
    while past is not None:
        last, fired_at = past.state.last, past.state.fired_at
        before = [one for one in customer.history if last and one.order <= last]
        after = [one for one in customer.history if not last or one.order > last]
        reached = max(last.occurred_at, fired_at or last.occurred_at) if last else worlds.START
        here = elapse(journeys, past.state, reached).state  # what is due at that very instant may not have fired yet
        assert encode_state(here) == encode_state(fold(journeys, before, reached).state)
        assert [one.order for one in past.touchpoints] == [one.order for one in after]
        past = recents.past(recent, last) if past.older else None
    return True
