"""Stories that the fold must get right, one rule of the grammar each."""

from datetime import datetime
from typing import Any

import pytest

from journey.fold import advance, elapse, fold, next_due
from journey.outcomes import Advanced, Ignored, Late, Rejected
from journey.state import NOBODY, ByTime, ByTouchpoint, encode_state
from journey.touchpoint import Touchpoint
from tests.support.stories import LABEL, at, document, facts, journeys, named, path, rule, told, touchpoint

END = at(days=30)
SEES = rule("sees", "new", "known", on="seen")
BUYS = rule("buys", ["new", "known"], "won", on="bought")
TWICE = rule("twice", "new", "known", on="seen", at_least={"count": 2, "within": "P7D"})


def test_a_journey_begins_with_the_first_touchpoint_and_may_go_on_with_it_at_once() -> None:
    outcome = told(document(transitions=[BUYS]), [touchpoint("bought")], END)
    first, second = outcome.transitions
    assert (first.from_stage, first.to_stage, first.rule, first.place) == (None, "new", "begins", 0)
    assert (second.from_stage, second.to_stage, second.rule, second.place) == ("new", "won", "buys", 1)
    assert first.cause == second.cause == ByTouchpoint("web", touchpoint("bought").id, "bought", "website")


def test_a_journey_that_says_what_it_begins_with_waits_for_it() -> None:
    written = document(transitions=[SEES], begins={"on": "asked", "where": {"channel": "store"}})
    story = [touchpoint("seen", at(1)), touchpoint("asked", at(2)), touchpoint("asked", at(3), channel="store")]
    assert [one.occurred_at for one in told(written, story, END).transitions] == [at(3)]


def test_the_first_rule_that_holds_wins_and_one_touchpoint_makes_one_transition() -> None:
    written = document(transitions=[SEES, rule("later", ["new", "known"], "won", on="seen")])
    assert path(told(written, [touchpoint("seen")], END)) == ["new", "known"]
    assert path(told(written, [touchpoint("seen"), touchpoint("seen", at(1))], END)) == ["new", "known", "won"]


def test_the_touchpoint_that_begins_the_journey_does_not_count_towards_at_least() -> None:
    story = [touchpoint("seen", at(day)) for day in range(3)]
    assert path(told(document(transitions=[TWICE]), story[:2], END)) == ["new"]
    assert path(told(document(transitions=[TWICE]), story, END)) == ["new", "known"]


@pytest.mark.parametrize(("hours", "stages"), [(7 * 24, ["new", "known"]), (7 * 24 + 0.001, ["new"])])
def test_a_window_includes_both_its_ends(hours: float, stages: list[str]) -> None:
    story = [touchpoint("begun"), touchpoint("seen", at(1)), touchpoint("seen", at(1, hours))]
    assert path(told(document(transitions=[TWICE]), story, END)) == stages


def test_a_rule_counts_also_what_an_earlier_rule_denied() -> None:
    denies = rule("denies", "won", "new", on="seen", backward="deny")
    twice = rule("twice", "won", "known", on="seen", at_least={"count": 2, "within": "P7D"}, backward="allow")
    unless = {**denies, "where": {"channel": "store"}}
    story = [touchpoint("bought"), touchpoint("seen", at(1), channel="store"), touchpoint("seen", at(2))]
    outcome = told(document(transitions=[BUYS, unless, twice]), story, END)
    assert path(outcome) == ["new", "won", "known"]
    assert [(fact.name, fact.occurred_at) for fact in facts(outcome, "denied")] == [("denies", at(1))]


def test_counting_starts_anew_in_each_stage() -> None:
    written = document(
        transitions=[
            rule("up", "new", "known", on="asked"),
            rule("down", "known", "new", on="left", backward="allow"),
            {**TWICE, "rule": "wins", "to": "won"},
        ]
    )
    story = ["begun", "seen", "asked", "left", "seen"]
    outcome = told(written, [touchpoint(type_, at(day)) for day, type_ in enumerate(story)], END)
    assert path(outcome) == ["new", "known", "new"]


