"""From log records to touchpoints in their stored form: identifiers as digests, and nothing else changed.

A record that is no touchpoint becomes a dead letter; it never stops its partition.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from journey.identity import Class, Identifier, Kinds
from journey.touchpoint import Order, Touchpoint, decode
from plumbing.log.port import StoredRecord
from plumbing.store.dead_letters import DeadLetter
from plumbing.store.sealing import Sealer

LONGEST_KEY = 1_000
"""Bytes of `source` and `id` together that fit an index entry of Postgres with room to spare."""


_DIGESTS_KEPT = 65_536


class Carried(NamedTuple):
    """An identifier as a touchpoint carries it."""

    digest: bytes
    identifier: Identifier


class Incoming(NamedTuple):
    """A touchpoint in its stored form, and the identifiers it came with, strongest first."""

    touchpoint: Touchpoint
    order: Order
    strong: Sequence[Carried]
    others: Sequence[Carried]

    @property
    def device(self) -> Carried | None:
        """What decides whose this is: nothing but the person, where a strong identifier names one."""
        return None if self.strong else self.others[0]


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
        strong: list[Carried] = []
        others: list[Carried] = []
        digests: dict[str, str] = {}
        for identifier in self._kinds.identifiers(touchpoint):
            digest = self._digest(identifier.kind, identifier.value, identifier.scope)
            digests[identifier.kind] = digest.hex()
            (strong if identifier.class_ is Class.STRONG else others).append(Carried(digest, identifier))
        stored = replace(touchpoint, identifiers=digests)
        return Incoming(stored, touchpoint.order, strong, others)


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
