"""A journey definition: read from YAML, checked, and written as JSON.

`parse` is the only way in, so that every `Definition` holds together.
"""

from datetime import timedelta
from typing import Any

import msgspec

from journey.checks import check
from journey.documents import load_yaml
from journey.durations import format_duration, parse_duration
from journey.errors import Fault, InvalidDefinition
from journey.grammar import Definition, Duration


def parse(text: str) -> Definition:
    """The definition that a YAML document writes.

    Raises `InvalidDefinition` with everything that is wrong with it, each fault at its JSON pointer.
    """
    try:
        definition = msgspec.convert(load_yaml(text), Definition, dec_hook=_read)
    except msgspec.ValidationError as error:
        raise InvalidDefinition(faults=(_fault(error),)) from error
    faults = check(definition)
    if faults:
        raise InvalidDefinition(faults=tuple(faults))
    return definition


def to_json(definition: Definition) -> bytes:
    """The definition as JSON, in the words of the grammar."""
    return msgspec.json.encode(definition, enc_hook=_write)


def _read(kind: type, value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError("expected a duration such as P14D")
    return Duration(seconds=parse_duration(value).total_seconds())


def _write(value: Any) -> str:
    if not isinstance(value, timedelta):
        raise TypeError(f"a definition has no {type(value).__name__}")
    return format_duration(value)


def _fault(error: msgspec.ValidationError) -> Fault:
    """msgspec ends its messages with a path such as `$.stages[0].label`; a caller is told a JSON pointer.

    Where msgspec does not tell the name (`$.personas[0].dead_time[...]`), the pointer ends with the mapping.
    """
    detail, _, path = str(error).partition(" - at `")
    known, _, below = path.rstrip("`").removeprefix("key in `").lstrip("$").partition("[...]")
    pointer = known.replace("[", ".").replace("]", "").replace(".", "/")
    where = f" (in {below.lstrip('.')})" if below else ""
    return Fault(pointer, detail[0].lower() + detail[1:] + where)