def test_a_second_purchase_opens_the_next_run_and_moves_nobody_back() -> None:
    written = document(
        transitions=[BUYS, rule("again", "won", "known", on="asked", run="next")],
        measures=[named("decision", starts={"on": "asked"}, stops={"on": "bought"}, budget="P1D")],
    )
    story = [touchpoint("asked"), touchpoint("bought", at(1)), touchpoint("asked", at(5)), touchpoint("bought", at(8))]
    outcome = told(written, story, END)
    assert [(one.to_stage, one.run) for one in outcome.transitions] == [
        ("new", 1),
        ("won", 1),
        ("known", 2),
        ("won", 2),
    ]
    measured = [(fact.run, fact.detail) for fact in facts(outcome, "measured")]
    assert measured == [
        (1, {"lasted": "P1D", "budget": "P1D", "within_budget": True}),
        (2, {"lasted": "P3D", "budget": "P1D", "within_budget": False}),
    ]


def test_silence_counts_from_the_customer_s_own_touchpoints_only() -> None:
    written = document(transitions=[rule("leaves", "new", "won", after="P3D")])
    story = [touchpoint("seen"), touchpoint("mailed", at(2), initiator="company")]
    outcome = told(written, story, END)
    assert outcome.transitions[1].occurred_at == at(3)
    assert outcome.transitions[1].cause == ByTime("silence", at(0), at(3) - at(0))


def test_a_timer_of_the_stage_does_not_care_who_speaks() -> None:
    written = document(transitions=[rule("leaves", "new", "won", after="P3D", of="stage")])
    outcome = told(written, [touchpoint("seen", at(day)) for day in range(6)], END)
    assert outcome.transitions[1].occurred_at == at(3)


def test_a_timer_fires_before_a_touchpoint_of_the_same_instant() -> None:
    written = document(
        transitions=[rule("leaves", "new", "known", after="P3D"), rule("buys", "known", "won", on="bought")]
    )
    assert path(told(written, [touchpoint("seen"), touchpoint("bought", at(3))], END)) == ["new", "known", "won"]


def test_dead_time_is_told_once_a_silence_and_ends_with_the_customer_s_next_word() -> None:
    stages = [named("new", phase="before", dead_time="P2D")]
    actions = [named("remind", priority=1, when={"dead_time": True})]
    story = [touchpoint("seen"), touchpoint("mailed", at(3), initiator="company"), touchpoint("seen", at(5))]
    outcome = told(document(stages=stages, actions=actions), story, at(20))
    assert [(fact.kind, fact.occurred_at) for fact in outcome.facts] == [
        ("dead_time", at(2)),
        ("action_proposed", at(2)),
        ("action_withdrawn", at(5)),
        ("dead_time", at(7)),
        ("action_proposed", at(7)),
    ]
    assert outcome.state.journeys["story"].dead_since == at(7)


LEAVES = rule("leaves", "new", "won", after="P3D", of="stage")


def patient(**transitions: Any) -> dict[str, Any]:
    """The persona of the over-sixties, for whom rules are other."""
    return named("patient", where={"traits.age": {"gte": 60}}, transitions=transitions)


def test_a_late_trait_changes_the_persona_and_its_timers_count_from_the_stage_s_entry() -> None:
    written = document(transitions=[LEAVES], personas=[patient(leaves={"after": "P9D"})])
    outcome = told(written, [touchpoint("seen"), touchpoint("told", at(2), traits={"age": 70})], END)
    assert outcome.transitions[1].occurred_at == at(9)
    assert [(fact.name, fact.occurred_at) for fact in facts(outcome, "persona")] == [("patient", at(2))]


