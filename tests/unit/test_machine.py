"""What a definition compiles to: who may leave which stage by which rule, and what a persona changes about it."""

from datetime import timedelta
from typing import Any

from journey.machine import Machine
from journey.plan import DEAD_TIME, Edge
from journey.state import ByTouchpoint, JourneyState
from tests.support.stories import DAY_0, LABEL, document, journeys, named, rule

SEEN = rule("sees", "new", "known", on=["seen", "touched"], at_least={"count": 2, "within": "P1D"})
FORGETS = rule("forgets", "won", "new", after="P9D", backward="allow")


def machine(**parts: Any) -> Machine:
    return journeys(document(**parts)).machines["story"]


def here(stage: str, persona: str | None = None) -> JourneyState:
    cause = ByTouchpoint("web", "1", "seen", "website")
    return JourneyState(stage=stage, entered_at=DAY_0, rule="begins", cause=cause, persona=persona)


def edges(compiled: Machine, stage: str, type_: str, persona: str | None = None) -> list[Edge]:
    return list(compiled.edges(here(stage, persona), type_))


def test_a_rule_stands_under_each_of_its_types_in_each_stage_it_leaves() -> None:
    compiled = machine(transitions=[rule("r", ["new", "known"], "won", on=["a", "b"])])
    found = [(stage, type_) for stage in ("new", "known", "won") for type_ in "abc" if edges(compiled, stage, type_)]
    assert found == [("new", "a"), ("new", "b"), ("known", "a"), ("known", "b")]


def test_any_leads_forward_unless_a_backward_policy_says_more() -> None:
    compiled = machine(
        transitions=[
            rule("forward", "any", "known", on="a"),
            rule("both", "any", "known", on="b", backward="deny"),
            rule("again", "any", "known", on="c", run="next"),
        ]
    )
    assert [stage for stage in ("new", "known", "won") if edges(compiled, stage, "a")] == ["new"]
    assert [edge.denied for stage in ("new", "known", "won") for edge in edges(compiled, stage, "b")] == [False, True]
    assert all(edges(compiled, stage, "c")[0].opens_run for stage in ("new", "known", "won"))


def test_a_persona_changes_thresholds_and_durations_and_switches_rules_off() -> None:
    stages = [named(name, phase="during", dead_time="P3D") for name in ("new", "known", "won")]
    eager = named(
        "eager",
        where={"traits.a": 1},
        dead_time={"won": "P1D"},
        transitions={"sees": {"at_least": {"count": 1, "within": "P2D"}}, "forgets": {"after": "P5D"}},
    )
    still = named(
        "still", where={"traits.a": 2}, transitions={"sees": {"disabled": True}, "forgets": {"disabled": True}}
    )
    compiled = machine(stages=stages, transitions=[SEEN, FORGETS], personas=[eager, still])

    def timers(persona: str | None) -> list[tuple[str, int]]:
        return [(timer.rule, timer.after.days) for timer in compiled.timers(here("won", persona))]

    assert timers(None) == [(DEAD_TIME, 3), ("forgets", 9)]
    assert timers("eager") == [(DEAD_TIME, 1), ("forgets", 5)]
    assert timers("still") == [(DEAD_TIME, 3)]
    counts = [edge.at_least.count for edge in edges(compiled, "new", "seen", "eager") if edge.at_least]
    assert (counts, edges(compiled, "new", "seen", "still")) == ([1], [])


def test_a_stage_remembers_what_the_most_demanding_persona_needs() -> None:
    patient = named("patient", where={}, transitions={"sees": {"at_least": {"count": 4, "within": "PT1H"}}})
    compiled = machine(transitions=[SEEN], personas=[patient])
    for persona in (None, "patient"):
        (window,) = compiled.plan(here("new", persona)).windows["touched"]
        assert (window.keep.count, window.keep.within) == (4, timedelta(days=1))


def test_actions_stand_by_priority_and_only_where_stage_and_persona_allow_them() -> None:
    actions = [
        named("low", priority=1, when={}),
        named("high", priority=9, when={"stages": ["won"]}),
        named("theirs", priority=5, when={"personas": ["p"]}),
    ]
    compiled = machine(actions=actions, personas=[named("p", where={"traits.a": 1})])

    def proposals(stage: str, persona: str | None) -> list[str]:
        return [proposal.name for proposal in compiled.plan(here(stage, persona)).proposals]

    assert proposals("new", None) == ["low"]
    assert proposals("won", None) == ["high", "low"]
    assert proposals("won", "p") == ["high", "theirs", "low"]


def test_every_trait_that_a_definition_names_anywhere_is_kept() -> None:
    def where(trait: str) -> dict[str, Any]:
        return {"on": "x", "where": {f"traits.{trait}": 1}}

    compiled = journeys(
        document(
            begins=where("a"),
            transitions=[rule("r", "new", "won", **where("b"))],
            personas=[named("p", where={"traits.c.deep": 1})],
            moments=[named("m", aim="trust", measure=LABEL, **where("d"))],
            pains=[named("q", severity=1, resolved_by=where("f"), **where("e"))],
            objections=[named("o", answered_by=where("h"), **where("g"))],
            measures=[named("z", starts=where("i"), stops=where("j"), budget="P1D")],
            content=[
                {"item": "i", "label": LABEL, "kind": "faq", "stages": ["new"], "call_to_action": LABEL}
                | {"where": where("k")["where"]}
            ],
        )
    )
    assert compiled.traits == set("abcdefghijk")
