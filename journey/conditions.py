"""Guards: the `where` of a definition, compiled to plain predicates over a touchpoint and its customer's traits.

A path that a touchpoint does not have satisfies `exists: false` and nothing else, so that an absent fact never lets a
customer through, not even by `ne`. `matches` is RE2: linear in the text, whatever the pattern.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from operator import attrgetter, ge, gt, le, lt
from typing import Any

import re2

from journey.errors import Fault
from journey.touchpoint import Touchpoint

Traits = Mapping[str, Any]
Predicate = Callable[[Touchpoint, Traits], bool]
Test = Callable[[Any], bool]
Getter = Callable[[Touchpoint, Traits], Any]

ATTRIBUTES = frozenset({"type", "source", "channel", "initiator", "service_mode"})
BAGS = frozenset({"properties", "traits", "context"})


class _Missing:
    """What a path finds where there is nothing; JSON null counts as nothing."""


MISSING = _Missing()
_DECIMAL = re.compile(r"[-+]?[0-9]{1,32}(?:\.[0-9]{1,32})?").fullmatch


def always(touchpoint: Touchpoint, traits: Traits) -> bool:
    """The guard of a rule that has none."""
    return True


def compile_where(where: Mapping[str, Any]) -> Predicate:
    """One predicate for all conditions of a `where`; they must hold together. It must have passed `check_where`."""
    parts = [_compile_path(path, condition) for path, condition in where.items()]
    if not parts:
        return always
    if len(parts) == 1:
        return parts[0]
    return lambda touchpoint, traits: all(part(touchpoint, traits) for part in parts)


def check_where(where: Mapping[str, Any], pointer: str) -> list[Fault]:
    """What is wrong with a `where`, each fault with its JSON pointer below `pointer`."""
    faults = []
    for path, condition in where.items():
        here = f"{pointer}/{path.replace('~', '~0').replace('/', '~1')}"
        head, _, rest = path.partition(".")
        if not (path in ATTRIBUTES or (head in BAGS and all(rest.split(".")))):
            faults.append(Fault(here, f"expected {', '.join(sorted(ATTRIBUTES))}, properties.…, traits.… or context.…"))
        for operator, operand in _operators(condition).items():
            fault = _operand_fault(operator, operand)
            if fault:
                faults.append(Fault(f"{here}/{operator}", fault))
    return faults


def names_in(bag: str, where: Mapping[str, Any]) -> frozenset[str]:
    """The names of the traits (or `properties`, `context`: see `BAGS`) that a `where` looks at."""
    paths = (path.split(".") for path in where)
    return frozenset(path[1] for path in paths if path[0] == bag and len(path) > 1)


def _operators(condition: Any) -> Mapping[str, Any]:
    return condition if isinstance(condition, dict) else {"eq": condition}


def _compile_path(path: str, condition: Any) -> Predicate:
    get = _getter(path)
    tests = [_TESTS[operator](operand) for operator, operand in _operators(condition).items()]
    if len(tests) == 1:
        test = tests[0]
        return lambda touchpoint, traits: test(get(touchpoint, traits))
    return lambda touchpoint, traits: all(test(get(touchpoint, traits)) for test in tests)


def _getter(path: str) -> Getter:
    head, *keys = path.split(".")
    if head == "traits":
        return lambda _, traits: _dig(traits, keys)
    attribute = attrgetter(head)
    if not keys:
        return lambda touchpoint, _: MISSING if (value := attribute(touchpoint)) is None else value
    return lambda touchpoint, _: _dig(attribute(touchpoint), keys)


def _dig(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(value, dict):  # not Mapping: that takes ten times as long, and JSON makes dicts
            return MISSING
        value = value.get(key)
    return MISSING if value is None else value


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _number(value: Any) -> Decimal | int | None:
    """What a number or decimal string says: a float as it is written, so that 119.9 and "119.90" are the same."""
    if isinstance(value, str):
        return Decimal(value) if _DECIMAL(value) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return Decimal(repr(value)) if isinstance(value, float) and isfinite(value) else None


def _equal(operand: Any) -> Test:
    return lambda value: value is not MISSING and _same(value, operand)


def _not_equal(operand: Any) -> Test:
    return lambda value: value is not MISSING and not _same(value, operand)


def _member(operand: Any) -> Test:
    return lambda value: any(_same(value, one) for one in operand)


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def compile_bound(operand: Any) -> Test:
        bound = _number(operand)

        def test(value: Any) -> bool:
            number = _number(value)
            return number is not None and holds(number, bound)

        return test

    return compile_bound


def _contains(operand: Any) -> Test:
    word = operand.casefold() if isinstance(operand, str) else None

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return word is not None and word in value.casefold()
        return isinstance(value, list | tuple) and any(_same(one, operand) for one in value)

    return test


def _exists(operand: Any) -> Test:
    return lambda value: (value is not MISSING) == operand


def _matches(operand: Any) -> Test:
    search = _pattern(operand).search
    # Bytes, because for text the module also works out where in the text the match is.
    return lambda value: isinstance(value, str) and search(value.encode(errors="replace")) is not None


_TESTS: Mapping[str, Callable[[Any], Test]] = {
    "eq": _equal,
    "ne": _not_equal,
    "in": _member,
    "gt": _ordered(gt),
    "gte": _ordered(ge),
    "lt": _ordered(lt),
    "lte": _ordered(le),
    "contains": _contains,
    "exists": _exists,
    "matches": _matches,
}


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | bool) or (isinstance(value, float) and isfinite(value))


def _operand_fault(operator: str, operand: Any) -> str | None:
    """What is wrong with the operand, in a sentence, or None."""
    match operator:
        case "eq" | "ne" | "contains":
            return None if _is_scalar(operand) else "expected a word, a number or true/false"
        case "in":
            fits = isinstance(operand, list) and operand and all(map(_is_scalar, operand))
            return None if fits else "expected a list of words, numbers or true/false"
        case "gt" | "gte" | "lt" | "lte":
            return None if _number(operand) is not None else "expected a number"
        case "exists":
            return None if isinstance(operand, bool) else "expected true or false"
        case "matches":
            return _pattern_fault(operand)
        case _:
            return f"expected one of {', '.join(_TESTS)}"


def _pattern_fault(operand: Any) -> str | None:
    if not isinstance(operand, str):
        return "expected a regular expression"
    try:
        _pattern(operand)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "not readable"
        return f"expected a regular expression of RE2: {reason}"
    return None


def _pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # what is wrong with it is told to who wrote it, not to our standard error
    options.never_capture = True
    return re2.compile(text, options)