def test_a_timer_that_a_change_of_persona_makes_overdue_fires_at_the_change_and_never_before() -> None:
    written = document(transitions=[LEAVES], personas=[patient(leaves={"after": "P9D"})])
    story = [touchpoint("seen", traits={"age": 70}), touchpoint("told", at(5), traits={"age": None})]
    outcome = told(written, story, END)
    assert (outcome.transitions[1].occurred_at, outcome.transitions[1].cause) == (
        at(5), ByTime("stage", at(0), at(3) - at(0)),
    )  # fmt: skip


def test_what_was_counted_before_the_persona_changed_still_counts() -> None:
    story = [touchpoint("begun"), touchpoint("seen", at(1)), touchpoint("told", at(2), traits={"age": 70})]
    story += [touchpoint("seen", at(3)), touchpoint("seen", at(4))]
    thrice = patient(twice={"at_least": {"count": 3, "within": "P9D"}})
    outcome = told(document(transitions=[TWICE], personas=[thrice]), story, END)
    assert outcome.transitions[1].occurred_at == at(4)


@pytest.mark.parametrize("value", [True, 1, "1"])
def test_a_trait_is_what_was_told_last_true_and_1_being_different(value: Any) -> None:
    story = [
        touchpoint("seen", traits={"a": 1 if value is True else True}),
        touchpoint("seen", at(1), traits={"a": value}),
    ]
    state = told(document(personas=[named("p", where={"traits.a": 5})]), story, END).state
    assert state.traits == {"a": value}
    assert type(state.traits["a"]) is type(value)


def test_only_traits_that_a_definition_names_are_kept() -> None:
    written = document(personas=[named("p", where={"traits.a": 5})])
    assert told(written, [touchpoint("seen", traits={"a": 1, "b": 2})], END).state.traits == {"a": 1}


def test_a_pain_opens_when_it_has_happened_often_enough_and_stays_open_until_it_is_resolved() -> None:
    pain = named("fails", on="failed", at_least={"count": 2, "within": "PT1H"}, severity=5, resolved_by={"on": "paid"})
    help_ = named("help", priority=1, when={"pains": ["fails"]})
    story = [touchpoint("failed", at(hours=hour)) for hour in (0, 2, 2.5, 3)] + [touchpoint("paid", at(hours=4))]
    story.append(touchpoint("failed", at(hours=4.1)))
    outcome = told(document(pains=[pain], actions=[help_]), story, END)
    assert [(fact.kind, fact.occurred_at, fact.detail) for fact in outcome.facts] == [
        ("pain_opened", at(hours=2.5), {}),
        ("action_proposed", at(hours=2.5), {}),
        ("pain_resolved", at(hours=4), {"lasted": "PT1H30M"}),
        ("action_withdrawn", at(hours=4), {}),
    ]
    assert outcome.state.journeys["story"].open == {}


def test_the_touchpoint_that_resolves_a_pain_may_be_the_first_to_raise_it_again() -> None:
    pain = named("fails", on="failed", at_least={"count": 2, "within": "P1D"}, severity=5, resolved_by={"on": "failed"})
    story = [touchpoint("failed", at(hours=hour)) for hour in range(4)]
    found = [(fact.kind, fact.occurred_at) for fact in told(document(pains=[pain]), story, END).facts]
    assert found == [("pain_opened", at(hours=1)), ("pain_resolved", at(hours=2)), ("pain_opened", at(hours=3))]


def test_the_drive_adds_up_active_time_once_all_its_parts_are_known() -> None:
    measures = [
        named("order", starts={"on": "began"}, stops={"on": "ordered"}, budget="PT35M"),
        named("pickup", starts={"on": "arrived"}, stops={"on": "left"}, budget="PT5M"),
        named("active", sum_of=["order", "pickup"], budget="PT41M"),
    ]
    story = [touchpoint("began"), touchpoint("ordered", at(minutes=36)), touchpoint("arrived", at(1))]
    outcome = told(document(measures=measures), [*story, touchpoint("left", at(1, minutes=5))], END)
    assert [(fact.name, fact.detail["lasted"], fact.detail["within_budget"]) for fact in outcome.facts] == [
        ("order", "PT36M", False),
        ("pickup", "PT5M", True),
        ("active", "PT41M", True),
    ]


