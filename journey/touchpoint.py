"""The touchpoint: one thing that happened between a company and a customer, in canonical form.

Two rules live here and nowhere else. **Order**: touchpoints are totally ordered by (`occurred_at`, `sequence`,
`source`, `id`). **Duplicates**: of all copies of (`source`, `id`) the one with the least (`occurred_at`, body digest)
counts, so that it does not matter which copy came first.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

FUTURE_LIMIT = timedelta(hours=24)
"""How far `occurred_at` may lie after `received_at`: the clocks of tills and phones are wrong by hours, not days."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Order(NamedTuple):
    """A touchpoint's place in the total order; compares as a tuple."""

    occurred_at: datetime
    sequence: int
    source: str
    id: str


class Touchpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `schemas/touchpoint.schema.json` describes, after ingest has filled in and normalised what it must.

    Every instant is an aware UTC `datetime` with microseconds. `identifiers` maps a kind to its normalised value.
    """

    source: str
    id: str
    type: str
    occurred_at: datetime
    received_at: datetime
    channel: str
    sequence: int = 0
    initiator: str = "customer"
    service_mode: str | None = None
    identifiers: Mapping[str, str]
    traits: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}

    @property
    def order(self) -> Order:
        return Order(self.occurred_at, self.sequence, self.source, self.id)


_decoder = msgspec.json.Decoder(Touchpoint)
_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")


def encode(touchpoint: Touchpoint) -> bytes:
    """The JSON that the log carries."""
    return _encoder.encode(touchpoint)


def decode(data: bytes) -> Touchpoint:
    """Read back what `encode` wrote.

    Raises `msgspec.DecodeError` (`msgspec.ValidationError` for well-formed JSON of another shape).
    """
    return _decoder.decode(data)


def body_digest(touchpoint: Touchpoint) -> bytes:
    """SHA-256 (32 bytes) of the canonical JSON without the reception fields: names which copy of an event this is."""
    body = msgspec.to_builtins(touchpoint)
    del body["received_at"]
    return sha256(_canonical.encode(body)).digest()


def counts_before(one: Touchpoint, other: Touchpoint) -> bool:
    """Whether `one` is the copy that counts, of two accepted copies of the same (`source`, `id`)."""
    return (one.occurred_at, body_digest(one)) < (other.occurred_at, body_digest(other))
