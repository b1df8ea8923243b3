"""The fold and the reference, which were written apart, agree."""

from datetime import datetime

from hypothesis import given

from journey.durations import format_duration
from journey.fold import fold
from journey.grammar import Definition, Objection, Pain
from journey.machine import compile_journeys
from journey.outcomes import Fact, Transition
from journey.state import ByTime
from journey.touchpoint import Touchpoint
from tests.properties import strategies as worlds
from tests.properties.reference import Found, Life, Move, live


@given(definitions=worlds.definitions(), history=worlds.histories(), until=worlds.horizons)
def test_the_fold_says_what_the_reference_says(
    definitions: list[Definition], history: list[Touchpoint], until: datetime
) -> None:
    result = fold(compile_journeys(definitions), worlds.in_order(history), until)
    lives = live(definitions, history, until)
    assert set(result.state.journeys) == {life.definition.journey for life in lives}
    for life in lives:
        name = life.definition.journey
        assert [move(one) for one in result.transitions if one.journey == name] == life.moves
        assert [fact(one) for one in result.facts if one.journey == name] == [stated(one) for one in life.facts]
        here = result.state.journeys[name]
        assert (here.persona, here.dead_since is not None, list(here.proposed)) == (
            life.persona, life.is_dead, life.proposed,
        )  # fmt: skip
        assert set(here.open) == open_in(life)


def move(one: Transition) -> Move:
    cause = one.cause.since if isinstance(one.cause, ByTime) else (one.cause.source, one.cause.id)
    return Move(one.journey, one.run, one.from_stage, one.to_stage, one.occurred_at, one.place, one.rule, cause)


def fact(one: Fact) -> tuple[object, ...]:
    return one.journey, one.run, one.kind, one.name, one.stage, one.occurred_at, one.detail.get("lasted")


def stated(one: Found) -> tuple[object, ...]:
    lasted = None if one.lasted is None else format_duration(one.lasted)
    return one.journey, one.run, one.kind, one.name, one.stage, one.at, lasted


def open_in(life: Life) -> set[str]:
    concerns: list[Pain | Objection] = [*life.definition.pains, *life.definition.objections]
    return {concern.name for concern in concerns if life.opened(concern.name)}
