"""Transitions name themselves by what they say; states have one form."""

from typing import Any

import msgspec

from journey.outcomes import Transition
from journey.state import NOBODY, ByTime, ByTouchpoint, decode_state, encode_state
from tests.support.stories import at, document, named, rule, told, touchpoint

TRANSITION = Transition(
    journey="customer-journey",
    version=1,
    run=1,
    from_stage="decision",
    to_stage="loyalty",
    occurred_at=at(1),
    place=0,
    rule="first_purchase",
    cause=ByTouchpoint("till", "42", "order_completed", "store"),
)


def test_an_id_is_the_same_for_ever() -> None:
    """Receivers keep these ids: a change here would send everyone everything again."""
    assert TRANSITION.id.hex() == "5c568bfcdf7a72956b2c6b44e78ccb43"
    assert len(TRANSITION.id) == 16


def test_whatever_a_transition_says_is_in_its_id() -> None:
    others: list[dict[str, Any]] = [
        {"journey": "drive"}, {"version": 2}, {"run": 2}, {"from_stage": None}, {"to_stage": "x"}, {"rule": "x"},
        {"occurred_at": at(2)}, {"place": 1}, {"cause": ByTouchpoint("till", "43", "order_completed", "store")},
        {"cause": ByTime("silence", at(0), at(1) - at(0))},
    ]  # fmt: skip
    ids = {msgspec.structs.replace(TRANSITION, **parts).id for parts in others}
    assert len(ids | {TRANSITION.id}) == len(others) + 1


def test_a_transition_folded_again_has_the_same_id() -> None:
    written = document(transitions=[rule("leaves", "new", "won", after="P3D")])
    one, other = (told(written, [touchpoint("seen")], at(days)) for days in (5, 9))
    assert [transition.id for transition in one.transitions] == [transition.id for transition in other.transitions]


def test_nothing_known_is_written_as_nothing_much_and_no_bytes_are_nobody() -> None:
    assert decode_state(encode_state(NOBODY)) == NOBODY
    assert decode_state(b"") is NOBODY
    assert len(encode_state(NOBODY)) == 1


def test_states_of_the_same_life_have_the_same_bytes_whatever_order_things_were_noted_in() -> None:
    pains = [named(name, on=name, severity=1, resolved_by={"on": "never"}) for name in "ab"]
    written = document(pains=pains, personas=[named("p", where={"traits.x": 1, "traits.y": 1})])
    story = [touchpoint("b", traits={"y": {"m": 1, "k": 2}}), touchpoint("a", at(1), traits={"x": 1})]
    state = told(written, story, at(2)).state
    again = msgspec.structs.replace(
        state,
        traits={"x": 1, "y": {"k": 2, "m": 1}},
        journeys={"story": msgspec.structs.replace(state.journeys["story"], open={"a": at(1), "b": at(0)})},
    )
    assert encode_state(again) == encode_state(state)
