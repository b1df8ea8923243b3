"""A customer's state is a pure function of the set of touchpoints, the definitions and the horizon."""

from datetime import datetime, timedelta

from hypothesis import event, given
from hypothesis import strategies as st

from journey.fold import advance, elapse, fold, next_due
from journey.grammar import Definition, Objection, Pain, Rule
from journey.machine import compile_journeys
from journey.outcomes import Advanced, Fact, Ignored, Late, Rejected, Transition
from journey.state import NOBODY, ByTime, decode_state, encode_state
from journey.touchpoint import Touchpoint, counts_before
from tests.properties import strategies as worlds
from tests.properties.incremental import Customer
from tests.properties.strategies import in_order


@given(
    definitions=worlds.definitions(),
    arrived=worlds.arrivals(),
    cuts=st.lists(st.tuples(st.integers(0, 20), worlds.horizons), max_size=5),
    until=worlds.horizons,
)
def test_any_batching_and_any_order_of_the_same_touchpoints_come_to_the_same(
    definitions: list[Definition],
    arrived: list[Touchpoint],
    cuts: list[tuple[int, datetime]],
    until: datetime,
) -> None:
    journeys = compile_journeys(definitions)
    customer = Customer(journeys, worlds.START)
    begin, reached = 0, worlds.START
    for end, horizon in sorted(cuts):
        reached = max(reached, min(horizon, until))
        customer.batch(arrived[begin:end], reached)
        begin = end
    customer.batch(arrived[begin:], until)
    whole = fold(journeys, in_order(once_each(arrived)), until)
    event(f"folded again {min(customer.folds_again, 3)} times, {min(len(whole.transitions), 5)} transitions")
    assert customer.row == encode_state(whole.state)
    assert customer.transitions == list(whole.transitions)
    assert customer.facts == list(whole.facts)


@given(definitions=worlds.definitions(), history=worlds.histories(), horizon=worlds.horizons)
def test_a_refused_touchpoint_leaves_the_state_byte_identical(
    definitions: list[Definition], history: list[Touchpoint], horizon: datetime
) -> None:
    journeys = compile_journeys(definitions)
    state = NOBODY
    for touchpoint in history:  # in the order in which they come
        before = encode_state(state)
        outcome = advance(journeys, state, touchpoint, horizon)
        assert encode_state(state) == before
        if isinstance(outcome, Advanced):
            state = outcome.state
            assert isinstance(advance(journeys, state, touchpoint, horizon), Ignored)
        else:
            assert isinstance(outcome, Late if touchpoint.occurred_at <= horizon else Rejected)
            assert outcome.reason


@given(
    definitions=worlds.definitions(),
    history=worlds.histories(),
    steps=st.lists(worlds.horizons, max_size=6),
    until=worlds.horizons,
)
def test_time_that_passes_in_one_step_or_in_many_does_the_same(
    definitions: list[Definition], history: list[Touchpoint], steps: list[datetime], until: datetime
) -> None:
    journeys = compile_journeys(definitions)
    before = fold(journeys, in_order(history), worlds.START + 20 * worlds.HOUR).state
    at_once = elapse(journeys, before, until)
    state = before
    transitions: list[Transition] = []
    facts: list[Fact] = []
    for step in sorted([*(step for step in steps if step < until), until]):
        advanced = elapse(journeys, state, step)
        state = advanced.state
        transitions += advanced.transitions
        facts += advanced.facts
    assert encode_state(state) == encode_state(at_once.state)
    assert (transitions, facts) == (list(at_once.transitions), list(at_once.facts))


@given(definitions=worlds.definitions(), history=worlds.histories(), until=worlds.horizons)
def test_time_does_what_is_due_at_the_instant_it_is_due_and_not_before(
    definitions: list[Definition], history: list[Touchpoint], until: datetime
) -> None:
    journeys = compile_journeys(definitions)
    state = fold(journeys, in_order(history), until).state
    for _ in range(6):
        due = next_due(journeys, state)
        if due is None:
            assert elapse(journeys, state, until + timedelta(days=1000)).state == state
            return
        assert due > until
        too_early = elapse(journeys, state, due - timedelta(microseconds=1))
        assert encode_state(too_early.state) == encode_state(state)
        on_time = elapse(journeys, state, due)
        assert on_time.transitions or on_time.facts
        assert {one.occurred_at for one in on_time.transitions} | {one.occurred_at for one in on_time.facts} == {due}
        state = on_time.state
        until = due


