"""Journey definitions and customers' touchpoints, generated: small worlds in which much happens.

Few types, few traits and an hour as the unit of time, so that windows fill, timers meet touchpoints at the same instant
and personas change. Definitions are built as a person would write them, as text, and are valid by construction.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import msgspec
import yaml
from hypothesis import strategies as st

from journey.definition import parse
from journey.grammar import Definition
from journey.touchpoint import Touchpoint

T = TypeVar("T")

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST_HOUR = 60
"""Touchpoints happen within this many hours of `START`."""

TYPES = ["seen", "asked", "bought", "moaned"]
DURATIONS = ["PT1H", "PT2H", "PT5H", "PT12H", "P1D", "P2D"]
NUMBERS = [0, 1, 2, 1.5, "1", "1.50"]
TRAIT_CONDITIONS: list[Any] = [
    {"gte": 1}, {"lt": "1.5"}, 1, True, {"ne": 0}, {"exists": False}, {"in": [1, "x"]}, {"gte": 0, "ne": 1},
]  # fmt: skip
CHANNEL_CONDITIONS: list[Any] = ["web", {"ne": "web"}, {"matches": "^s"}, {"contains": "T"}]
LABEL = {"en": "A", "fr": "A"}


@cache
def below(limit: int) -> st.SearchStrategy[int]:
    return st.integers(0, limit - 1)


class Dice:
    """Hypothesis' choices, from strategies made once: making them anew for each example costs more than the laws."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def one(self, of: Sequence[T]) -> T:
        return of[self.draw(below(len(of)))]

    def some(self, of: Sequence[T], least: int = 0, most: int = 3) -> list[T]:
        """Some of them, none twice."""
        left = list(of)
        return [left.pop(self.draw(below(len(left)))) for _ in range(self.number(least, min(most, len(of))))]

    def number(self, least: int, most: int) -> int:
        return least + self.draw(below(most - least + 1))

    def rarely(self, times: int = 3) -> bool:
        """True once in so many times."""
        return self.draw(below(times)) == times - 1


def match(dice: Dice) -> dict[str, Any]:
    types = dice.some(TYPES, least=1)
    return {"on": types[0] if len(types) == 1 else types, "where": where(dice)}


def where(dice: Dice) -> dict[str, Any]:
    match dice.number(0, 6):
        case 3:
            bounds = {operator: dice.one(NUMBERS) for operator in dice.some(["gte", "lt"], least=1)}
            return {"properties.n": bounds}
        case 4:
            return {"channel": dice.one(CHANNEL_CONDITIONS)}
        case 5:
            return {"traits.a": dice.one(TRAIT_CONDITIONS)}
        case 6:
            return {"traits.b": dice.one(TRAIT_CONDITIONS), "initiator": "customer"}
        case _:
            return {}


def at_least(dice: Dice) -> dict[str, Any]:
    return {"count": dice.number(1, 4), "within": dice.one(DURATIONS)}


def rule(dice: Dice, stages: list[str], ranks: list[int]) -> dict[str, Any] | None:
    """A transition without its name. `ranks` orders the stages for time, which only leads up: it never goes round."""
    to = dice.one(stages)
    place, by_time, opens_run = stages.index(to), dice.rarely(), dice.rarely(4)
    sources = [name for name, rank in zip(stages, ranks, strict=True) if not by_time or rank < ranks[place]]
    sources = [name for name in sources if name != to or (opens_run and not by_time)]
    if not sources:
        return None
    departures = dice.some(sources, least=1)
    is_backward = not opens_run and any(stages.index(name) > place for name in departures)
    from_: Any = departures[0] if len(departures) == 1 else departures
    if not by_time and dice.rarely():
        from_, is_backward = "any", not opens_run and (place == 0 or (place < len(stages) - 1 and dice.rarely(2)))
    written: dict[str, Any] = {"label": LABEL, "from": from_, "to": to}
    if opens_run:
        written["run"] = "next"
    if is_backward:
        written |= {"backward": "allow" if by_time else dice.one(["allow", "deny"]), "reason": LABEL}
    if by_time:
        return written | {"after": dice.one(DURATIONS), "of": dice.one(["silence", "stage"])}
    return written | match(dice) | ({"at_least": at_least(dice)} if dice.rarely(2) else {})


