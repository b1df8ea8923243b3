"""Jalon's own format: one touchpoint as a JSON object, several as an array or as lines (NDJSON).

The usual request is decoded in one go. Only when that finds a fault are its touchpoints read one by one, to say which
are bad and why, and to take the others.
"""

from collections.abc import Callable, Iterable, Sequence
from re import DOTALL
from re import compile as pattern

import msgspec

from journey.errors import Fault
from journey.free_parts import MAX_DEPTH, pointer
from journey.touchpoint_checks import Refused, SentTouchpoint, ShallowTouchpoint
from services.ingest.formats import MAX_BATCH, Reading
from services.ingest.http import Head, Response
from services.ingest.problem import BAD_JSON, BATCH_TOO_LONG, INVALID_TOUCHPOINT, UNSUPPORTED_TYPE, Refusal
from services.ingest.strict_json import names_are_distinct, repeated_name

LINES = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/x-jsonlines"})
JSON = frozenset({b"", b"application/json", b"text/plain", b"application/x-www-form-urlencoded"})
"""The last one is what `curl -d` says of whatever it sends."""

_one = msgspec.json.Decoder(SentTouchpoint)
_one_shallow = msgspec.json.Decoder(ShallowTouchpoint)
_many = msgspec.json.Decoder(list[SentTouchpoint])
_many_shallow = msgspec.json.Decoder(list[ShallowTouchpoint])
_raw_items = msgspec.json.Decoder(list[msgspec.Raw])


Decode = Callable[[bytes], Sequence[SentTouchpoint]]


class Native:
    """POST /v1/touchpoints."""

    def read(self, head: Head, body: bytes) -> Reading:
        media = head.content_type
        try:
            if media in JSON:
                return _read_array(body) if body.lstrip()[:1] == b"[" else _read_object(body)
            if media in LINES:
                return _read_lines(body)
        except msgspec.ValidationError:
            raise Refusal(BAD_JSON, "the array has a number that is out of range") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(BAD_JSON, _syntax_fault(error).detail) from None
        raise Refusal(UNSUPPORTED_TYPE, "send application/json, text/plain or application/x-ndjson")

    def answer(self, accepted: int, refused: Sequence[Refused]) -> Response:
        if not refused:
            return Response(202, b'{"accepted":%d,"rejected":[]}' % accepted)
        rejected = [_rejected(one) for one in refused]
        if not accepted:
            members = {"errors": rejected[0]["errors"]} if len(rejected) == 1 else {}
            raise Refusal(INVALID_TOUCHPOINT, members={**members, "accepted": 0, "rejected": rejected})
        return Response(202, msgspec.json.encode({"accepted": accepted, "rejected": rejected}))


NATIVE = Native()


def _rejected(one: Refused) -> dict[str, object]:
    errors = [{"pointer": fault.pointer, "detail": fault.detail} for fault in one.faults]
    return {"index": one.index, "id": one.id, "errors": errors}


def _read_object(body: bytes) -> Reading:
    try:
        sent = _one_shallow.decode(body)
    except msgspec.ValidationError:
        return _sorted([_read_one(0, body)])
    return Reading([(0, sent)]) if names_are_distinct(body, sent) else _sorted([_read_one(0, body)])


def _read_array(body: bytes) -> Reading:
    sent = _attempt(_many_shallow.decode, _many.decode, body)
    if sent is not None:
        _check_length(len(sent))
        if names_are_distinct(body, sent):
            return Reading(list(enumerate(sent)))
    return _read_items(body)


def _attempt(shallow: Decode, deep: Decode, body: bytes) -> Sequence[SentTouchpoint] | None:
    """What `body` holds, when all of it has the shape of touchpoints."""
    for decode in (shallow, deep):
        try:
            return decode(body)
        except msgspec.ValidationError:
            continue
    return None


def _read_items(body: bytes) -> Reading:
    items = _raw_items.decode(body)
    _check_length(len(items))
    return _sorted(_read_one(index, bytes(item)) for index, item in enumerate(items))


def _read_lines(body: bytes) -> Reading:
    lines = [line for line in body.split(b"\n") if line and not line.isspace()]
    _check_length(len(lines))
    if not lines:
        raise Refusal(BAD_JSON, "the body is empty")
    try:
        sent = _attempt(_one_shallow.decode_lines, _one.decode_lines, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        sent = None
    if sent is not None and len(sent) == len(lines) and names_are_distinct(b"[%b]" % b",".join(lines), sent):
        return Reading(list(enumerate(sent)))
    return _sorted(_read_line(index, line) for index, line in enumerate(lines))


def _check_length(touchpoints: int) -> None:
    if touchpoints > MAX_BATCH:
        raise Refusal(BATCH_TOO_LONG, f"send {MAX_BATCH} touchpoints at once at most")


def _sorted(read: Iterable[tuple[int, SentTouchpoint] | Refused]) -> Reading:
    sent: list[tuple[int, SentTouchpoint]] = []
    refused: list[Refused] = []
    for one in read:
        if isinstance(one, Refused):
            refused.append(one)
        else:
            sent.append(one)
    return Reading(sent, refused)


def _read_line(index: int, line: bytes) -> tuple[int, SentTouchpoint] | Refused:
    """Lines stand each for itself: one that is no JSON spoils no other."""
    try:
        return _read_one(index, line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused(index, None, (_syntax_fault(error),))


def _read_one(index: int, text: bytes) -> tuple[int, SentTouchpoint] | Refused:
    """Raises what msgspec raises for bytes that are no JSON."""
    try:
        sent = _one.decode(text)
    except msgspec.ValidationError as error:
        return Refused(index, None, (_shape_fault(error),))
    if names_are_distinct(text, sent):
        return index, sent
    place = "".join(pointer("", key) for key in repeated_name(text) or ())
    return Refused(index, None, (Fault(place, "is there twice"),))


# --- msgspec's words, without what was sent ---------------------------------------------------------------------------

_unknown = pattern(r"Object contains unknown field `(.*)`", DOTALL).fullmatch
_missing = pattern(r"Object missing required field `(\w+)`").fullmatch
_expected = pattern(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$\.(\w+)`)?").fullmatch
_member = pattern(r" - at `\$\.(\w+)`$").search

_DETAILS = {
    "occurred_at": "must be an RFC 3339 instant with its offset, such as 2026-03-01T09:30:00Z",
    "sent_at": "must be an RFC 3339 instant with its offset, such as 2026-03-01T09:30:00Z",
    "initiator": "must be customer or company",
    "service_mode": "must be human, self_service, automated or community",
}


def _shape_fault(error: msgspec.ValidationError) -> Fault:
    """What is wrong with the shape of a touchpoint."""
    text = str(error)
    if found := _unknown(text):
        return Fault(pointer("", found[1]), "is not a member of a touchpoint; put it into properties")
    if found := _missing(text):
        return Fault(f"/{found[1]}", "is required")
    if found := _expected(text):
        place = f"/{found[3]}" if found[3] else ""
        return Fault(place, _DETAILS.get(found[3]) or f"must be {found[1].replace(' | ', ' or ')}, not {found[2]}")
    if found := _member(text):
        return Fault(f"/{found[1]}", _DETAILS.get(found[1], "does not have the form that the schema says"))
    return Fault("", "has a number that is out of range")


def _syntax_fault(error: Exception) -> Fault:
    """Why bytes are no JSON. msgspec names a reason and a byte's place, and quotes nothing."""
    if isinstance(error, RecursionError):
        return Fault("", f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(error, UnicodeDecodeError):
        return Fault("", "is not UTF-8")
    return Fault("", str(error))