@given(definitions=worlds.definitions(), history=worlds.histories(), until=worlds.horizons)
def test_each_transition_goes_on_where_the_one_before_it_ended_and_says_why(
    definitions: list[Definition], history: list[Touchpoint], until: datetime
) -> None:
    journeys = compile_journeys(definitions)
    ids = {(touchpoint.source, touchpoint.id): touchpoint for touchpoint in history}
    result = fold(journeys, in_order(history), until)
    for name, here in result.state.journeys.items():
        made = [transition for transition in result.transitions if transition.journey == name]
        assert [one.from_stage for one in made] == [None, *(one.to_stage for one in made[:-1])]
        assert [(one.occurred_at, one.place) for one in made] == sorted({(one.occurred_at, one.place) for one in made})
        assert (here.stage, here.entered_at, here.place) == (made[-1].to_stage, made[-1].occurred_at, made[-1].place)
        assert (here.rule, here.cause, here.run, here.stays) == (
            made[-1].rule, made[-1].cause, made[-1].run, len(made) - 1,
        )  # fmt: skip
        for one in made:
            if isinstance(one.cause, ByTime):
                assert one.cause.since + one.cause.after <= one.occurred_at
            else:
                assert ids[one.cause.source, one.cause.id].occurred_at == one.occurred_at
    assert len({one.id for one in result.transitions}) == len(result.transitions)
    assert result.state.facts == len(result.facts)


@given(definitions=worlds.definitions(), history=worlds.histories(), until=worlds.horizons)
def test_a_state_is_read_back_as_it_was_written_and_goes_on_alike(
    definitions: list[Definition], history: list[Touchpoint], until: datetime
) -> None:
    journeys = compile_journeys(definitions)
    result = fold(journeys, in_order(history), until)
    again = decode_state(encode_state(result.state))
    assert again == result.state
    assert encode_state(again) == encode_state(result.state)
    later = until + timedelta(days=3)
    assert elapse(journeys, again, later) == elapse(journeys, result.state, later)


@given(definitions=worlds.definitions(), history=worlds.histories(), until=worlds.horizons)
def test_the_order_of_the_definitions_does_not_matter(
    definitions: list[Definition], history: list[Touchpoint], until: datetime
) -> None:
    shuffled = definitions[::-1]
    one = fold(compile_journeys(definitions), in_order(history), until)
    other = fold(compile_journeys(shuffled), in_order(history), until)
    assert encode_state(one.state) == encode_state(other.state)
    assert one == other


@given(definitions=worlds.definitions(), history=worlds.histories(most=8), times=st.integers(20, 40))
def test_a_state_does_not_grow_with_the_length_of_history(
    definitions: list[Definition], history: list[Touchpoint], times: int
) -> None:
    journeys = compile_journeys(definitions)
    sizes = []
    touchpoints = [
        repeated(touchpoint, round_ * timedelta(hours=worlds.LAST_HOUR + 1), f"{round_}")
        for round_ in range(times)
        for touchpoint in in_order(history)
    ]
    state = NOBODY
    for touchpoint in in_order(touchpoints):
        outcome = advance(journeys, state, touchpoint)
        assert isinstance(outcome, Advanced)
        state = outcome.state
        sizes.append(len(encode_state(state)))
    assert max(sizes, default=0) <= bound(definitions)


def bound(definitions: list[Definition]) -> int:
    """Bytes that a state can have, told from the definitions alone: so much a window's instant, so much a name."""
    instant, name, cause = 16, 16, 160
    per_customer = 200
    for definition in definitions:
        counted: list[Rule | Pain | Objection] = [
            *definition.transitions, *definition.pains, *definition.objections,
        ]  # fmt: skip
        counts = [one.at_least.count for one in counted if one.at_least]
        overrides = [change.at_least.count for persona in definition.personas
                     for change in persona.transitions.values() if change.at_least]  # fmt: skip
        parts = len(counted) + len(definition.measures) * 2 + len(definition.actions)
        per_customer += 200 + cause + (sum(counts) + sum(overrides)) * instant + parts * (name + instant)
    return per_customer


def repeated(touchpoint: Touchpoint, later: timedelta, suffix: str) -> Touchpoint:
    at = touchpoint.occurred_at + later
    return Touchpoint(
        source=touchpoint.source,
        id=f"{touchpoint.id}-{suffix}",
        type=touchpoint.type,
        occurred_at=at,
        received_at=at,
        channel=touchpoint.channel,
        sequence=touchpoint.sequence,
        initiator=touchpoint.initiator,
        identifiers=touchpoint.identifiers,
        traits=touchpoint.traits,
        properties=touchpoint.properties,
    )


def once_each(arrived: list[Touchpoint]) -> list[Touchpoint]:
    """Of all copies of an event, the one that counts."""
    kept: dict[tuple[str, str], Touchpoint] = {}
    for touchpoint in arrived:
        key = (touchpoint.source, touchpoint.id)
        if key not in kept or counts_before(touchpoint, kept[key]):
            kept[key] = touchpoint
    return list(kept.values())