def persona(dice: Dice, stages: list[str], rules: list[dict[str, Any]]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for written in rules:
        change = dice.one(["none", "threshold", "disabled"])
        if change == "disabled":
            changed[written["rule"]] = {"disabled": True}
        elif change == "threshold" and "after" in written:
            changed[written["rule"]] = {"after": dice.one(DURATIONS)}
        elif change == "threshold" and "at_least" in written:
            changed[written["rule"]] = {"at_least": at_least(dice)}
    return {
        "label": LABEL,
        "where": {name: dice.one(TRAIT_CONDITIONS) for name in dice.some(["traits.a", "traits.b"], least=1)},
        "dead_time": {stage: dice.one(DURATIONS) for stage in dice.some(stages, most=2)},
        "transitions": changed,
    }


def concern(dice: Dice, end: str) -> dict[str, Any]:
    """A pain without its severity, or an objection."""
    counted = {"at_least": at_least(dice)} if dice.rarely(2) else {}
    return {"label": LABEL, **match(dice), **counted, end: match(dice)}


def action(dice: Dice, known: dict[str, list[str]]) -> dict[str, Any]:
    """An action on some of the names that a definition has, by the member of `when` they go into."""
    when: dict[str, Any] = {part: dice.some(names, most=2) for part, names in known.items()}
    return {"label": LABEL, "priority": dice.number(1, 3), "when": when | {"dead_time": dice.rarely(2)}}


def named(prefix: str, parts: list[Any], key: str = "name") -> list[dict[str, Any]]:
    return [{key: f"{prefix}{index}", **part} for index, part in enumerate(part for part in parts if part)]


def document(dice: Dice, name: str) -> dict[str, Any]:
    """A definition as plain values, in the words of the grammar."""
    stages = [f"s{index}" for index in range(dice.number(2, 4))]
    ranks = dice.some(range(len(stages)), least=len(stages), most=len(stages))
    rules = named("r", [rule(dice, stages, ranks) for _ in range(dice.number(1, 6))], "rule")
    measures = [
        {"label": LABEL, "starts": match(dice), "stops": match(dice), "budget": "PT5H"}
        for _ in range(dice.number(0, 2))
    ]
    written: dict[str, Any] = {
        "journey": name,
        "version": 1,
        "label": LABEL,
        "initial": dice.one(stages),
        "stages": [
            {"name": stage, "phase": "during", "label": LABEL}
            | ({"dead_time": dice.one(DURATIONS)} if dice.rarely(2) else {})
            for stage in stages
        ],
        "transitions": rules,
        "personas": named("p", [persona(dice, stages, rules) for _ in range(dice.number(0, 3))]),
        "moments": [{"name": "o", "label": LABEL, "aim": "trust", "measure": LABEL, **match(dice)}],
        "pains": named("u", [{"severity": 3} | concern(dice, "resolved_by") for _ in range(dice.number(0, 2))]),
        "objections": named("j", [concern(dice, "answered_by") for _ in range(dice.number(0, 1))]),
        "measures": named("m", measures),
    }
    if measures:
        parts = [measure["name"] for measure in written["measures"]]
        written["measures"].append({"name": "total", "label": LABEL, "sum_of": parts, "budget": "P1D"})
    known = {part: [one["name"] for one in written[part]] for part in ("stages", "personas", "pains", "objections")}
    written["actions"] = named("x", [action(dice, known) for _ in range(dice.number(0, 3))])
    return written | ({"begins": match(dice)} if dice.rarely() else {})


@st.composite
def definitions(draw: st.DrawFn) -> list[Definition]:
    """One or two journeys that run side by side, read from their text."""
    dice = Dice(draw)
    return [
        parse(written_as(document(dice, name), json=not dice.rarely(8)))
        for name in ("first", "second")[: dice.number(1, 2)]
    ]


def written_as(document: dict[str, Any], *, json: bool) -> str:
    return msgspec.json.encode(document).decode() if json else yaml.safe_dump(document)


ODD_TIMES = [timedelta(), timedelta(), timedelta(), timedelta(microseconds=1), timedelta(minutes=59)]
TRAITS = [0, 1, 2, True, "1.2", None]

horizons = st.builds(lambda hours: START + hours * HOUR, st.integers(0, LAST_HOUR + 80))


def touchpoint(dice: Dice, id_: str) -> Touchpoint:
    at = START + dice.number(0, LAST_HOUR) * HOUR + dice.one(ODD_TIMES)
    names = dice.some(["a", "b", "other"], most=2) if dice.rarely(2) else []
    return Touchpoint(
        source=dice.one(["till", "web"]),
        id=id_,
        type=dice.one([*TYPES, "unknown"]),
        occurred_at=at,
        received_at=at + HOUR,
        channel=dice.one(["web", "store"]),
        sequence=dice.one([0, 0, 1]),
        initiator=dice.one(["customer", "customer", "customer", "company"]),
        identifiers={"crm_id": "1"},
        traits={name: dice.one(TRAITS) for name in names},
        properties={"n": dice.one(NUMBERS)} if dice.rarely(2) else {},
    )


@st.composite
def histories(draw: st.DrawFn, most: int = 20) -> list[Touchpoint]:
    """A customer's touchpoints in no order, each of its own id."""
    dice = Dice(draw)
    return [touchpoint(dice, str(index)) for index in range(dice.number(0, most))]


@st.composite
def arrivals(draw: st.DrawFn, most: int = 14) -> list[Touchpoint]:
    """What arrives of a history: in any order, some of it twice, some of that with another body."""
    dice = Dice(draw)
    history = [touchpoint(dice, str(index)) for index in range(dice.number(0, most))]
    again = dice.some(history, most=4)
    copies = [touchpoint(dice, one.id) if dice.rarely(2) else one for one in again]
    return [*history, *copies] if dice.rarely() else dice.some([*history, *copies], len(history) + len(copies), 99)


def in_order(history: list[Touchpoint]) -> list[Touchpoint]:
    return sorted(history, key=lambda touchpoint: touchpoint.order)
