"""Synthetic shoppers: people who live the habits of `crowd.yaml`, the same for the same seed."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from importlib.resources import files
from random import Random
from typing import Any

import msgspec

from jalon.stories import Told, touchpoints_from
from journey.documents import load_yaml
from journey.durations import format_duration, parse_duration
from journey.touchpoint import Touchpoint
from schemas import vocabulary_document

SEED = 1

_LONGEST = timedelta(days=900)
"""No shopper's history begins longer ago."""

_FIRST_NAMES = ("alice", "bruno", "chloe", "david", "emma", "farid", "gaelle", "hugo", "ines", "jules", "karim", "lea")
_LAST_NAMES = ("bernard", "dubois", "garcia", "lambert", "moreau", "nguyen", "petit", "roux", "simon", "traore")

_PERSONAL = {
    "store": ("store", "loyalty_card"),
    "drive": ("store", "loyalty_card"),
    "call_center": ("call-center", "phone"),
    "chat": ("call-center", "phone"),
    "email": ("marketing", None),
    "sms": ("marketing", "phone"),
}
"""Channels on which the company knows whom it meets: the source that tells, and what names them beside the e-mail."""

_MEDIA = frozenset({"ads", "social", "forum", "mail", "offline_media", "partner", "word_of_mouth"})
"""Channels of which marketing tells; of all others the website does."""

_SIGNING = ("account_", "demo_", "fulfilment_", "newsletter_", "order_", "payment_", "product_res", "quote_", "signed_")
"""What one cannot do without giving a name: how such types begin."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a shopper does, `after` the step before by at most so long, or after a `silence` of at least so long."""

    do: str
    after: str = "PT1M"
    silence: str | None = None
    channel: str | None = None
    properties: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}


class Habit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What several shoppers do alike."""

    habit: str
    shoppers: int
    steps: tuple[Step, ...]
    silent_for: str = "P1D"
    traits: Mapping[str, Any] = {}


class Shopper(msgspec.Struct, frozen=True):
    """A synthetic person: the habit, and what they lived, in order."""

    habit: str
    touchpoints: tuple[Touchpoint, ...]


def crowd(until: datetime, seed: int = SEED) -> list[Shopper]:
    """The crowd as it is on the day of `until` (aware, UTC): all of its touchpoints lie before."""
    random = Random(seed)  # noqa: S311 (people, not secrets)
    today = until.replace(hour=0, minute=0, second=0, microsecond=0)
    usual = _usual_channels()
    people = [(habit, number) for habit in habits() for number in range(1, habit.shoppers + 1)]
    told = [tuple(_live(habit, number, usual, random)) for habit, number in people]
    lived = touchpoints_from((one for theirs in told for one in theirs), today - _LONGEST)
    return [
        Shopper(habit.habit, tuple(next(lived) for _ in theirs))
        for (habit, _), theirs in zip(people, told, strict=True)
    ]


def habits() -> list[Habit]:
    """The habits as they are written."""
    text = (files("jalon.demo") / "crowd.yaml").read_text(encoding="utf-8")
    return msgspec.convert(load_yaml(text)["habits"], list[Habit])


def _usual_channels() -> Mapping[str, str]:
    text = vocabulary_document()
    return {name: usual["channel"] for name, usual in load_yaml(text)["types"].items()}


def _live(habit: Habit, number: int, usual: Mapping[str, str], random: Random) -> Iterator[Told]:
    channels = [step.channel or usual[step.do] for step in habit.steps]
    signs_at = _signs_at(habit, channels)
    name = _identifiers(habit, number, random)
    for place, (at, step, channel) in enumerate(zip(_dates(habit, random), habit.steps, channels, strict=True)):
        source, extra = _PERSONAL.get(channel, (_source(channel), "anonymous_id"))
        kinds = [*(["email"] if place >= signs_at else []), *([extra] if extra else [])]
        yield Told(
            id=f"{habit.habit}-{number}-{place + 1}",
            at=format_duration(at),
            type=step.do,
            source=source,
            channel=channel,
            identifiers={kind: name[kind] for kind in kinds},
            traits=habit.traits if place == 0 else {},
            properties=step.properties,
            context=step.context,
        )


def _signs_at(habit: Habit, channels: list[str]) -> int:
    """The first step that carries the name. Whoever is met in person first has been signed in from the start."""
    for place, (step, channel) in enumerate(zip(habit.steps, channels, strict=True)):
        if channel in _PERSONAL:
            return 0
        if step.do.startswith(_SIGNING):
            return place
    return len(channels)


def _source(channel: str) -> str:
    return channel if channel == "app" else "marketing" if channel in _MEDIA else "website"


def _identifiers(habit: Habit, number: int, random: Random) -> Mapping[str, str]:
    digits = f"{random.randrange(10**8):08}"
    return {
        "email": f"{random.choice(_FIRST_NAMES)}.{random.choice(_LAST_NAMES)}.{digits[:4]}@example.com",
        "loyalty_card": f"C{digits}",
        "phone": f"+336{digits}",
        "anonymous_id": f"{habit.habit}-{number}",
    }


def _dates(habit: Habit, random: Random) -> list[timedelta]:
    """When each step is taken, since the beginning of time: counted back from the silence at the end."""
    gaps = [_gap(step, random) for step in habit.steps]
    quiet = parse_duration(habit.silent_for) + timedelta(days=random.randrange(20))
    at = _LONGEST - quiet - timedelta(minutes=random.randrange(2 * 60, 16 * 60)) - sum(gaps[1:], timedelta())
    dates = [at]
    for gap in gaps[1:]:
        dates.append(dates[-1] + gap)
    return dates


def _gap(step: Step, random: Random) -> timedelta:
    if step.silence:
        return _seconds(parse_duration(step.silence) * random.uniform(1, 1.2))
    return _seconds(parse_duration(step.after) * random.uniform(0.6, 1))


def _seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=round(duration.total_seconds()))
