"""A customer's history as the page shows it: each touchpoint, or moment at which time acted, with what it caused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from journey.durations import parse_duration
from journey.outcomes import Kind
from services.api.answers import FactItem, TouchpointItem, TransitionItem
from services.api.dashboard.vocabulary import Channel, channel

LATE = timedelta(hours=1)
"""A touchpoint that came later than this after it happened says so."""

_SIGNS = {
    "moment": "◆",
    "pain_opened": "▲",
    "pain_resolved": "△",
    "objection_raised": "▲",
    "objection_answered": "△",
    "dead_time": "◷",
    "denied": "⊘",
    "action_proposed": "☐",
    "measured": "↔",
    "persona": "☺",
}

_DETAILS_SHOWN = 5

Shown = TouchpointItem | TransitionItem | FactItem


@dataclass
class Entry:
    """A line of the history. Without a touchpoint, time caused it (or the touchpoint is on the next page)."""

    occurred_at: datetime
    touchpoint: TouchpointItem | None = None
    effects: list[TransitionItem | FactItem] = field(default_factory=list)

    @property
    def channel(self) -> Channel:
        return channel(self.touchpoint.channel if self.touchpoint else "")

    @property
    def shown(self) -> list[TransitionItem | FactItem]:
        """The effects that are worth a line: not an action no longer called for, nor one persona in each journey."""
        worth: dict[object, TransitionItem | FactItem] = {}
        for one in self.effects:
            if isinstance(one, FactItem) and one.fact == Kind.ACTION_WITHDRAWN:
                continue
            said = one.name if isinstance(one, FactItem) and one.fact == Kind.PERSONA else id(one)
            worth.setdefault(said, one)
        return list(worth.values())

    @property
    def late(self) -> bool:
        return self.touchpoint is not None and self.touchpoint.received_at - self.occurred_at > LATE

    @property
    def details(self) -> list[str]:
        """What the touchpoint's properties say, as far as it is short."""
        properties = (self.touchpoint and self.touchpoint.properties) or {}
        plain = [(name, value) for name, value in properties.items() if isinstance(value, str | int | float | bool)]
        return [f"{name.replace('_', ' ')}: {value}" for name, value in plain[:_DETAILS_SHOWN]]


def entries(items: Iterable[Shown]) -> list[Entry]:
    """The lines of a history whose newest items come first: what a touchpoint caused comes before it."""
    found: list[Entry] = []
    key: tuple[object, ...] | None = None
    for item in items:
        if _key(item) != key:
            key = _key(item)
            found.append(Entry(item.occurred_at))
        if isinstance(item, TouchpointItem):
            found[-1].touchpoint = item
        else:
            found[-1].effects.insert(0, item)
    return found


def _key(item: Shown) -> tuple[object, ...]:
    if isinstance(item, TouchpointItem):
        return (item.source, item.id)
    if item.cause.get("kind") == "touchpoint":
        return (item.cause["source"], item.cause["id"])
    return (item.occurred_at,)


def sign(fact: FactItem) -> str:
    """The sign that stands before a fact."""
    return _SIGNS.get(fact.fact, "·")


def lasted(text: str, language: str) -> str:
    """An ISO 8601 duration as people say it: `3 d 4 h`, `35 min`."""
    try:
        length = parse_duration(text)
    except ValueError:
        return text
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    day = "j" if language == "fr" else "d"
    parts = [f"{number} {unit}" for number, unit in ((days, day), (hours, "h"), (minutes, "min")) if number]
    return " ".join(parts[:2]) if parts else f"{seconds} s"


def measure_of(detail: Mapping[str, Any], language: str) -> str:
    """What was measured, against its budget."""
    if "lasted" not in detail:
        return ""
    text = lasted(detail["lasted"], language)
    return f"{text} / {lasted(detail['budget'], language)}" if "budget" in detail else text
