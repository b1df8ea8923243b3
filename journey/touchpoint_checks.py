"""What a touchpoint must be before it enters the log, whichever wire format it came in.

A format makes `SentTouchpoint`s of what it reads; `admit` fills in what the source left out, normalises, and either
completes the touchpoint or refuses it with every fault found. `schemas/touchpoint.schema.json` tells the same rules to
those who send. A refusal never quotes what was sent, but for an `id` and for the names in its JSON pointers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from re import compile as pattern
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from journey.errors import Fault
from journey.free_parts import MAX_NUMBER, flaw_in, has_nul
from journey.identifiers import IdentifierReader
from journey.text import fits
from journey.touchpoint import EARLIEST, FUTURE_LIMIT

MAX_ID_BYTES = 256
MAX_TYPE_BYTES = 128
MAX_NAME_BYTES = 64
"""Of a channel."""

MAX_SOURCE_BYTES = 128
"""Short enough that source and id together find room in any index."""

MAX_PART_BYTES = 32_768
"""Of traits, of properties and of context, each as compact JSON."""

MAX_SEQUENCE = 10**18

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class SentTouchpoint(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A touchpoint as a source tells it. `admit` completes it, and then its JSON is that of a `Touchpoint`.

    Text has no lone surrogates; `traits`, `properties` and `context` hold what JSON can hold. Not tracked by the
    garbage collector, as JSON has no cycles: that halves the time of decoding.
    """

    source: str | None = None
    id: str
    type: str
    occurred_at: Instant | None = None
    sent_at: Instant | None = None
    received_at: Instant | None = None
    sequence: int | None = None
    channel: str | None = None
    initiator: Literal["customer", "company"] | None = None
    service_mode: Literal["human", "self_service", "automated", "community"] | None = None
    identifiers: Mapping[str, Any]
    traits: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    context: dict[str, Any] | None = None

    def parts(self) -> dict[str, dict[str, Any]]:
        """What the source may fill as it likes, by its pointer."""
        named = {"/traits": self.traits, "/properties": self.properties, "/context": self.context}
        return {name: part for name, part in named.items() if part}


