"""Guards: each operator, missing paths, numbers as they are written, patterns in linear time."""

from typing import Any

import pytest

from journey.conditions import check_where, compile_where, names_in
from tests.support.stories import touchpoint

ORDER = touchpoint(
    "order_completed",
    channel="store",
    properties={
        "rating": 4,
        "price": "119.90",
        "weight": 119.9,
        "first": True,
        "one": 1,
        "words": "Semelle trop RIGIDE",
        "tags": ["new", 2, True],
        "nothing": None,
        "address": {"city": "Lyon"},
        "list": [{"x": 1}],
    },
    context={"campaign": "spring"},
)
TRAITS = {"age": 30, "tastes": ["running", "music"], "home": {"city": "Paris"}}


def holds(path: str, condition: Any) -> bool:
    where = {path: condition}
    assert not check_where(where, "")
    return compile_where(where)(ORDER, TRAITS)


@pytest.mark.parametrize(
    ("path", "condition", "expected"),
    [
        ("channel", "store", True),
        ("channel", {"eq": "website"}, False),
        ("type", {"ne": "order_returned"}, True),
        ("properties.rating", 4, True),
        ("properties.rating", 4.0, True),
        ("properties.rating", {"ne": 4}, False),
        ("properties.first", True, True),
        ("properties.first", 1, False),
        ("properties.one", True, False),
        ("properties.rating", "4", False),
        ("properties.rating", {"in": [3, 4]}, True),
        ("properties.first", {"in": [0, 1]}, False),
        ("properties.rating", {"gte": 4, "lt": 5}, True),
        ("properties.rating", {"gt": 4}, False),
        ("properties.rating", {"lte": "4.0"}, True),
        ("properties.price", {"gte": 119.9}, True),
        ("properties.price", {"gt": "119.89", "lt": 119.91}, True),
        ("properties.weight", {"lte": "119.90", "gte": "119.90"}, True),
        ("properties.words", {"gt": 0}, False),
        ("properties.first", {"gte": 0}, False),
        ("properties.words", {"contains": "rigide"}, True),
        ("properties.words", {"contains": 1}, False),
        ("properties.tags", {"contains": "new"}, True),
        ("properties.tags", {"contains": 2}, True),
        ("properties.tags", {"contains": 1}, False),
        ("properties.rating", {"contains": 4}, False),
        ("properties.words", {"matches": "(?i)semelle.*rigide"}, True),
        ("properties.words", {"matches": "^rigide"}, False),
        ("properties.rating", {"matches": "4"}, False),
        ("properties.address.city", "Lyon", True),
        ("properties.words.length", {"exists": False}, True),
        ("properties.list.0", {"exists": False}, True),
        ("context.campaign", {"exists": True}, True),
        ("traits.age", {"gte": 18}, True),
        ("traits.tastes", {"contains": "running"}, True),
        ("traits.home.city", {"in": ["Paris", "Lyon"]}, True),
    ],
)
def test_an_operator_holds_or_not(path: str, condition: Any, expected: bool) -> None:
    assert holds(path, condition) is expected


@pytest.mark.parametrize(
    "path", ["properties.none", "properties.nothing", "properties.none.at.all", "service_mode", "traits.x"]
)
@pytest.mark.parametrize(
    "condition",
    [1, {"ne": 1}, {"in": [1]}, {"gt": 0}, {"lt": 9}, {"contains": "x"}, {"matches": ""}, {"exists": True}],
)
def test_a_missing_path_satisfies_nothing(path: str, condition: Any) -> None:
    assert not holds(path, condition)
    assert holds(path, {"exists": False})


@pytest.mark.parametrize("value", ["1_000", " 12", "1e9", "Infinity", "NaN", "٣", "0x10", "", "1" * 40, "1.", ".5"])
def test_text_that_is_no_plain_decimal_is_no_number(value: str) -> None:
    compared = compile_where({"properties.n": {"gte": -1}})
    assert not compared(touchpoint("x", properties={"n": value}), {})


def test_the_traits_of_a_guard_are_the_customer_s_and_not_those_of_the_touchpoint_alone() -> None:
    guard = compile_where({"traits.age": {"gte": 18}})
    assert guard(touchpoint("x"), {"age": 18})
    assert not guard(touchpoint("x", traits={"age": 18}), {})


def test_all_conditions_must_hold_and_none_is_always_true() -> None:
    assert compile_where({})(ORDER, {})
    assert compile_where({"channel": "store", "properties.rating": 4})(ORDER, {})
    assert not compile_where({"channel": "store", "properties.rating": 5})(ORDER, {})


def test_a_pattern_that_ruins_others_is_linear_here() -> None:
    """Backtracking would need 2**50 steps: that this ends is the proof."""
    guard = compile_where({"properties.text": {"matches": "^(a+)+$"}})
    assert not guard(touchpoint("x", properties={"text": "a" * 50_000 + "b"}), {})


def test_a_pattern_looks_at_letters_and_not_at_bytes() -> None:
    guard = compile_where({"properties.text": {"matches": "^.é.$"}})
    assert guard(touchpoint("x", properties={"text": "aé😀"}), {})


@pytest.mark.parametrize(
    ("path", "condition", "pointer", "detail"),
    [
        ("colour", 1, "/where/colour", "expected channel, "),
        ("properties", 1, "/where/properties", "expected channel, "),
        ("properties.a..b", 1, "/where/properties.a..b", "expected channel, "),
        ("traits.", 1, "/where/traits.", "expected channel, "),
        ("properties.a/b~c", {"is": 1}, "/where/properties.a~1b~0c/is", "expected one of eq, ne, in"),
        ("channel", None, "/where/channel/eq", "expected a word, a number or true/false"),
        ("channel", [1], "/where/channel/eq", "expected a word, a number or true/false"),
        ("channel", {"in": []}, "/where/channel/in", "expected a list of words"),
        ("channel", {"in": ["a", ["b"]]}, "/where/channel/in", "expected a list of words"),
        ("channel", {"gt": "much"}, "/where/channel/gt", "expected a number"),
        ("channel", {"gt": True}, "/where/channel/gt", "expected a number"),
        ("channel", {"gt": float("nan")}, "/where/channel/gt", "expected a number"),
        ("channel", {"eq": float("inf")}, "/where/channel/eq", "expected a word"),
        ("channel", {"exists": "yes"}, "/where/channel/exists", "expected true or false"),
        ("channel", {"matches": 1}, "/where/channel/matches", "expected a regular expression"),
        ("channel", {"matches": "(a"}, "/where/channel/matches", "of RE2: missing ): (a"),
        ("channel", {"matches": "(?=a)"}, "/where/channel/matches", "of RE2: invalid perl operator"),
    ],
)
def test_a_guard_that_cannot_hold_is_refused_with_its_pointer(
    path: str, condition: Any, pointer: str, detail: str
) -> None:
    (fault,) = check_where({path: condition}, "/where")
    assert fault.pointer == pointer
    assert detail in fault.detail


def test_a_bad_pattern_writes_nothing_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert check_where({"channel": {"matches": "("}}, "")
    assert capfd.readouterr() == ("", "")


def test_the_names_that_a_guard_looks_at_are_known() -> None:
    where = {"traits.age": 1, "traits.home.city": "x", "properties.age": 1, "channel": "web"}
    assert names_in("traits", where) == {"age", "home"}
    assert names_in("properties", where) == {"age"}
    assert names_in("context", where) == frozenset()
