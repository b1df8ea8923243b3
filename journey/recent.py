"""The recent past of a customer, kept beside the state, so that what comes a little late is folded without history.

A *segment* is a state that was once folded, its *base*, and every touchpoint since then (those that wait for the
horizon too). There are two at most: when the newest is full it becomes the older one, and the state of that moment the
base of the next. So nothing is ever folded a second time to move a base, and something is always left to go back to.

Of a touchpoint it keeps what a fold under the definitions in force can look at, and no identifiers. Under other
definitions it says nothing: see `Journeys.fingerprint`.

    recent   =  form | fingerprint | newest segment | older segment, if there is one
    segment  =  lengths | touchpoints, newest first, each behind its length | base

The bytes begin with what changes. Touchpoints stand newest first, so that a row that grew by one is the same from some
place on, and Postgres logs only what comes before (`log_heap_update` leaves out what both versions end with).
"""

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from journey.machine import Journeys
from journey.reads import Reads
from journey.state import CustomerState, decode_state
from journey.touchpoint import Order, Touchpoint

ROW_BYTES = 2_400
"""What a row should stay below: then two of them and a new version of one share a page of Postgres."""

LEAST_BYTES = 384
"""What a segment may have all the same, beside a state that fills the row."""

AT_MOST = 8_192
"""Bytes above which nothing is kept: many that wait can come to that, or a state with long documents for traits."""

DEFLATED_ABOVE = 512
"""Bytes of a state from which on it is deflated as a base: then it loses half, which is worth some microseconds."""

_PLAIN, _DEFLATED = b"=", b"z"
_WINDOW_BITS, _MEMORY_LEVEL = -12, 3  # raw, in little memory: a state has some hundred bytes
_LENGTHS = Struct(">II")
_LENGTH = Struct(">I")
_FORM = b"1"
"""Names the form of these bytes: of another form nothing is known."""

_HEAD = 9
_MOMENT = timedelta(microseconds=1)


class Past(NamedTuple):
    """A state (`base`: as a segment has it) and all touchpoints since, in order; `older` segments beside it."""

    state: CustomerState
    touchpoints: list[Touchpoint]
    base: bytes
    older: bytes