_Scalar = (
    str
    | bool
    | Annotated[int, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
    | Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
    | None
)
_Shallow = dict[str, _Scalar | dict[str, _Scalar] | list[_Scalar | dict[str, _Scalar]]]


class ShallowTouchpoint(SentTouchpoint, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One whose parts are no deeper than an order's lines: what decodes as this has no number too large, for free.

    Formats may decode as this first, and what does not fit, as `SentTouchpoint`.
    """

    traits: _Shallow | None = None
    properties: _Shallow | None = None
    context: _Shallow | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends, and what holds for a touchpoint that does not say otherwise.

    `lateness_limit` is how long before `received_at` a touchpoint may have happened (None: however long);
    `company_types` those that the company starts (`journey/vocabulary.py`).
    """

    name: str
    channel: str
    lateness_limit: timedelta | None = None
    company_types: frozenset[str] = frozenset()

    def span(self, received_at: datetime) -> "Span":
        limit = self.lateness_limit
        earliest = EARLIEST if limit is None else max(EARLIEST, received_at - limit)
        return Span(earliest, received_at, received_at + FUTURE_LIMIT)


class Span(NamedTuple):
    """The instants at which what is received now may have happened."""

    earliest: datetime
    received_at: datetime
    latest: datetime


@dataclass(frozen=True, slots=True)
class Refused:
    """A touchpoint that cannot be taken: its place in what was sent, its `id` if that may be quoted, and why."""

    index: int
    id: str | None
    faults: tuple[Fault, ...]


class Admission(NamedTuple):
    """What became of the touchpoints of one request.

    `values[i]` is the JSON and `keys[i]` the routing key of the completed `touchpoints[i]`.
    """

    touchpoints: list[SentTouchpoint]
    keys: list[bytes]
    values: list[bytes]
    refused: list[Refused]


_encoder = msgspec.json.Encoder()


_Whole = list[tuple[int, SentTouchpoint, bytes]]


def admit(
    sent: Iterable[tuple[int, SentTouchpoint]], source: Source, identifiers: IdentifierReader, received_at: datetime
) -> Admission:
    """Complete the touchpoints of a request, each given with its place there, or refuse them with all their faults."""
    span = source.span(received_at)
    whole: _Whole = []
    refused: list[Refused] = []
    for index, touchpoint in sent:
        read = identifiers.read(touchpoint.identifiers)
        touchpoint.identifiers = read.identifiers
        faults = [*read.faults] if read.faults else []
        _complete(touchpoint, index, source, span, faults)
        if faults:
            refused.append(Refused(index, _quotable(touchpoint.id), tuple(faults)))
        else:
            whole.append((index, touchpoint, read.key))
    return _encoded(whole, refused)


def _encoded(whole: _Whole, refused: list[Refused]) -> Admission:
    """Encode them together, which is faster than one by one: JSON has no line feed but between the lines."""
    touchpoints = [touchpoint for _, touchpoint, _ in whole]
    lines = _encoder.encode_lines(touchpoints)
    values = lines.split(b"\n")
    values.pop()
    if (b"\\" in lines and b"\\u0000" in lines) or (values and len(max(values, key=len)) > MAX_PART_BYTES):
        faults_of = {index: _part_faults(touchpoint) for index, touchpoint, _ in whole}
        if any(faults_of.values()):
            refused += [Refused(i, touchpoint.id, faults_of[i]) for i, touchpoint, _ in whole if faults_of[i]]
            return _encoded([one for one in whole if not faults_of[one[0]]], refused)
    return Admission(touchpoints, [key for _, _, key in whole], values, refused)


def _complete(sent: SentTouchpoint, index: int, source: Source, span: Span, faults: list[Fault]) -> None:
    """Fill in what `sent` leaves out, and find its faults. Every line here is paid for each touchpoint received."""
    id_ = sent.id
    if not (0 < len(id_) <= 64 and id_.isprintable()) and not fits(id_, MAX_ID_BYTES):
        faults.append(Fault("/id", f"must have 1 to {MAX_ID_BYTES} bytes and no control characters"))
    if fault := _type_fault(sent.type):
        faults.append(fault)
    if sent.source is not None and sent.source != source.name:
        faults.append(Fault("/source", "is not the source that this key writes for; leave it out"))
    sent.source = source.name
    if sent.channel is None:
        sent.channel = source.channel
    elif fault := _name_fault(sent.channel, "/channel"):
        faults.append(fault)
    if sent.initiator is None and sent.type in source.company_types:
        sent.initiator = "company"
    if sent.sequence is None:
        sent.sequence = index
    elif not 0 <= sent.sequence <= MAX_SEQUENCE:
        faults.append(Fault("/sequence", f"must be a whole number from 0 to {MAX_SEQUENCE}"))
    _date(sent, span, faults)
    if type(sent) is not ShallowTouchpoint:
        _look_into_parts(sent, faults)


def _look_into_parts(sent: SentTouchpoint, faults: list[Fault]) -> None:
    if sent.traits and (fault := flaw_in(sent.traits)):
        faults.append(_within("/traits", fault))
    if sent.properties and (fault := flaw_in(sent.properties)):
        faults.append(_within("/properties", fault))
    if sent.context and (fault := flaw_in(sent.context)):
        faults.append(_within("/context", fault))


def _within(place: str, fault: Fault) -> Fault:
    return Fault(place + fault.pointer, fault.detail)


def _part_faults(sent: SentTouchpoint) -> tuple[Fault, ...]:
    """What is seen of a touchpoint's JSON only: size, and the character that no text column of Postgres takes."""
    faults: list[Fault] = []
    for name, part in sent.parts().items():
        if len(_encoder.encode(part)) > MAX_PART_BYTES:
            faults.append(Fault(name, f"must have {MAX_PART_BYTES} bytes of JSON at most"))
        elif has_nul(part):
            faults.append(Fault(name, "has the character U+0000"))
    return tuple(faults)


# --- id, type, channel ------------------------------------------------------------------------------------------------

_name = pattern(r"[a-z][a-z0-9_]*").fullmatch
_type = pattern(r"[^\W_][\w.:/-]*").fullmatch


def _quotable(id_: str) -> str | None:
    return id_ if fits(id_, MAX_ID_BYTES) else None


@lru_cache(maxsize=4096)
def _type_fault(type_: str) -> Fault | None:
    if _type(type_) and fits(type_, MAX_TYPE_BYTES):
        return None
    return Fault("/type", f"must be a letter or digit, then letters, digits and _.:/-; {MAX_TYPE_BYTES} bytes at most")


@lru_cache(maxsize=4096)
def _name_fault(name: str, place: str) -> Fault | None:
    if _name(name) and len(name) <= MAX_NAME_BYTES:
        return None
    return Fault(place, f"must be a lower-case letter, then lower-case letters, digits and _; {MAX_NAME_BYTES} at most")


def flaw_of_source(name: str, channel: str) -> str | None:
    """Why touchpoints could not come from a source of this name and channel; None if they can."""
    if not fits(name, MAX_SOURCE_BYTES):
        return f"a source must have 1 to {MAX_SOURCE_BYTES} bytes and no control characters"
    fault = _name_fault(channel, "")
    return f"a channel {fault.detail}" if fault else None


# --- when -------------------------------------------------------------------------------------------------------------


def _date(sent: SentTouchpoint, span: Span, faults: list[Fault]) -> None:
    if sent.received_at is not None:
        faults.append(Fault("/received_at", "is stamped by Jalon; leave it out"))
    sent.received_at = span.received_at
    if sent.occurred_at is None:
        sent.occurred_at = span.received_at
    elif sent.sent_at is not None or sent.occurred_at.tzinfo is not UTC:
        sent.occurred_at = _corrected(sent.occurred_at, sent.sent_at, span.received_at)
    sent.sent_at = None
    if sent.occurred_at is None or not EARLIEST <= sent.occurred_at <= span.latest:
        faults.append(Fault("/occurred_at", "must not be before 1970 nor more than 24 hours in the future"))
    elif sent.occurred_at < span.earliest:
        faults.append(Fault("/occurred_at", "is longer ago than this service is set to accept"))


def _corrected(occurred_at: datetime, sent_at: datetime | None, received_at: datetime) -> datetime | None:
    """When it happened, in UTC, by our clock; None where no date can say it.

    A client that tells when it sent, by the clock it dates with, has its clock corrected: a touchpoint was as old when
    it was sent as it is when received (https://segment.com/docs/connections/spec/common/#timestamps).
    """
    try:
        return occurred_at.astimezone(UTC) if sent_at is None else received_at - (sent_at - occurred_at)
    except OverflowError:
        return None
