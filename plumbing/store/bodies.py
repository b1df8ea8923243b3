"""A touchpoint as the store keeps it: columns for what is searched, one JSON body for the rest.

In the stored form identifiers are digests (their hex), so that a stored touchpoint names nobody without the secret.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from journey.touchpoint import Touchpoint


class StoredTouchpoint(NamedTuple):
    """A row of `touchpoints`, in the order of `COLUMNS`."""

    source: str
    id: str
    customer: int | None
    occurred_at: datetime
    sequence: int
    received_at: datetime
    type: str
    channel: str
    device: bytes | None
    owner: bytes | None
    body: bytes


COLUMNS = StoredTouchpoint._fields


class _Body(msgspec.Struct, omit_defaults=True):
    identifiers: Mapping[str, str]
    struck: Sequence[str] = ()
    initiator: str = "customer"
    service_mode: str | None = None
    traits: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Body).decode


class Whose(NamedTuple):
    """Whose a touchpoint is: the customer, the identifier that stands for them, and the device or reference that says
    so, where no strong identifier does."""

    customer: int
    owner: bytes
    device: bytes | None


def pack(touchpoint: Touchpoint, whose: Whose | None, struck: Collection[str] = ()) -> StoredTouchpoint:
    """The row of a touchpoint in its stored form, with all its identifiers; those of kinds that are `struck` do not
    count. `whose` is None where it is nobody's."""
    body = _Body(
        touchpoint.identifiers,
        sorted(struck),
        touchpoint.initiator,
        touchpoint.service_mode,
        touchpoint.traits,
        touchpoint.properties,
        touchpoint.context,
    )
    return StoredTouchpoint(
        touchpoint.source,
        touchpoint.id,
        whose and whose.customer,
        touchpoint.occurred_at,
        touchpoint.sequence,
        touchpoint.received_at,
        touchpoint.type,
        touchpoint.channel,
        whose and whose.device,
        whose and whose.owner,
        _encode(body),
    )


def struck(row: Mapping[str, Any]) -> frozenset[str]:
    """The kinds of identifiers in a row that do not count."""
    return frozenset(_decode(row["body"]).struck)


def unpack(row: Mapping[str, Any]) -> Touchpoint:
    """The touchpoint of a row that has at least the columns of `COLUMNS`, as it was sent: nothing is struck."""
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