def test_a_touchpoint_that_ends_two_parts_adds_them_up_once() -> None:
    ends = {"stops": {"on": "left"}, "budget": "P1D"}
    measures = [named("a", starts={"on": "x"}, **ends), named("b", starts={"on": "y"}, **ends)]
    measures.append(named("both", sum_of=["a", "b"], budget="P1D"))
    story = [touchpoint("x"), touchpoint("y", at(hours=1)), touchpoint("left", at(hours=3))]
    story += [touchpoint("x", at(1)), touchpoint("y", at(1)), touchpoint("left", at(1, 1))]
    found = [(fact.name, fact.detail["lasted"]) for fact in told(document(measures=measures), story, END).facts]
    assert found == [("a", "PT3H"), ("b", "PT2H"), ("both", "PT5H"), ("a", "PT1H"), ("b", "PT1H"), ("both", "PT2H")]


def test_journeys_run_side_by_side_and_timers_of_one_instant_go_by_name() -> None:
    leaves = rule("leaves", "new", "won", after="P3D")
    both = journeys(document(journey="b", transitions=[leaves]), document(journey="a", transitions=[leaves]))
    outcome = fold(both, [touchpoint("seen")], END)
    assert [(one.journey, one.to_stage) for one in outcome.transitions] == [
        ("a", "new"), ("b", "new"), ("a", "won"), ("b", "won"),
    ]  # fmt: skip


STORY = journeys(document(transitions=[SEES, BUYS, rule("forgets", "known", "new", after="P3D", backward="allow")]))


@pytest.mark.parametrize(
    ("late", "horizon", "refusal"),
    [
        (touchpoint("seen", at(1)), None, Ignored),
        (touchpoint("bought", at(0.5)), None, Late),
        (touchpoint("bought", at(1), source="app"), None, Late),
        (touchpoint("bought", at(3.5)), None, Late),
        (touchpoint("bought", at(9)), at(8), Rejected),
    ],
)
def test_a_move_that_is_not_allowed_changes_nothing_and_says_why(
    late: Touchpoint, horizon: datetime | None, refusal: type
) -> None:
    state = fold(STORY, [touchpoint("seen", at(1))], at(5)).state
    before = encode_state(state)
    outcome = advance(STORY, state, late, horizon)
    assert type(outcome) is refusal
    assert isinstance(outcome, Ignored | Late | Rejected)
    assert outcome.reason
    assert encode_state(state) == before


def test_what_waits_beyond_the_horizon_says_by_how_much() -> None:
    outcome = advance(STORY, NOBODY, touchpoint("seen", at(2)), at(1))
    assert outcome == Rejected(by=at(1) - at(0))


def test_time_before_the_first_touchpoint_does_nothing() -> None:
    assert elapse(STORY, NOBODY, END) == Advanced(NOBODY)
    assert next_due(STORY, NOBODY) is None


def test_a_journey_that_is_no_longer_in_force_is_left_alone() -> None:
    state = fold(STORY, [touchpoint("seen")], at(1)).state
    other = journeys(document(journey="other"))
    advanced = advance(other, state, touchpoint("seen", at(20)))
    assert isinstance(advanced, Advanced)
    assert advanced.state.journeys["story"] == state.journeys["story"]
    assert next_due(other, advanced.state) is None


def test_moments_of_truth_are_noted_in_the_stage_where_they_leave_the_customer() -> None:
    moment = named("try_on", on="seen", where={"channel": "store"}, aim="trust", measure=LABEL)
    outcome = told(document(transitions=[SEES], moments=[moment]), [touchpoint("seen", channel="store")], END)
    assert [(fact.kind, fact.name, fact.stage) for fact in outcome.facts] == [("moment", "try_on", "known")]
