"""JSON read more strictly than its parsers do: one meaning for every reader, or none.

msgspec refuses NaN, a byte order mark, UTF-16, lone surrogates and numbers that no float holds. It takes the last of
two members with one name; others take the first, so such an object means two things, and is refused here.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder()


def names_are_distinct(text: bytes, decoded: object) -> bool:
    """Whether no object in `text` (valid JSON, which decoded to `decoded`) has two members of one name.

    Each member has one colon outside of strings, and of members with one name the decoder keeps one. So where encoding
    `decoded` gives as many colons as `text` has, none was lost: a proof for the price of counting. Strings come out as
    they went in, unless a colon was written as an escape. No proof (a time that was spelled otherwise, a null that was
    dropped) is no guilt: then the question is put again to what the untyped decoder makes of it, which keeps all that.
    """
    colons = text.count(b":")
    if b"\\" in text and b"\\u003" in text:
        return repeated_name(text) is None
    return _colons(decoded) == colons or _colons(msgspec.json.decode(text)) == colons


def _colons(value: object) -> int:
    return _encoder.encode(value).count(b":")


class _Repeated(dict[str, Any]):
    """An object that named a member twice."""

    name: str


def repeated_name(text: bytes) -> Sequence[str | int] | None:
    """The path to the first member of `text` (valid JSON) whose name its object has had before; None if there is none.

    Slow, as it is written in Python for those who send such things.
    """
    return _path_to_repeated(json.loads(text, object_pairs_hook=_object, parse_int=str, parse_float=str))


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            found = _Repeated(members)
            found.name = name
            return found
        seen.add(name)
    return dict(members)


def _path_to_repeated(value: object) -> list[str | int] | None:
    if isinstance(value, _Repeated):
        return [value.name]
    if isinstance(value, dict | list):
        for key, member in value.items() if isinstance(value, dict) else enumerate(value):
            if (path := _path_to_repeated(member)) is not None:
                return [key, *path]
    return None
