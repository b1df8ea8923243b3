"""Small journeys and touchpoints for tests that tell a story: only what the story needs is written."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from journey.definition import parse
from journey.fold import fold
from journey.machine import Journeys, compile_journeys
from journey.outcomes import Advanced, Fact
from journey.touchpoint import Touchpoint

DAY_0 = datetime(2026, 3, 1, 9, tzinfo=UTC)
LABEL = {"en": "A label", "fr": "Un nom"}


def at(days: float = 0, hours: float = 0, minutes: float = 0) -> datetime:
    """So long after the beginning of the story."""
    return DAY_0 + timedelta(days=days, hours=hours, minutes=minutes)


def touchpoint(type_: str, when: datetime = DAY_0, **rest: Any) -> Touchpoint:
    """A touchpoint of the customer's own on the website; its id is told from its type and time unless given."""
    given = {"source": "web", "id": f"{type_}@{when.isoformat()}", "channel": "website", "received_at": when}
    return Touchpoint(type=type_, occurred_at=when, identifiers={"crm_id": "1"}, **{**given, **rest})


def document(**parts: Any) -> dict[str, Any]:
    """A definition as plain values: `new`, `known`, `won` in forward order, and whatever else is given."""
    stages = [{"name": name, "phase": "during", "label": LABEL} for name in ("new", "known", "won")]
    return {
        "journey": "story",
        "version": 1,
        "label": LABEL,
        "initial": "new",
        "stages": stages,
        "transitions": [],
        **parts,
    }


def rule(name: str, from_: str | list[str], to: str, **rest: Any) -> dict[str, Any]:
    reason = {"reason": LABEL} if "backward" in rest else {}
    return {"rule": name, "label": LABEL, "from": from_, "to": to, **reason, **rest}


def named(name: str, **rest: Any) -> dict[str, Any]:
    return {"name": name, "label": LABEL, **rest}


def text(written: Mapping[str, Any]) -> str:
    return msgspec.json.encode(written).decode()


def journeys(*documents: Mapping[str, Any]) -> Journeys:
    return compile_journeys(parse(text(one)) for one in documents)


def told(written: Mapping[str, Any], story: Iterable[Touchpoint], until: datetime) -> Advanced:
    """What the fold makes of a story, whichever way round it is told."""
    return fold(journeys(written), sorted(story, key=lambda one: one.order), until)


def path(outcome: Advanced) -> list[str]:
    """The stages, in order."""
    return [transition.to_stage for transition in outcome.transitions]


def facts(outcome: Advanced, *kinds: str) -> list[Fact]:
    return [fact for fact in outcome.facts if not kinds or fact.kind in kinds]
