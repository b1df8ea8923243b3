"""A touchpoint as the store keeps it: columns for what is searched, one JSON body for the rest.

In the stored form identifiers are digests (their hex), so that a stored touchpoint names nobody without the secret.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from journey.touchpoint import Touchpoint


class StoredTouchpoint(NamedTuple):
    """A row of `touchpoints`, in the order of `COLUMNS`."""

    source: str
    id: str
    customer: int
    occurred_at: datetime
    sequence: int
    received_at: datetime
    type: str
    channel: str
    device: bytes | None
    body: bytes


COLUMNS = StoredTouchpoint._fields


class _Body(msgspec.Struct, omit_defaults=True):
    identifiers: Mapping[str, str]
    initiator: str = "customer"
    service_mode: str | None = None
    traits: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Body).decode


def pack(touchpoint: Touchpoint, customer: int, device: bytes | None) -> StoredTouchpoint:
    """The row of a touchpoint in its stored form."""
    body = _Body(
        touchpoint.identifiers,
        touchpoint.initiator,
        touchpoint.service_mode,
        touchpoint.traits,
        touchpoint.properties,
        touchpoint.context,
    )
    return StoredTouchpoint(
        touchpoint.source,
        touchpoint.id,
        customer,
        touchpoint.occurred_at,
        touchpoint.sequence,
        touchpoint.received_at,
        touchpoint.type,
        touchpoint.channel,
        device,
        _encode(body),
    )


def unpack(row: Mapping[str, Any]) -> Touchpoint:
    """The touchpoint of a row that has at least the columns of `COLUMNS`."""
    body = _decode(row["body"])
    return Touchpoint(
        source=row["source"],
        id=row["id"],
        type=row["type"],
        occurred_at=row["occurred_at"],
        received_at=row["received_at"],
        channel=row["channel"],
        sequence=row["sequence"],
        initiator=body.initiator,
        service_mode=body.service_mode,
        identifiers=body.identifiers,
        traits=body.traits,
        properties=body.properties,
        context=body.context,
    )
