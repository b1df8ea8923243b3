"""`jalon demo`: the four stories live, in a crowd that between them meets everything the shipped journeys can tell."""

import os
import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from jalon.demo.crowd import SEED, crowd
from jalon.demo.script import write_script
from jalon.stories import Story
from journey.definition import parse
from journey.fold import fold
from journey.grammar import Backward, Definition
from journey.machine import compile_journeys
from journey.outcomes import Kind
from plumbing.clock import now
from schemas import journey_documents
from tests.support.command import Session, run_jalon

Met = tuple[str, str, str]
"""Journey, what kind of thing, and its name."""

DEFINITIONS = [parse(document) for document in journey_documents()]
WITHIN = timedelta(minutes=3)


def promised(definition: Definition) -> Iterator[Met]:
    """Everything that can happen to somebody in a journey."""
    journey = definition.journey
    for rule in definition.transitions:
        denied = rule.backward is Backward.DENY
        yield journey, Kind.DENIED if denied else "transition", rule.rule
    yield from ((journey, Kind.DEAD_TIME, stage.name) for stage in definition.stages if stage.dead_time)
    yield from ((journey, Kind.MOMENT, moment.name) for moment in definition.moments)
    yield from ((journey, Kind.MEASURED, measure.name) for measure in definition.measures)
    yield from ((journey, Kind.ACTION_PROPOSED, action.name) for action in definition.actions)
    for pain in definition.pains:
        yield from ((journey, Kind.PAIN_OPENED, pain.name), (journey, Kind.PAIN_RESOLVED, pain.name))
    for objection in definition.objections:
        yield journey, Kind.OBJECTION_RAISED, objection.name
        yield journey, Kind.OBJECTION_ANSWERED, objection.name


PROMISED = {met for definition in DEFINITIONS for met in promised(definition)}


def met_in(transitions: Iterable[Mapping[str, Any]], facts: Iterable[Mapping[str, Any]]) -> Iterator[Met]:
    """What somebody met, from their transitions and facts (members as `jalon export` names them)."""
    yield from ((moved["journey"], "transition", moved["rule"]) for moved in transitions)
    for fact in facts:
        yield fact["journey"], fact["kind"], fact["stage"] if fact["kind"] == Kind.DEAD_TIME else fact["name"]


@pytest.mark.parametrize("seed", [SEED, 2])
@pytest.mark.parametrize("until", [datetime(2026, 3, 1, 0, 5, tzinfo=UTC), datetime(2027, 12, 31, 23, 55, tzinfo=UTC)])
def test_the_crowd_meets_everything_whatever_the_day(seed: int, until: datetime) -> None:
    journeys = compile_journeys(DEFINITIONS)
    met: set[Met] = set()
    for shopper in crowd(until, seed):
        found = fold(journeys, shopper.touchpoints, until)
        met.update(met_in(map(msgspec.structs.asdict, found.transitions), map(msgspec.structs.asdict, found.facts)))
    assert PROMISED - met == set()


def test_the_crowd_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    until = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert crowd(until) == crowd(until)
    assert crowd(until) != crowd(until, SEED + 1)
    assert max(one.occurred_at for shopper in crowd(until) for one in shopper.touchpoints) < until


async def test_the_demo_tells_the_stories_and_can_then_be_played_with() -> None:
    stories = write_script(now()).stories
    with Session("demo", "--seconds", "0") as demo:
        await demo.says("^ready to play with", WITHIN)
        _told_in_order(demo.output(), stories)
        api = re.search(r"page +(\S+)", demo.output())
        token = re.search(r"API token +(\S+)", demo.output())
        data = re.search(r"data +(\S+)", demo.output())
        assert api is not None
        assert token is not None
        assert data is not None
        headers = {"Authorization": f"Bearer {token[1]}"}
        async with httpx.AsyncClient(base_url=api[1], headers=headers, timeout=30) as client:
            for story in stories:
                await _ends_as_expected(client, story)
            assert (await client.get("/")).status_code in {200, 303, 307}
        _everything_was_met(data[1])
        assert demo.stop(signal.SIGINT) == 0
    assert not _exists(data[1])


async def test_the_demo_takes_other_ports_where_the_usual_ones_are_taken_and_can_end_by_itself() -> None:
    with Session("demo", "--seconds", "0", environment={"JALON_API_PORT": "0"}) as first:
        await first.says("^Four stories", WITHIN)
        usual = {key: value for key, value in os.environ.items() if key.startswith("JALON_")}
        with Session("demo", "--seconds", "0", "--exit", environment=usual) as second:
            await second.says(r"page +http://", WITHIN)
            assert second.process.wait(60) == 0
        assert first.stop() == 0


def _exists(place: str) -> bool:
    return Path(place).exists()


def _told_in_order(output: str, stories: Iterable[Story]) -> None:
    """In the end each story's stages stand in order, with dates and reasons."""
    for story in stories:
        told = output[output.index(story.label["en"]) :]
        for ending in filter(None, story.expects.values()):
            dates = []
            for expected in ending.transitions:
                rule, touchpoint, _ = expected.split()
                type_ = next(one.type for one in story.touchpoints if one.id == touchpoint)
                line = re.search(rf"^ +(\d{{4}}-\d\d-\d\d \d\d:\d\d)  .*→ .*\({type_}, \w+\)$", told, re.MULTILINE)
                assert line, f"{story.story}: {rule}"
                dates.append(line[1])
            assert dates == sorted(dates)


async def _ends_as_expected(client: httpx.AsyncClient, story: Story) -> None:
    """Each identifier finds the shopper, in the stages that the story expects, by the transitions that it expects."""
    profiles = [
        (await client.get(f"/v1/customers/by/{kind}/{value}")).raise_for_status().json()
        for kind, value in story.found_by.items()
    ]
    assert len({profile["id"] for profile in profiles}) == 1, story.story
    where = {one["journey"]: one for one in profiles[0]["journeys"]}
    page = (await client.get(f"/v1/customers/{profiles[0]['id']}/transitions?limit=500")).raise_for_status().json()
    for journey, ending in story.expects.items():
        if ending is None:
            assert journey not in where
            continue
        assert (where[journey]["stage"]["name"], where[journey]["run"]) == (ending.stage, ending.run), story.story
        transitions = [
            f"{one['rule']} {one['cause'].get('id', 'time')} {one['to_stage']}"
            for one in page["items"]
            if one["journey"] == journey
        ]
        assert transitions == list(ending.transitions), story.story


def _everything_was_met(data: str) -> None:
    exported = run_jalon("export", "--data", data)
    assert exported.returncode == 0, exported.stderr
    customers = [msgspec.json.decode(line) for line in exported.stdout.splitlines()]
    met = {met for one in customers for met in met_in(one["transitions"], one["facts"])}
    assert PROMISED - met == set()
    verified = run_jalon("export", "--verify", "--data", data)
    assert verified.returncode == 0, verified.stderr
