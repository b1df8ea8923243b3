"""Reads `paths/*.yaml`: what a customer lived, written by hand, and where that leaves them.

path      what it is about, in words
story     one of the shipped stories that it starts from; with `to` (its last touchpoint) or `without` some
lived     touchpoints: [time since the start, type] or [time, type, {channel, initiator, traits, properties, context}];
          what is left out is as the vocabulary calls usual
until     the end: the horizon of the fold
stages    of customer-journey, buyer-journey, purchase-cycle, drive: `name`, `name run` or null (never began)
open      open pains and objections by journey; none where none are given
clash     the journeys that declare their stage incoherent with another journey's; none where none are given
dead, personas, entered, actions   only where given: who is in dead time, the persona, when the stage was entered,
          the actions proposed, highest priority first
found     facts that must be among those found: `journey kind name`
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from jalon.stories import Told, read, touchpoints_from
from journey.definition import parse
from journey.documents import load_yaml
from journey.machine import Journeys, compile_journeys
from journey.touchpoint import Touchpoint

JOURNEYS = ("customer-journey", "buyer-journey", "purchase-cycle", "drive")
START = datetime(2026, 3, 2, tzinfo=UTC)
_HERE = Path(__file__).parent / "paths"
_SHIPPED = Path(__file__).parents[2] / "schemas" / "journeys"


class WrittenPath(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One path, as it is written."""

    path: str
    story: str | None = None
    to: str | None = None
    without: tuple[str, ...] = ()
    lived: tuple[tuple[Any, ...], ...] = ()
    until: str
    stages: tuple[str | None, str | None, str | None, str | None]
    open: Mapping[str, Sequence[str]] = {}
    clash: tuple[str, ...] = ()
    dead: tuple[str, ...] | None = None
    personas: Mapping[str, str | None] = {}
    entered: Mapping[str, str] = {}
    actions: Mapping[str, list[str]] = {}
    found: tuple[str, ...] = ()

    def touchpoints(self, start: datetime) -> list[Touchpoint]:
        """What was lived, in order, if it began at `start`."""
        return list(touchpoints_from((*self._told_by_story(), *self._told_here()), start))

    def _told_by_story(self) -> Iterator[Told]:
        for told in read(self.story).touchpoints if self.story else ():
            if told.id not in self.without:
                yield told
            if told.id == self.to:
                return

    def _told_here(self) -> Iterator[Told]:
        for number, (at, type_, *more) in enumerate(self.lived):
            members = {"id": f"p{number:02}", "at": at, "type": type_, "source": "paths"}
            shopper = {"identifiers": {"email": "shopper@example.com"}}
            yield msgspec.convert({**members, **shopper, **(more[0] if more else {})}, Told)


def shipped() -> Journeys:
    """The four definitions as they are shipped."""
    return compile_journeys(parse(file.read_text(encoding="utf-8")) for file in sorted(_SHIPPED.glob("*.yaml")))


def written_paths() -> list[WrittenPath]:
    """All paths of all files."""
    documents = [load_yaml(file.read_text(encoding="utf-8")) for file in sorted(_HERE.glob("*.yaml"))]
    return msgspec.convert([path for document in documents for path in document], list[WrittenPath])
