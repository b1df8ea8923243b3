"""What may stand in the parts that a source fills as it likes: traits, properties and context.

Anything JSON can say, within bounds that keep every later reader and store safe: nesting, and the size of numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from journey.errors import Fault

MAX_DEPTH = 32
"""Levels of objects and arrays, the touchpoint itself being the first."""

MAX_NUMBER = 10**18
"""Magnitude of any number: 64 bits hold it, and no store turns it into megabytes of digits."""

MAX_KEY_IN_POINTER = 64


def pointer(parent: str, key: str | int) -> str:
    """A member's JSON pointer (RFC 6901), cut where a hostile name would make the answer long."""
    return f"{parent}/{str(key)[:MAX_KEY_IN_POINTER].replace('~', '~0').replace('/', '~1')}"


def flaw_in(part: Mapping[str, Any], room: int = MAX_DEPTH - 1) -> Fault | None:
    """The first value within that cannot be kept as it was sent: a number too large, or nesting too deep.

    Its pointer begins at `part`, the first of the `room` levels that are left.
    """
    for key, value in part.items():
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if (kind is int or kind is float) and -MAX_NUMBER <= value <= MAX_NUMBER:
            continue
        if found := _flaw_of(value, room - 1):
            return Fault(pointer("", key) + found.pointer, found.detail)
    return None


def _flaw_of(value: object, room: int) -> Fault | None:
    if isinstance(value, dict | list):
        if room == 0:
            return Fault("", f"is nested deeper than {MAX_DEPTH} levels")
        return flaw_in(value, room) if isinstance(value, dict) else _flaw_in_array(value, room)
    if isinstance(value, str | bool | None):
        return None
    if isinstance(value, int | float) and -MAX_NUMBER <= value <= MAX_NUMBER:
        return None
    return Fault("", f"must lie between -{MAX_NUMBER} and {MAX_NUMBER}")


def _flaw_in_array(values: Sequence[Any], room: int) -> Fault | None:
    for index, value in enumerate(values):
        if found := _flaw_of(value, room - 1):
            return Fault(pointer("", index) + found.pointer, found.detail)
    return None


def has_nul(value: object) -> bool:
    """Whether the character U+0000 stands anywhere within."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(has_nul, value)) or any(map(has_nul, value.values()))
    return isinstance(value, list) and any(map(has_nul, value))