def room(state: bytes) -> int:
    """Bytes that the touchpoints of one segment may have beside a state, and twice as a base, in one row."""
    base = len(state) // 2 if len(state) > DEFLATED_ABOVE else len(state)
    return max(LEAST_BYTES, (ROW_BYTES - len(state)) // 2 - base)


def is_of(journeys: Journeys, recent: bytes) -> bool:
    """Whether something is kept, and under these definitions."""
    return recent.startswith(_head(journeys))


def of_nobody(journeys: Journeys) -> bytes:
    """What is kept of a customer who has no touchpoint yet: from then on, all is."""
    return after(journeys, as_base(b""), ())


def as_base(state: bytes) -> bytes:
    """A state (as `encode_state` gave it; empty: nobody's) as the base of a segment: deflated if that is worth it."""
    if len(state) <= DEFLATED_ABOVE:
        return _PLAIN + state
    deflater = zlib.compressobj(1, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return _DEFLATED + deflater.compress(state) + deflater.flush()


def as_entries(journeys: Journeys, touchpoints: Sequence[Touchpoint]) -> list[bytes]:
    """Touchpoints as segments keep them, one by one."""
    return [_entry(journeys.reads, touchpoint) for touchpoint in touchpoints]


def cut(entries: Sequence[bytes], most: int) -> int:
    """The index from which entries fit into so many bytes."""
    sizes = accumulate(map(len, reversed(entries)))
    return len(entries) - sum(size <= most for size in sizes)


def after(journeys: Journeys, base: bytes, entries: Sequence[bytes], older: bytes = b"") -> bytes:
    """A base, the entries (in order) after it, and an older segment."""
    together = b"".join(reversed(entries))
    return _bounded(_head(journeys) + _LENGTHS.pack(len(base), len(together)) + together + base + older)


def append(recent: bytes, entries: Sequence[bytes]) -> bytes:
    """The same with touchpoints that come after all others."""
    added = b"".join(reversed(entries))
    base, kept = _LENGTHS.unpack_from(recent, _HEAD)
    return _bounded(recent[:_HEAD] + _LENGTHS.pack(base, kept + len(added)) + added + recent[_HEAD + _LENGTHS.size :])


def newest(recent: bytes) -> int:
    """The bytes that the touchpoints of the newest segment have."""
    entries: int = _LENGTHS.unpack_from(recent, _HEAD)[1] if recent else 0
    return entries


def begin_next(recent: bytes, state: bytes) -> bytes:
    """The same with a state as the base of what comes next: the newest segment becomes the older one."""
    base, end = as_base(state), _end(recent, _HEAD)
    return _bounded(recent[:_HEAD] + _LENGTHS.pack(len(base), 0) + base + recent[_HEAD:end])


def past(recent: bytes, first: Order | None) -> Past | None:
    """The shortest past that begins before a place in the order (None: after all that was folded), if there is one."""
    begin, end = _HEAD, _end(recent, _HEAD)
    entries = b""
    while begin < end:
        length = _LENGTHS.unpack_from(recent, begin)[1]
        middle = begin + _LENGTHS.size + length
        entries += recent[middle - length : middle]
        base = recent[middle:end]
        state = _state(base)
        if first is None or state.last is None or state.last < first:
            return Past(state, _touchpoints(entries), base, recent[end:])
        begin, end = end, _end(recent, end)
    return None


def _head(journeys: Journeys) -> bytes:
    return _FORM + journeys.fingerprint


def _state(base: bytes) -> CustomerState:
    return decode_state(zlib.decompress(base[1:], _WINDOW_BITS) if base[:1] == _DEFLATED else base[1:])


def _bounded(recent: bytes) -> bytes:
    return recent if len(recent) <= AT_MOST else b""


def _end(recent: bytes, begin: int) -> int:
    """Where the segment that begins there ends."""
    return begin + _LENGTHS.size + sum(_LENGTHS.unpack_from(recent, begin)) if begin < len(recent) else begin


# --- one touchpoint ---------------------------------------------------------------------------------------------------


class _Entry(msgspec.Struct, array_like=True, frozen=True):
    """`ahead`: it lay in the future when it was received. `bags`: traits, properties, context, as the store has them:
    in JSON, where an integer may have any length."""

    occurred_at: datetime
    source: str
    id: str
    type: str
    channel: str
    sequence: int = 0
    initiator: str = "customer"
    service_mode: str | None = None
    ahead: bool = False
    bags: bytes = b""


_USUAL = (0, "customer", None, False, b"")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Entry).decode
_encode_bags = msgspec.json.Encoder().encode
_decode_bags = msgspec.json.Decoder(tuple[dict[str, Any], dict[str, Any], dict[str, Any]]).decode


def _entry(reads: Reads, one: Touchpoint) -> bytes:
    bags = reads.bags(one)
    rest = (
        one.sequence,
        one.initiator,
        one.service_mode,
        one.occurred_at > one.received_at,
        _encode_bags(bags) if bags else b"",
    )
    head = (one.occurred_at, one.source, one.id, one.type, one.channel)
    entry = _encode(head if rest == _USUAL else head + rest)
    return _LENGTH.pack(len(entry)) + entry


def _touchpoints(entries: bytes) -> list[Touchpoint]:
    found = [_touchpoint(entry) for entry in _split(entries)]
    found.reverse()
    return found


def _split(entries: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(entries):
        (length,) = _LENGTH.unpack_from(entries, begin)
        begin += _LENGTH.size
        yield entries[begin : begin + length]
        begin += length


def _touchpoint(data: bytes) -> Touchpoint:
    entry = _decode(data)
    traits, properties, context = _decode_bags(entry.bags) if entry.bags else ({}, {}, {})
    return Touchpoint(
        source=entry.source,
        id=entry.id,
        type=entry.type,
        occurred_at=entry.occurred_at,
        received_at=entry.occurred_at - _MOMENT if entry.ahead else entry.occurred_at,
        channel=entry.channel,
        sequence=entry.sequence,
        initiator=entry.initiator,
        service_mode=entry.service_mode,
        identifiers={},
        traits=traits,
        properties=properties,
        context=context,
    )
