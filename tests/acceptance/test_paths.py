"""What customers live leads where a consultant says: the written paths, and the stories under other names and dates.

Between them they fire everything that the shipped definitions can do, so that nothing shipped is dead letter.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Protocol

import pytest
from msgspec.structs import replace

from jalon.stories import NAMES, Ending, read
from journey.conditions import compile_where
from journey.durations import parse_duration
from journey.fold import fold
from journey.grammar import Backward, Definition
from journey.machine import Journeys
from journey.outcomes import Advanced, Fact, Kind
from journey.state import ByTouchpoint, JourneyState
from journey.touchpoint import Touchpoint
from tests.acceptance.written_paths import JOURNEYS, START, shipped, written_paths

PATHS = written_paths()
DATES = [
    START,
    datetime(2024, 2, 27, 13, 30, tzinfo=UTC),  # over a leap day
    datetime(2025, 10, 20, 22, 5, 7, 123456, tzinfo=UTC),  # over the end of summer time
    datetime(1999, 12, 30, 23, 59, 59, tzinfo=UTC),  # over the end of a century
]


class Named(Protocol):
    """A part of a definition that has a name."""

    @property
    def name(self) -> str: ...


@cache
def journeys() -> Journeys:
    return shipped()


@cache
def folded(index: int) -> Advanced:
    path = PATHS[index]
    return fold(journeys(), path.touchpoints(START), START + parse_duration(path.until))


each_path = pytest.mark.parametrize("index", range(len(PATHS)), ids=[path.path for path in PATHS])


def test_there_are_enough_paths_and_each_is_about_something_else() -> None:
    assert len(PATHS) >= 30
    whole = [(path.story, path.to, path.without, repr(path.lived), path.until) for path in PATHS]
    assert len(set(whole)) == len(whole)


@each_path
def test_a_path_ends_in_the_stages_that_it_says(index: int) -> None:
    ended = folded(index).state.journeys
    assert tuple(_place(ended.get(name)) for name in JOURNEYS) == PATHS[index].stages


@each_path
def test_a_path_leaves_open_what_it_says_and_nothing_else(index: int) -> None:
    ended = folded(index).state.journeys
    assert {name: sorted(here.open) for name, here in ended.items() if here.open} == {
        name: sorted(names) for name, names in PATHS[index].open.items()
    }


@each_path
def test_a_path_clashes_where_it_says_and_nowhere_else(index: int) -> None:
    assert tuple(clash.split()[0] for clash in _clashes(folded(index))) == PATHS[index].clash


@each_path
def test_a_path_finds_what_it_says(index: int) -> None:
    path, found = PATHS[index], folded(index)
    ended = found.state.journeys
    if path.dead is not None:
        assert {name for name, here in ended.items() if here.dead_since} == set(path.dead)
    assert {name: ended[name].persona for name in path.personas} == path.personas
    assert {name: list(ended[name].proposed) for name in path.actions} == path.actions
    assert {name: ended[name].entered_at for name in path.entered} == {
        name: START + parse_duration(at) for name, at in path.entered.items()
    }
    assert set(path.found) <= {f"{fact.journey} {fact.kind} {fact.name}" for fact in found.facts}


def _place(here: JourneyState | None) -> str | None:
    return None if here is None else here.stage if here.run == 1 else f"{here.stage} {here.run}"


def _clashes(found: Advanced) -> list[str]:
    """`journey other-journey pair` of each declared incoherence that holds at the end, in the order of JOURNEYS."""
    ended = found.state.journeys
    return [
        f"{name} {rule.with_} {pair}"
        for name in JOURNEYS
        for rule in journeys().machines[name].definition.incoherent
        for pair in rule.pairs
        if name in ended and rule.with_ in ended and (ended[name].stage, ended[rule.with_].stage) == pair
    ]


# --- the stories ------------------------------------------------------------------------------------------------------


def as_told(touchpoints: Iterable[Touchpoint]) -> list[Touchpoint]:
    return list(touchpoints)


def renamed(touchpoints: Iterable[Touchpoint]) -> list[Touchpoint]:
    """The same lived by somebody else, told by other systems: only what happened stays."""
    return [
        replace(
            touchpoint,
            id=f"{touchpoint.id}-{len(touchpoint.type)}",
            source=f"other-{touchpoint.source}",
            identifiers={kind: f"x{value}" for kind, value in touchpoint.identifiers.items()},
        )
        for touchpoint in touchpoints
    ]


@pytest.mark.parametrize("start", DATES, ids=str)
@pytest.mark.parametrize("told", [as_told, renamed])
@pytest.mark.parametrize("name", NAMES)
def test_a_story_ends_as_it_says_whoever_lives_it_and_whenever(name: str, told: type, start: datetime) -> None:
    story = read(name)
    touchpoints = told(story.touchpoints_from(start))
    words = {one.id: original.id for one, original in zip(touchpoints, story.touchpoints, strict=True)}
    found = fold(journeys(), touchpoints, start + story.lasts)
    assert set(story.expects) == set(JOURNEYS)
    for journey, ending in story.expects.items():
        assert _ending(found, journey, words) == (ending and replace(ending, measures={}))
        for measure, lasted in (ending.measures if ending else {}).items():
            assert _measured(found, journey, measure) == [parse_duration(lasted)]


@pytest.mark.parametrize("name", NAMES)
def test_a_story_cut_short_anywhere_ends_where_it_had_come_to(name: str) -> None:
    story = read(name)
    lived = list(story.touchpoints_from(START))
    for length, last in enumerate(lived, start=1):
        told = {one.id for one in lived[:length]}
        ended = fold(journeys(), lived[:length], last.occurred_at).state.journeys
        for journey, ending in story.expects.items():
            steps = [step.split() for step in ending.transitions] if ending else []
            come_to = [stage for _, touchpoint, stage in steps if touchpoint in told]
            assert (ended[journey].stage if journey in ended else None) == (come_to[-1] if come_to else None)


def _ending(found: Advanced, journey: str, words: dict[str, str]) -> Ending | None:
    """How a fold ended, in the words of the stories."""
    here = found.state.journeys.get(journey)
    if here is None:
        return None
    facts = [fact for fact in found.facts if fact.journey == journey]
    return Ending(
        stage=here.stage,
        run=here.run,
        persona=here.persona,
        transitions=tuple(
            f"{one.rule} {_word(one.cause, words)} {one.to_stage}"
            for one in found.transitions
            if one.journey == journey
        ),
        moments=tuple(f"{fact.name} {_word(fact.cause, words)}" for fact in facts if fact.kind == Kind.MOMENT),
        pains=tuple(_troubles(facts, Kind.PAIN_OPENED, Kind.PAIN_RESOLVED, words)),
        objections=tuple(_troubles(facts, Kind.OBJECTION_RAISED, Kind.OBJECTION_ANSWERED, words)),
        actions=here.proposed,
    )


def _troubles(facts: list[Fact], opened: Kind, closed: Kind, words: dict[str, str]) -> Iterator[str]:
    for fact in facts:
        if fact.kind == opened:
            ends = [one for one in facts if one.kind == closed and one.name == fact.name]
            yield " ".join([fact.name, _word(fact.cause, words), *(_word(end.cause, words) for end in ends)])


def _word(cause: object, words: dict[str, str]) -> str:
    return words[cause.id] if isinstance(cause, ByTouchpoint) else "time"


def _measured(found: Advanced, journey: str, name: str) -> list[timedelta]:
    measured = [fact for fact in found.facts if fact.kind == Kind.MEASURED]
    return [parse_duration(fact.detail["lasted"]) for fact in measured if (fact.journey, fact.name) == (journey, name)]


# --- nothing shipped is dead letter -----------------------------------------------------------------------------------


@cache
def everything_found() -> list[Advanced]:
    """Of all paths and all stories."""
    told = [fold(journeys(), story.touchpoints_from(START), START + story.lasts) for story in map(read, NAMES)]
    return [*told, *(folded(index) for index in range(len(PATHS)))]


def facts_found(*kinds: Kind) -> set[str]:
    """`journey name` of all facts of these kinds."""
    return {f"{fact.journey} {fact.name}" for found in everything_found() for fact in found.facts if fact.kind in kinds}


def shipped_names(part: Callable[[Definition], Iterable[str]]) -> set[str]:
    """`journey name` of a part of all shipped definitions."""
    definitions = [machine.definition for machine in journeys().machines.values()]
    return {f"{definition.journey} {name}" for definition in definitions for name in part(definition)}


def test_every_transition_fires_and_every_denied_one_is_noted() -> None:
    taken = {f"{one.journey} {one.rule}" for found in everything_found() for one in found.transitions}
    assert shipped_names(lambda one: (rule.rule for rule in one.transitions if rule.backward != Backward.DENY)) <= taken
    denied = shipped_names(lambda one: (rule.rule for rule in one.transitions if rule.backward == Backward.DENY))
    assert denied == facts_found(Kind.DENIED)


def test_every_dead_time_runs_out() -> None:
    limited = shipped_names(lambda one: (stage.name for stage in one.stages if stage.dead_time))
    assert limited == facts_found(Kind.DEAD_TIME)


def test_every_persona_is_somebody() -> None:
    personas = {f"{name} {here.persona}" for found in everything_found() for name, here in found.state.journeys.items()}
    assert shipped_names(lambda one: (persona.name for persona in one.personas)) <= personas


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (lambda one: one.moments, Kind.MOMENT),
        (lambda one: one.pains, Kind.PAIN_OPENED),
        (lambda one: one.pains, Kind.PAIN_RESOLVED),
        (lambda one: one.objections, Kind.OBJECTION_RAISED),
        (lambda one: one.objections, Kind.OBJECTION_ANSWERED),
        (lambda one: one.measures, Kind.MEASURED),
        (lambda one: one.actions, Kind.ACTION_PROPOSED),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_every_named_thing_comes_about(part: Callable[[Definition], Iterable[Named]], kind: Kind) -> None:
    assert shipped_names(lambda one: (named.name for named in part(one))) == facts_found(kind)


def test_every_declared_clash_can_be_found() -> None:
    declared = shipped_names(lambda one: (f"{rule.with_} {pair}" for rule in one.incoherent for pair in rule.pairs))
    assert declared == {clash for found in everything_found() for clash in _clashes(found)}


def test_every_item_of_content_is_seen_by_somebody() -> None:
    lived = [one for name in NAMES for one in read(name).touchpoints_from(START)]
    lived += [one for path in PATHS for one in path.touchpoints(START)]
    for machine in journeys().machines.values():
        for content in machine.definition.content:
            seen = compile_where(content.where)
            assert any(seen(touchpoint, {}) for touchpoint in lived), content.item
