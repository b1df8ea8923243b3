"""The recent past of a customer, kept beside the state, so that what comes a little late is folded without history.

A *segment* is a state that was once folded, its *base*, and every touchpoint since then (those that wait for the
horizon too). There are two at most: when the newest is full it becomes the older one, and the state of that moment the
base of the next. So nothing is ever folded a second time to move a base, and something is always left to go back to.

Of a touchpoint it keeps what a fold under the definitions in force can look at, and no identifiers. Under other
definitions it says nothing: see `Journeys.fingerprint`.

The bytes begin with what changes. Touchpoints stand newest first, so that a row that grew by one is the same from some
place on, and Postgres logs only what comes before (`log_heap_update` leaves out what both versions end with).
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from journey.machine import Journeys
from journey.state import CustomerState, decode_state
from journey.touchpoint import Order, Touchpoint

ROW_BYTES = 1_900
"""What a row should stay below: of rows above 2 kB Postgres compresses a part or puts it elsewhere, each time."""

LEAST_BYTES = 256
"""What a segment may have all the same, beside a state that fills the row."""

AT_MOST = 8_192
"""Bytes above which nothing is kept: many that wait can come to that, or a state with long documents for traits."""

_LENGTHS = Struct(">II")
_LENGTH = Struct(">I")
_FINGERPRINT = 8
_MOMENT = timedelta(microseconds=1)


class Segment(NamedTuple):
    """A state (deflated; empty: nobody's) and the touchpoints after it, newest first, each behind its length."""

    base: bytes
    entries: bytes


class Recent(NamedTuple):
    """What is kept of a customer."""

    newest: Segment
    older: Segment | None = None


class Past(NamedTuple):
    """A state (`base` are its bytes) and all touchpoints since, in order; what is older beside it."""

    state: CustomerState
    touchpoints: list[Touchpoint]
    base: bytes
    older: Segment | None


NOTHING_YET = Recent(Segment(b"", b""))
"""Of a customer who has no touchpoint at all."""


def room(state: bytes) -> int:
    """Bytes that the touchpoints of one segment may have beside a state, and twice its deflated copy, in one row."""
    return max(LEAST_BYTES, ROW_BYTES // 2 - len(state))


def write(journeys: Journeys, recent: Recent | None) -> bytes:
    """The bytes of it; none at all where nothing is kept."""
    if recent is None:
        return b""
    parts = [journeys.fingerprint]
    for segment in recent:
        if segment is not None:
            parts += _LENGTHS.pack(len(segment.base), len(segment.entries)), segment.entries, segment.base
    data = b"".join(parts)
    return data if len(data) <= AT_MOST else b""


def read(journeys: Journeys, data: bytes) -> Recent | None:
    """Read back what `write` wrote. None: nothing is kept, or it was kept under other definitions."""
    if data[:_FINGERPRINT] != journeys.fingerprint:
        return None
    newest, begin = _segment(data, _FINGERPRINT)
    return Recent(newest, _segment(data, begin)[0] if begin < len(data) else None)


def as_base(state: bytes) -> bytes:
    """A state (as `encode_state` gave it) as the base of a segment."""
    return zlib.compress(state, 1, -zlib.MAX_WBITS) if state else b""


def as_entries(journeys: Journeys, touchpoints: Sequence[Touchpoint]) -> list[bytes]:
    """Touchpoints as segments keep them, one by one."""
    return [_entry(journeys, touchpoint) for touchpoint in touchpoints]


def cut(entries: Sequence[bytes], most: int) -> int:
    """The index from which entries fit into so many bytes."""
    sizes = accumulate(map(len, reversed(entries)))
    return len(entries) - sum(size <= most for size in sizes)


def after(base: bytes, entries: Sequence[bytes]) -> Recent:
    """A base and entries (in order) after it, and nothing older."""
    return Recent(Segment(base, b"".join(reversed(entries))))


def append(recent: Recent, entries: Sequence[bytes]) -> Recent:
    """The same with touchpoints that come after all others."""
    newest = recent.newest
    return Recent(Segment(newest.base, b"".join([*reversed(entries), newest.entries])), recent.older)


def begin_next(recent: Recent, state: bytes) -> Recent:
    """The same with a state as the base of what comes next: the newest segment becomes the older one."""
    return Recent(Segment(as_base(state), b""), recent.newest)


def past(recent: Recent, first: Order | None) -> Past | None:
    """The shortest past that begins before a place in the order (None: after all that was folded), if there is one."""
    newest, older = recent
    state = _state(newest.base)
    if _is_before(state, first):
        return Past(state, _touchpoints(newest.entries), newest.base, older)
    if older is None:
        return None
    state = _state(older.base)
    if not _is_before(state, first):
        return None
    return Past(state, _touchpoints(newest.entries + older.entries), older.base, None)


def _segment(data: bytes, begin: int) -> tuple[Segment, int]:
    base, entries = _LENGTHS.unpack_from(data, begin)
    begin += _LENGTHS.size
    middle, end = begin + entries, begin + entries + base
    return Segment(data[middle:end], data[begin:middle]), end


def _state(base: bytes) -> CustomerState:
    return decode_state(zlib.decompress(base, -zlib.MAX_WBITS) if base else b"")


def _is_before(base: CustomerState, place: Order | None) -> bool:
    return place is None or base.last is None or base.last < place


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


def _entry(journeys: Journeys, touchpoint: Touchpoint) -> bytes:
    one = touchpoint
    rest = (one.sequence, one.initiator, one.service_mode, one.occurred_at > one.received_at, _bags(journeys, one))
    head = (one.occurred_at, one.source, one.id, one.type, one.channel)
    entry = _encode(head if rest == _USUAL else head + rest)
    return _LENGTH.pack(len(entry)) + entry


def _bags(journeys: Journeys, touchpoint: Touchpoint) -> bytes:
    bags = (
        _named(touchpoint.traits, journeys.traits),
        _named(touchpoint.properties, journeys.properties),
        _named(touchpoint.context, journeys.context),
    )
    return _encode_bags(bags) if any(bags) else b""


def _named(bag: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: bag[name] for name in names.intersection(bag)} if bag else {}


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
