"""What the fold remembers of a customer: what the definitions need to go on, small enough to read each time.

States are frozen values. Their MessagePack form is canonical (keys sorted, nothing that depends on arrival), so that
two customers who lived the same have the same bytes.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from journey.touchpoint import Order


class ByTouchpoint(msgspec.Struct, frozen=True, tag="touchpoint", tag_field="kind"):
    """A touchpoint caused it."""

    source: str
    id: str
    type: str
    channel: str


class ByTime(msgspec.Struct, frozen=True, tag="timer", tag_field="kind"):
    """Time caused it: `after` had passed since `since`, where silence (`of`: silence) or the stay began (stage)."""

    of: str
    since: datetime
    after: timedelta


Cause = ByTouchpoint | ByTime


class JourneyState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a customer is in one journey.

    `rule` and `cause` explain the stage. `windows` holds, for each rule of this stage that counts touchpoints, the
    instants that may still count, and `tallies` the same for pains and objections; `open` since when each pain and
    objection is open; `started` and `measured` (microseconds) the measures of this run; `stays` how many stays there
    were before this one, and `place` how many of them began at the instant of this one.
    """

    run: int = 1
    stage: str
    entered_at: datetime
    place: int = 0
    stays: int = 0
    rule: str
    cause: Cause
    persona: str | None = None
    persona_at: datetime | None = None
    dead_since: datetime | None = None
    windows: Mapping[str, tuple[datetime, ...]] = {}
    tallies: Mapping[str, tuple[datetime, ...]] = {}
    open: Mapping[str, datetime] = {}
    started: Mapping[str, datetime] = {}
    measured: Mapping[str, int] = {}
    proposed: tuple[str, ...] = ()


class CustomerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a customer is in all journeys.

    `last` is the order of the last folded touchpoint and `fired_at` the instant of the last timer: what belongs before
    either is late. `heard_at` is the customer's last own touchpoint, from which silence counts. `facts` counts the
    facts found so far.
    """

    last: Order | None = None
    fired_at: datetime | None = None
    heard_at: datetime | None = None
    facts: int = 0
    traits: Mapping[str, Any] = {}
    journeys: Mapping[str, JourneyState] = {}


NOBODY = CustomerState()
"""The state of a customer of whom nothing is known."""

_encoder = msgspec.msgpack.Encoder(order="sorted")
_decoder = msgspec.msgpack.Decoder(CustomerState)


def encode_state(state: CustomerState) -> bytes:
    return _encoder.encode(state)


def decode_state(data: bytes) -> CustomerState:
    """Read back what `encode_state` wrote; no bytes at all are `NOBODY`."""
    return _decoder.decode(data) if data else NOBODY
