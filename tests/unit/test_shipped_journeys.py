"""The shipped definitions: editors and kernel read them alike; in both languages, in the words of the vocabulary."""

import json
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from journey.conditions import check_where
from journey.definition import parse
from journey.documents import load_yaml
from journey.durations import parse_duration
from journey.errors import InvalidDefinition
from journey.grammar import Aim, Definition
from journey.machine import compile_journeys

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA: dict[str, Any] = json.loads((SCHEMAS / "journey.schema.json").read_text(encoding="utf-8"))
TEXTS = {file.stem: file.read_text(encoding="utf-8") for file in sorted((SCHEMAS / "journeys").glob("*.yaml"))}
STAGES = {
    "customer-journey": "acquisition consideration decision loyalty advocacy",
    "buyer-journey": "discovery reflection decision stalled lost bought",
    "purchase-cycle": "need_recognition comparison decision_making post_purchase",
    "drive": "ordering placed travelling at_counter abandoned not_collected collected",
}

each_journey = pytest.mark.parametrize("name", STAGES)


def definition(name: str) -> Definition:
    return parse(TEXTS[name])


def test_four_journeys_are_shipped_and_go_together() -> None:
    assert set(TEXTS) == set(STAGES)
    assert set(compile_journeys(map(definition, TEXTS)).machines) == set(STAGES)


@each_journey
def test_a_journey_is_named_as_its_file_and_has_its_stages_in_order(name: str) -> None:
    shipped = definition(name)
    assert shipped.journey == name
    assert " ".join(stage.name for stage in shipped.stages) == STAGES[name]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@each_journey
def test_an_editor_finds_nothing_wrong(name: str) -> None:
    assert not [error.message for error in Draft202012Validator(SCHEMA).iter_errors(load_yaml(TEXTS[name]))]


@each_journey
def test_every_stage_can_be_read_in_both_languages_and_by_other_names(name: str) -> None:
    for stage in definition(name).stages:
        assert stage.label.en
        assert stage.label.fr
        assert stage.synonyms.en
        assert stage.synonyms.fr


@each_journey
def test_only_words_of_the_vocabulary_are_used(name: str) -> None:
    types = load_yaml((SCHEMAS / "vocabulary.yaml").read_text(encoding="utf-8"))["types"]
    assert set(_types(load_yaml(TEXTS[name]))) <= set(types)


