"""The shoppers' stories that the demo plays, as data: what each lived, when, and where it leaves them.

A story is a YAML file:

    story         its name
    label         its title, in English and French
    found_by      identifiers (kind → value), each of which finds the shopper once the story has been told
    ends          how long after its start what it `expects` holds (ISO 8601)
    touchpoints   what the shopper lived, in order. `at` is the time since the start of the story; what is left out
                  (`channel`, `initiator`, `service_mode`) is what the vocabulary calls usual for the type
    others        touchpoints of other people, whom the story expects nothing of
    expects       for each journey null (never began) or: the stage, run (1 by default) and persona at the end; all
                  `transitions` in order (`rule touchpoint stage`); all `moments` (`name touchpoint`); all `pains` and
                  `objections` (`name opened-by [settled-by]`); the `actions` proposed at the end; some `measures`

Nothing here knows today's date: `Story.touchpoints_from` sets a story at any instant.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from journey.documents import load_yaml
from journey.durations import parse_duration
from journey.touchpoint import Touchpoint
from schemas import vocabulary_document

NAMES = ("ludovic", "earphone_runner", "file_storage_assistant", "drive_shopper")
"""In the order in which the demo tells them."""


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A touchpoint of a story; `at` is an ISO 8601 duration since the story's start."""

    id: str
    at: str
    type: str
    source: str
    identifiers: Mapping[str, str]
    channel: str | None = None
    initiator: str | None = None
    service_mode: str | None = None
    traits: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}


class Ending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a story leaves its shopper in one journey, and how they came there."""

    stage: str
    run: int = 1
    persona: str | None = None
    transitions: tuple[str, ...]
    moments: tuple[str, ...]
    pains: tuple[str, ...]
    objections: tuple[str, ...] = ()
    actions: tuple[str, ...]
    measures: Mapping[str, str] = {}


class Story(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shopper's story."""

    story: str
    label: Mapping[str, str]
    found_by: Mapping[str, str]
    ends: str
    touchpoints: tuple[Told, ...]
    others: tuple[Told, ...] = ()
    expects: Mapping[str, Ending | None]

    @property
    def lasts(self) -> timedelta:
        return parse_duration(self.ends)

    def touchpoints_from(self, start: datetime) -> Iterator[Touchpoint]:
        """The shopper's touchpoints when the story begins at `start` (aware, UTC); each is received as it happens."""
        return touchpoints_from(self.touchpoints, start)


@cache
def read(name: str) -> Story:
    """The story of that name; one of `NAMES`."""
    text = (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
    return msgspec.convert(load_yaml(text), Story)


def touchpoints_from(told: Iterable[Told], start: datetime) -> Iterator[Touchpoint]:
    """What was told as if it had begun at `start`."""
    usual = _usual()
    for one in told:
        at = start + parse_duration(one.at)
        yield Touchpoint(
            source=one.source,
            id=one.id,
            type=one.type,
            occurred_at=at,
            received_at=at,
            channel=one.channel or usual[one.type]["channel"],
            initiator=one.initiator or usual[one.type]["initiator"],
            service_mode=one.service_mode or usual[one.type]["service_mode"],
            identifiers=one.identifiers,
            traits=one.traits,
            properties=one.properties,
            context=one.context,
        )


@cache
def _usual() -> Mapping[str, Mapping[str, str]]:
    """What the vocabulary calls usual for each touchpoint type."""
    text = vocabulary_document()
    types: Mapping[str, Mapping[str, str]] = load_yaml(text)["types"]
    return types
