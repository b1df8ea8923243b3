"""Reading the identifiers of a touchpoint: which of them count, as what, and which one its record travels under."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from re import compile as pattern
from typing import Any, NamedTuple

from journey.errors import Fault
from journey.free_parts import pointer
from journey.normalise import normalise, routing_key
from journey.text import fits

MAX_IDENTIFIERS = 16
MAX_IDENTIFIER_BYTES = 256
MAX_KIND_BYTES = 64

_REMEMBERED = 16_384

_kind = pattern(r"[a-z][a-z0-9_]*").fullmatch


class Read(NamedTuple):
    """The identifiers that name somebody, normalised, and the routing key; or what is wrong with what was sent."""

    identifiers: Mapping[str, str]
    key: bytes
    faults: tuple[Fault, ...] = ()


class IdentifierReader:
    """Reads identifiers by the rules of one company."""

    def __init__(self, kinds: Sequence[str], region: str | None = None) -> None:
        """`kinds` are those that the company declares, strongest first; `region` (ISO 3166) is where phone numbers
        without a country belong."""
        self._kinds = tuple(kinds)
        self._region = region
        # A customer comes back, and what they are called has been looked at then.
        self._remembered = lru_cache(_REMEMBERED)(self._look_at)

    def read(self, sent: Mapping[str, Any]) -> Read:
        """What `sent` (kind to value) tells. Empty values and null are as good as nothing; one must be left."""
        members = tuple(sent.items())
        try:
            return self._remembered(members)
        except TypeError:  # a value that cannot be remembered is an array or an object, and no identifier
            return self._look_at(members)

    def _look_at(self, members: tuple[tuple[str, Any], ...]) -> Read:
        faults = tuple(fault for kind, value in members if (fault := _fault(kind, value)))
        if faults:
            return Read({}, b"", faults)
        normal = {kind: normalise(kind, value, self._region) for kind, value in members if value}
        kept = {kind: value for kind, value in normal.items() if value}
        if not kept:
            fault = Fault("/identifiers", "must hold at least one that is not empty and names somebody")
            return Read({}, b"", (fault,))
        if len(kept) > MAX_IDENTIFIERS:
            return Read({}, b"", (Fault("/identifiers", f"must be {MAX_IDENTIFIERS} at most"),))
        return Read(kept, routing_key(kept, self._kinds))


def _fault(kind: str, value: object) -> Fault | None:
    place = pointer("/identifiers", kind)
    if not _kind(kind) or len(kind) > MAX_KIND_BYTES:
        return Fault(place, f"its kind must be a lower-case letter, then a-z, 0-9 and _; {MAX_KIND_BYTES} at most")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return Fault(place, "must be a string")
    if not fits(value, MAX_IDENTIFIER_BYTES):
        return Fault(place, f"must have {MAX_IDENTIFIER_BYTES} bytes at most and no control characters")
    return None
