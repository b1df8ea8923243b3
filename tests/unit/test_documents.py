"""YAML as a person means it."""

from typing import Any

import pytest

from journey.documents import load_yaml
from journey.errors import InvalidDefinition


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "N", "01", "089", "1_000", "12:30", "0x1F", "=", ".nan", ".inf"]
)
def test_what_yaml_1_1_would_turn_into_something_else_stays_a_word(word: str) -> None:
    assert load_yaml(f"{word}: {word}") == {word: word}


def test_a_date_stays_a_word() -> None:
    assert load_yaml("2026-03-01") == "2026-03-01"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-3", -3),
        ("+3", 3),
        ("1.5", 1.5),
        ("0.10", 0.1),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("~", None),
    ],
)
def test_numbers_truth_and_nothing_are_themselves(text: str, value: Any) -> None:
    read = load_yaml(text)
    assert read == value
    assert type(read) is type(value)


def test_a_number_that_no_machine_holds_stays_a_word() -> None:
    assert load_yaml("9" * 19) == "9" * 19


def test_json_is_yaml() -> None:
    assert load_yaml('{"a": [1, true, null, "x\\u00e9"]}') == {"a": [1, True, None, "xé"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", r"the key 'a' stands twice \(line 2, column 1\)"),
        ("1: a", r"a key must be a word \(line 1, column 1\)"),
        ("a: [", r"not readable as YAML: .*line"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: &x [*x]", "not readable as YAML"),
        ("a: \x00", "not readable as YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidDefinition, match=message):
        load_yaml(text)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_document_nested_a_million_deep_is_refused(opening: str) -> None:
    with pytest.raises(InvalidDefinition, match="nested too deep"):
        load_yaml(opening * 1_000_000)


def test_merging_is_not_part_of_it() -> None:
    assert load_yaml("a: &a {x: 1}\nb: {<<: *a}") == {"a": {"x": 1}, "b": {"<<": {"x": 1}}}