def _types(part: Any) -> Iterator[str]:
    """Every touchpoint type that a definition names."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if key == "on":
            yield from [value] if isinstance(value, str) else value
        else:
            yield from _types(value)


@each_journey
def test_a_journey_has_what_a_consultant_would_ask_for(name: str) -> None:
    shipped = definition(name)
    assert len(shipped.personas) >= 3
    assert shipped.moments
    assert shipped.pains
    assert shipped.measures
    assert shipped.content
    assert shipped.actions
    assert all(rule.reason for rule in shipped.transitions if rule.backward)


def test_between_them_the_moments_have_every_aim_and_the_personas_every_sort_of_trait() -> None:
    shipped = [definition(name) for name in STAGES]
    assert {moment.aim for one in shipped for moment in one.moments} == set(Aim)
    traits = {path.removeprefix("traits.") for one in shipped for persona in one.personas for path in persona.where}
    assert traits >= {"age", "sex", "city", "profession", "income", "education", "tastes", "values"}


def test_content_of_every_kind_is_shipped() -> None:
    kinds = set(SCHEMA["$defs"]["content"]["properties"]["kind"]["enum"])
    assert {content.kind for name in STAGES for content in definition(name).content} == kinds


def test_the_drive_has_its_budgets() -> None:
    budgets = {measure.name: measure.budget for measure in definition("drive").measures}
    assert budgets == {
        "order": parse_duration("PT35M"),
        "travel": parse_duration("PT26M"),
        "pickup": parse_duration("PT5M"),
        "active_time": parse_duration("PT66M"),
    }


# --- the schema and the parser refuse the same ------------------------------------------------------------------------

SMALLEST: dict[str, Any] = {
    "journey": "small",
    "version": 1,
    "label": {"en": "Small", "fr": "Petit"},
    "initial": "one",
    "stages": [
        {"name": "one", "phase": "before", "label": {"en": "One", "fr": "Un"}},
        {"name": "two", "phase": "after", "label": {"en": "Two", "fr": "Deux"}},
    ],
    "transitions": [
        {"rule": "go", "label": {"en": "Go", "fr": "Va"}, "from": "one", "to": "two", "on": "order_completed"}
    ],
}
LABEL = {"en": "Word", "fr": "Mot"}


def test_the_smallest_definition_is_one() -> None:
    Draft202012Validator(SCHEMA).validate(SMALLEST)
    assert parse(json.dumps(SMALLEST)).journey == "small"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("colour", "blue"),
        ("journey", "Small Journey"),
        ("version", 0),
        ("version", "1"),
        ("label", {"en": "Small"}),
        ("label", "Small"),
        ("stages", []),
        ("stages", [{"name": "one", "phase": "later", "label": LABEL}]),
        ("stages", [{"name": "One", "phase": "before", "label": LABEL}]),
        ("stages", [{"name": "one", "phase": "before", "label": LABEL, "dead_time": "P1M"}]),
        ("stages", [{"name": "one", "phase": "before", "label": LABEL, "colour": "blue"}]),
        ("begins", {"where": {"channel": "store"}}),
        ("transitions", [{"rule": "go", "label": LABEL, "from": "one", "to": "two"}]),
        ("transitions", [{"rule": "go", "label": LABEL, "from": "one", "to": "two", "on": "x", "after": "P1D"}]),
        ("transitions", [{"rule": "go", "label": LABEL, "from": "one", "to": "two", "on": []}]),
        ("transitions", [{"rule": "go", "label": LABEL, "from": "one", "to": "two", "on": "x", "where": {"price": 1}}]),
        ("transitions", [{"rule": "go", "label": LABEL, "from": "one", "to": "two", "on": "x", "run": "last"}]),
        ("transitions", [{"rule": "go", "label": LABEL, "from": "one", "to": "two", "after": "2 days"}]),
        ("personas", [{"name": "runner", "label": LABEL, "where": {"channel": "store"}}]),
        ("personas", [{"name": "runner", "label": LABEL, "where": {"traits.age": {"above": 3}}}]),
        ("personas", [{"name": "runner", "label": LABEL, "where": {"traits.age": {"gt": "old"}}}]),
        ("moments", [{"name": "try", "label": LABEL, "on": "x", "aim": "profit", "measure": LABEL}]),
        ("pains", [{"name": "hurts", "label": LABEL, "on": "x", "severity": 6, "resolved_by": {"on": "y"}}]),
        ("pains", [{"name": "hurts", "label": LABEL, "on": "x", "severity": 3}]),
        ("objections", [{"name": "price", "label": LABEL, "on": "x"}]),
        ("measures", [{"name": "wait", "label": LABEL, "starts": {"on": "x"}, "budget": "P1D"}]),
        ("measures", [{"name": "wait", "label": LABEL, "starts": {"on": "x"}, "stops": {"on": "y"}}]),
        ("actions", [{"name": "call", "label": LABEL, "priority": 0, "when": {}}]),
        ("actions", [{"name": "call", "label": LABEL, "priority": 1, "when": {"weather": "fine"}}]),
        ("incoherent", [{"with": "other", "pairs": [["one"]], "reason": LABEL}]),
    ],
)
def test_an_editor_and_the_kernel_refuse_alike(part: str, value: object) -> None:
    document = {**SMALLEST, part: value}
    assert not Draft202012Validator(SCHEMA).is_valid(document)
    with pytest.raises(InvalidDefinition):
        parse(json.dumps(document))


# --- the guide --------------------------------------------------------------------------------------------------------

GUIDE = (SCHEMAS.parent / "docs" / "journeys.md").read_text(encoding="utf-8")


def _example(first_line: str) -> str:
    """The indented block of the guide that begins with this line."""
    lines = iter(GUIDE[GUIDE.index(f"    {first_line}\n") :].splitlines())
    return dedent("\n".join(takewhile(str.strip, lines)))


def test_the_smallest_journey_of_the_guide_is_one() -> None:
    text = _example("journey: club")
    Draft202012Validator(SCHEMA).validate(load_yaml(text))
    assert [stage.name for stage in parse(text).stages] == ["guest", "member"]


def test_the_conditions_of_the_guide_are_conditions() -> None:
    where = load_yaml(_example("where:"))["where"]
    assert len(where) >= 6
    assert not check_where(where, "/where")


def test_the_guide_tells_of_every_journey_that_is_shipped() -> None:
    assert all(f"**{name}**" in GUIDE for name in STAGES)
