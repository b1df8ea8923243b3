"""A definition is read only when it holds together; each fault has its pointer and a sentence one can act on."""

from typing import Any

import pytest

from journey.definition import parse, to_json
from journey.errors import Fault, InvalidDefinition
from journey.machine import compile_journeys
from tests.support.stories import LABEL, document, named, rule, text

BUYS = rule("buys", "new", "won", on="bought")
COUNTS = rule("counts", "new", "known", on="seen", at_least={"count": 2, "within": "P1D"})
FORGETS = rule("forgets", "won", "new", after="P9D", backward="allow")
MATCH = {"on": "seen"}


def faults(**parts: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDefinition) as refused:
        parse(text(document(**parts)))
    assert str(refused.value) == "; ".join(map(str, refused.value.faults))
    return [(fault.pointer, fault.detail) for fault in refused.value.faults]


def test_what_holds_together_is_read_and_written_back() -> None:
    written = document(transitions=[BUYS, COUNTS, FORGETS])
    definition = parse(text(written))
    assert [one.rule for one in definition.transitions] == ["buys", "counts", "forgets"]
    assert parse(to_json(definition).decode()) == definition


@pytest.mark.parametrize(
    ("parts", "pointer", "detail"),
    [
        ({"journey": "Two Words"}, "/journey", "expected lower-case letters, digits and hyphens"),
        ({"version": 0}, "/version", "expected a whole number from 1"),
        (
            {"stages": [named(f"s{i}", phase="after") for i in range(101)], "initial": "s0"},
            "/stages",
            "from 1 to 100 stages",
        ),
        ({"initial": "nowhere"}, "/initial", "there is no stage 'nowhere'"),
        ({"transitions": [BUYS, BUYS]}, "/transitions/1/rule", "'buys' stands twice"),
        (
            {"transitions": [{**BUYS, "rule": "Buys!"}]},
            "/transitions/0/rule",
            "expected lower-case letters, digits and underscores",
        ),
        (
            {"transitions": [{**BUYS, "rule": "begins"}]},
            "/transitions/0/rule",
            "the rule by which every journey begins",
        ),
        (
            {"transitions": [{**BUYS, "rule": "dead_time"}]},
            "/transitions/0/rule",
            "the timer that finds a silence too long",
        ),
        ({"transitions": [{**BUYS, "to": "x"}]}, "/transitions/0/to", "there is no stage 'x'"),
        ({"transitions": [{**BUYS, "from": "x"}]}, "/transitions/0/from", "there is no stage 'x'"),
        ({"transitions": [{**BUYS, "from": ["new", "x"]}]}, "/transitions/0/from/1", "there is no stage 'x'"),
        ({"transitions": [{**BUYS, "from": ["new", "new"]}]}, "/transitions/0/from/1", "'new' stands twice"),
        ({"transitions": [{**BUYS, "on": []}]}, "/transitions/0/on", "expected at least one touchpoint type"),
        ({"transitions": [{**BUYS, "on": ["a", "a"]}]}, "/transitions/0/on/1", "'a' stands twice"),
        ({"transitions": [{**BUYS, "on": "a\u0007"}]}, "/transitions/0/on", "touchpoint types of 1 to 128 characters"),
        (
            {"transitions": [{**BUYS, "after": "P1D"}]},
            "/transitions/0",
            "either `on` (a touchpoint causes it) or `after`",
        ),
        ({"transitions": [rule("r", "new", "won")]}, "/transitions/0", "either `on`"),
        ({"transitions": [{**FORGETS, "where": {"channel": "x"}}]}, "/transitions/0", "a transition by time has none"),
        ({"transitions": [{**BUYS, "where": {"x": 1}}]}, "/transitions/0/where/x", "expected channel"),
        (
            {"transitions": [{**COUNTS, "at_least": {"count": 101, "within": "P1D"}}]},
            "/transitions/0/at_least/count",
            "1 to 100",
        ),
        ({"transitions": [{**BUYS, "to": "new"}]}, "/transitions/0/to", "from a stage to itself needs `run: next`"),
        ({"transitions": [rule("r", "any", "new", on="x")]}, "/transitions/0/from", "no stage is left"),
        ({"transitions": [rule("r", "won", "new", on="x")]}, "/transitions/0/backward", "expected allow or deny"),
        (
            {"transitions": [{**BUYS, "backward": "allow", "reason": LABEL}]},
            "/transitions/0/backward",
            "never moves a customer back",
        ),
        ({"transitions": [{**FORGETS, "reason": None}]}, "/transitions/0/reason", "a backward policy needs its reason"),
        ({"transitions": [{**FORGETS, "backward": "deny"}]}, "/transitions/0/backward", "that is denied does nothing"),
        ({"begins": {"on": []}}, "/begins/on", "expected at least one touchpoint type"),
        (
            {"personas": [named("p", where={"channel": "x"})]},
            "/personas/0/where",
            "told by traits alone, not by channel",
        ),
        (
            {"personas": [named("p", where={}, dead_time={"x": "P1D"})]},
            "/personas/0/dead_time/0",
            "there is no stage 'x'",
        ),
        (
            {"personas": [named("p", where={}, transitions={"x": {}})]},
            "/personas/0/transitions/x",
            "there is no rule 'x'",
        ),
        ({"moments": [named("m", on=[], aim="trust", measure=LABEL)]}, "/moments/0/on", "at least one"),
        ({"pains": [named("p", **MATCH, severity=6, resolved_by=MATCH)]}, "/pains/0/severity", "from 1 to 5"),
        (
            {"pains": [named("p", **MATCH, severity=1, resolved_by={"on": ["x", "x"]})]},
            "/pains/0/resolved_by/on/1",
            "twice",
        ),
        ({"objections": [named("o", **MATCH, answered_by={"on": []})]}, "/objections/0/answered_by/on", "at least one"),
        (
            {"measures": [named("m", starts=MATCH, budget="P1D")]},
            "/measures/0",
            "either `starts` and `stops`, or `sum_of`",
        ),
        ({"measures": [named("m", sum_of=["x"], budget="P1D")]}, "/measures/0/sum_of/0", "there is no measure between"),
        ({"actions": [named("a", priority=0, when={})]}, "/actions/0/priority", "from 1 to 100"),
        (
            {"actions": [named("a", priority=1, when={"stages": ["x"]})]},
            "/actions/0/when/stages/0",
            "there is no stage 'x'",
        ),
        (
            {"actions": [named("a", priority=1, when={"pains": ["x"]})]},
            "/actions/0/when/pains/0",
            "there is no pain 'x'",
        ),
        (
            {"incoherent": [{"with": "o", "pairs": [["x", "y"]], "reason": LABEL}]},
            "/incoherent/0/pairs/0/0",
            "no stage 'x'",
        ),
    ],
)
def test_each_fault_is_told_where_it_is(parts: dict[str, Any], pointer: str, detail: str) -> None:
    ((found_pointer, found_detail),) = faults(**parts)
    assert found_pointer == pointer
    assert detail in found_detail


