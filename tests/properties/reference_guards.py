"""Guards, read literally: one sentence of the grammar after the other."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from journey.touchpoint import Touchpoint


def all_hold(where: Mapping[str, Any], touchpoint: Touchpoint | None, traits: Mapping[str, Any]) -> bool:
    return all(
        holds(operator, operand, find(path, touchpoint, traits))
        for path, condition in where.items()
        for operator, operand in (condition if isinstance(condition, dict) else {"eq": condition}).items()
    )


def find(path: str, touchpoint: Touchpoint | None, traits: Mapping[str, Any]) -> Any:
    """The value at a path, None where there is none."""
    first, *keys = path.split(".")
    value: Any = traits if first == "traits" else getattr(touchpoint, first)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def holds(operator: str, operand: Any, value: Any) -> bool:
    if operator == "exists":
        return bool((value is not None) == operand)
    return (
        value is not None
        and {
            "eq": lambda: same(value, operand),
            "ne": lambda: not same(value, operand),
            "in": lambda: any(same(value, one) for one in operand),
            "contains": lambda: contains(value, operand),
            "matches": lambda: isinstance(value, str) and re.search(operand, value) is not None,
            "gt": lambda: compare(value, operand) == 1,
            "gte": lambda: compare(value, operand) in {0, 1},
            "lt": lambda: compare(value, operand) == -1,
            "lte": lambda: compare(value, operand) in {-1, 0},
        }[operator]()
    )


def contains(value: Any, operand: Any) -> bool:
    if isinstance(value, str):
        return isinstance(operand, str) and operand.lower() in value.lower()
    return isinstance(value, list) and any(same(one, operand) for one in value)


def compare(one: Any, other: Any) -> int | None:
    """-1, 0 or 1 as a number is less than, equal to or greater than another; None when either is no number."""
    left, right = number(one), number(other)
    return None if left is None or right is None else (left > right) - (left < right)


def same(one: Any, other: Any) -> bool:
    return one == other and (type(one) is bool) == (type(other) is bool)


def number(value: Any) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value)
    return Fraction(text) if re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", text) else None
