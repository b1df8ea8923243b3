"""From log records to touchpoints in their stored form: identifiers as digests, and nothing else changed.

A record that is no touchpoint becomes a dead letter; it never stops its partition.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from journey.assignment import Names
from journey.identity import Class, Identifier, Kinds
from journey.touchpoint import Order, Touchpoint, decode
from plumbing.log.port import StoredRecord
from plumbing.store.bodies import struck, unpack
from plumbing.store.dead_letters import DeadLetter
from plumbing.store.sealing import Sealer

LONGEST_KEY = 1_000
"""Bytes of `source` and `id` together that fit an index entry of Postgres with room to spare."""


_DIGESTS_KEPT = 65_536

CLASSES = (Class.STRONG, Class.REFERENCE, Class.WEAK)
"""In the order of `Names`."""


class Carried(NamedTuple):
    """An identifier as a touchpoint carries it."""

    digest: bytes
    identifier: Identifier


class Incoming(NamedTuple):
    """A touchpoint in its stored form, and the identifiers it came with, strongest first. `names` are those that count:
    not the ones of the kinds that are `struck`."""

    touchpoint: Touchpoint
    order: Order
    carried: Sequence[Carried]
    names: Names
    struck: frozenset[str] = frozenset()

    def without(self, digests: Collection[bytes]) -> "Incoming":
        """The same with these identifiers struck."""
        struck = frozenset(one.identifier.kind for one in self.carried if one.digest in digests)
        names = Names(*(tuple(name for name in names if name not in digests) for names in self.names))
        return self._replace(names=names, struck=struck)


class Seen(NamedTuple):
    """A touchpoint as far as it matters for whose it and others are."""

    order: Order
    type: str
    names: Names

    @property
    def key(self) -> tuple[str, str]:
        return self.order.source, self.order.id


def names_of(row: Mapping[str, Any], kinds: Kinds) -> Names:
    """The identifiers of a stored row that count: none when it is nobody's."""
    if row["customer"] is None:
        return Names((), (), ())
    gone = struck(row)
    counting = [identifier for identifier in kinds.identifiers(unpack(row)) if identifier.kind not in gone]
    return Names(*(tuple(bytes.fromhex(one.value) for one in counting if one.class_ is class_) for class_ in CLASSES))


class Reader:
    """Makes records into touchpoints, under one secret and one identity configuration."""

    def __init__(self, sealer: Sealer, kinds: Kinds) -> None:
        self._kinds = kinds
        # the same people come again and again; a digest depends on nothing but its arguments
        self._digest = lru_cache(maxsize=_DIGESTS_KEPT)(sealer.digest)

    def read(self, record: StoredRecord) -> Incoming | str:
        """The touchpoint of a record, or the reason why it is none."""
        try:
            touchpoint = decode(record.value)
        except msgspec.DecodeError as error:
            return f"not a touchpoint: {_without_values(error)}"
        return _unusable(touchpoint) or self._stored_form(touchpoint)

    def _stored_form(self, touchpoint: Touchpoint) -> Incoming:
        carried: list[Carried] = []
        strong, references, weak = [], [], []
        digests: dict[str, str] = {}
        for identifier in self._kinds.identifiers(touchpoint):
            digest = self._digest(identifier.kind, identifier.value, identifier.scope)
            digests[identifier.kind] = digest.hex()
            carried.append(Carried(digest, identifier))
            if identifier.class_ is Class.STRONG:
                strong.append(digest)
            elif identifier.class_ is Class.WEAK:
                weak.append(digest)
            else:
                references.append(digest)
        stored = replace(touchpoint, identifiers=digests)
        return Incoming(stored, touchpoint.order, carried, Names(tuple(strong), tuple(references), tuple(weak)))


def dead_letter(topic: str, partition: int, record: StoredRecord, reason: str, at: datetime) -> DeadLetter:
    """The dead letter of a record of `topic`."""
    headers = msgspec.msgpack.encode(record.headers)
    source = _header(record.headers, "ce_source")
    return DeadLetter(topic, partition, record.offset, source, reason, record.key, record.value, headers, at)


def _header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    value = next((value for key, value in headers if key == name), None)
    return value.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}") if value is not None else None


def _without_values(error: msgspec.DecodeError) -> str:
    """What msgspec says of the shape, which never quotes what was sent, cut to a line."""
    return str(error).split("\n", 1)[0][:200]


def _unusable(touchpoint: Touchpoint) -> str | None:
    """Why Postgres could not store this; ingest has refused all of it, but not everything comes through ingest."""
    if "\0" in f"{touchpoint.source}{touchpoint.id}{touchpoint.type}{touchpoint.channel}":
        return "source, id, type or channel has a NUL character"
    if len(f"{touchpoint.source}{touchpoint.id}".encode("utf-8", "replace")) > LONGEST_KEY:
        return f"source and id have more than {LONGEST_KEY} bytes together"
    if not touchpoint.identifiers:
        return "no identifier"
    if touchpoint.occurred_at.tzinfo is None or touchpoint.received_at.tzinfo is None:
        return "occurred_at and received_at need a zone"
    return None