@pytest.mark.parametrize(
    ("parts", "pointer", "detail"),
    [
        ({"colour": 1}, "", "object contains unknown field `colour`"),
        ({"version": "1"}, "/version", "expected `int`, got `str`"),
        ({"label": {"en": "only English"}}, "/label", "object missing required field `fr`"),
        (
            {"transitions": [{**FORGETS, "after": "P1M"}]},
            "/transitions/0/after",
            "fixed ISO 8601 duration such as P14D",
        ),
        ({"transitions": [{**FORGETS, "after": "PT0S"}]}, "/transitions/0/after", "at least one second"),
        ({"transitions": [{**FORGETS, "after": 3}]}, "/transitions/0/after", "expected a duration such as P14D"),
        ({"personas": [named("p", where={}, dead_time={"new": "soon"})]}, "/personas/0/dead_time", "such as P14D"),
        (
            {"personas": [named("p", where={}, transitions={"r": {"disabled": 1}})]},
            "/personas/0/transitions",
            "(in disabled)",
        ),
        ({"moments": [named("m", on="x", aim="fun", measure=LABEL)]}, "/moments/0/aim", "invalid enum value 'fun'"),
    ],
)
def test_what_does_not_fit_the_grammar_is_told_where_it_is(parts: dict[str, Any], pointer: str, detail: str) -> None:
    ((found_pointer, found_detail),) = faults(**parts)
    assert found_pointer == pointer
    assert detail in found_detail


def test_all_faults_are_told_at_once() -> None:
    assert len(faults(transitions=[{**BUYS, "on": []}, {**COUNTS, "where": {"x": 1}}], begins={"on": []})) == 3


def test_a_persona_may_only_change_what_a_rule_has() -> None:
    persona = named(
        "p", where={}, transitions={"buys": {"after": "P1D"}, "forgets": {"at_least": {"count": 1, "within": "P1D"}}}
    )
    assert faults(transitions=[BUYS, FORGETS], personas=[persona]) == [
        ("/personas/0/transitions/buys/after", "this rule is not one by time"),
        ("/personas/0/transitions/forgets/at_least", "this rule counts no touchpoints"),
    ]


def test_time_alone_sends_nobody_round_for_ever() -> None:
    there = rule("there", "new", "known", after="P1D")
    back = rule("back", "known", "new", after="P1D", backward="allow")
    assert {pointer for pointer, _ in faults(transitions=[there, back])} == {"/transitions"}


@pytest.mark.parametrize("part", ["", "[]", "just words", "42"])
def test_a_document_that_is_no_definition_is_refused(part: str) -> None:
    with pytest.raises(InvalidDefinition, match="expected `object`"):
        parse(part)


def test_definitions_must_go_together() -> None:
    other = document(journey="other", incoherent=[{"with": "story", "pairs": [["new", "gone"]], "reason": LABEL}])
    with pytest.raises(InvalidDefinition) as refused:
        compile_journeys([parse(text(document())), parse(text(other))])
    assert refused.value.faults == (Fault("/incoherent/0/pairs/0/1", "other: story has no stage 'gone'"),)
    with pytest.raises(InvalidDefinition, match="two definitions have the same name"):
        compile_journeys([parse(text(document()))] * 2)
