"""`?at=`: a customer as they were at another instant, by all that is known today."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from journey.definition import parse
from journey.fold import fold
from journey.machine import compile_journeys
from plumbing.embedded.postgres import EmbeddedPostgres
from schemas import journey_documents
from services.api.answers import Page, Profile, TouchpointItem, TransitionItem
from tests.support.world import CARD, EMAIL, LUDOVIC, START, World, inhabited

JOURNEYS = compile_journeys(map(parse, journey_documents()))

INSTANTS = [START + timedelta(hours=hours) for hours in (0, 1, 24, 24.2, 24.4, 40, 72, 96)]


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        yield world


async def profile(world: World, path: str) -> Profile:
    answer = await world.client.get(f"/v1/customers/{path}")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Profile)


@pytest.mark.parametrize("instant", INSTANTS, ids=str)
async def test_the_profile_at_an_instant_is_the_fold_up_to_it(world: World, instant: object) -> None:
    told = await profile(world, f"{world.ludovic}?at={quoted(instant)}")
    state = fold(JOURNEYS, LUDOVIC, told.horizon).state
    assert told.horizon == instant
    assert told.last_heard_at == state.heard_at
    assert {one.journey: (one.stage.name, one.run, one.since) for one in told.journeys} == {
        name: (here.stage, here.run, here.entered_at) for name, here in state.journeys.items()
    }


async def test_what_was_not_known_by_then_is_not_shown(world: World) -> None:
    told = await profile(world, f"{world.ludovic}?at={quoted(START + timedelta(days=1))}")
    kinds = {one.kind for one in told.identifiers}
    assert "loyalty_card" in kinds
    assert "email" not in kinds


@pytest.mark.parametrize("path", [f"by/email/{EMAIL}", f"by/loyalty_card/{CARD}", "by/anonymous_id/a-1"])
async def test_the_past_is_found_by_any_identifier(world: World, path: str) -> None:
    asked = quoted(START + timedelta(days=2))
    assert await profile(world, f"{path}?at={asked}") == await profile(world, f"{world.ludovic}?at={asked}")


async def test_after_the_horizon_nothing_is_said(world: World) -> None:
    later = await profile(world, f"{world.ludovic}?at={quoted(START + timedelta(days=400))}")
    assert later == await profile(world, world.ludovic)


async def test_before_the_first_touchpoint_there_is_nobody(world: World) -> None:
    answer = await world.client.get(f"/v1/customers/{world.ludovic}?at={quoted(START - timedelta(seconds=1))}")
    assert (answer.status_code, answer.json()["code"]) == (404, "customer-not-found")


@pytest.mark.parametrize("instant", INSTANTS, ids=str)
async def test_lists_end_at_the_instant(world: World, instant: object) -> None:
    path = f"/v1/customers/{world.ludovic}"
    moves = await world.client.get(f"{path}/transitions?at={quoted(instant)}&limit=500")
    shown = msgspec.json.decode(moves.content, type=Page[TransitionItem]).items
    every = msgspec.json.decode(
        (await world.client.get(f"{path}/transitions?limit=500")).content, type=Page[TransitionItem]
    )
    assert shown == tuple(one for one in every.items if one.occurred_at <= instant)  # type: ignore[operator]
    lived = await world.client.get(f"{path}/timeline?at={quoted(instant)}&limit=500&order=desc")
    items = msgspec.json.decode(lived.content, type=Page[TouchpointItem | TransitionItem]).items
    touchpoints = [one.id for one in items if isinstance(one, TouchpointItem)]
    assert touchpoints == [one.id for one in reversed(LUDOVIC) if one.occurred_at <= instant]  # type: ignore[operator]


@pytest.mark.parametrize("sent", ["yesterday", "2026-03-01", "2026-03-01T09:00:00", "1772355600"])
async def test_an_instant_of_another_form_is_refused(world: World, sent: str) -> None:
    answer = await world.client.get(f"/v1/customers/{world.ludovic}?at={sent}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")
    assert answer.json()["errors"][0]["pointer"] == "/query/at"


def quoted(instant: object) -> str:
    return str(instant).replace(" ", "T").replace("+", "%2B")


KNOWN = START + timedelta(days=2)
PERSON = [one for one in LUDOVIC if "anonymous_id" not in one.identifiers]
"""Without what a browser did that he never signed in on: by itself nothing ties that to him."""


async def test_the_profile_as_it_was_known_is_the_fold_of_what_had_been_received(world: World) -> None:
    told = await profile(world, f"by/email/{EMAIL}?known_at={quoted(KNOWN)}")
    state = fold(JOURNEYS, [one for one in PERSON if one.received_at <= KNOWN], KNOWN).state
    assert (told.id, told.horizon, told.last_heard_at) == (world.ludovic, KNOWN, state.heard_at)
    assert {one.journey: (one.stage.name, one.since) for one in told.journeys} == {
        name: (here.stage, here.entered_at) for name, here in state.journeys.items()
    }


async def test_lists_as_they_were_known_come_in_pages_that_add_up(world: World) -> None:
    folded = fold(JOURNEYS, [one for one in PERSON if one.received_at <= KNOWN], KNOWN)
    for order in ("asc", "desc"):
        shown: list[TouchpointItem | TransitionItem] = []
        cursor = ""
        while True:
            url = f"/v1/customers/{world.ludovic}/timeline?known_at={quoted(KNOWN)}&limit=2&order={order}{cursor}"
            page = msgspec.json.decode(
                (await world.client.get(url)).content, type=Page[TouchpointItem | TransitionItem]
            )
            shown += page.items
            if page.next is None:
                break
            cursor = f"&cursor={page.next}"
        moves = [one for one in shown if isinstance(one, TransitionItem)]
        assert sorted(one.id for one in moves) == sorted(one.id.hex() for one in folded.transitions)
        assert all(one.learned_at is None for one in moves)
        lived = [one.id for one in shown if isinstance(one, TouchpointItem)]
        expected = [one.id for one in PERSON if one.received_at <= KNOWN]
        assert lived == (expected if order == "asc" else expected[::-1])


async def test_both_times_can_be_asked_together(world: World) -> None:
    both = await profile(world, f"{world.ludovic}?known_at={quoted(KNOWN)}&at={quoted(START + timedelta(days=1))}")
    assert both.horizon == START + timedelta(days=1)


async def test_who_was_not_known_yet_is_not_found(world: World) -> None:
    answer = await world.client.get(f"/v1/customers/{world.ludovic}/transitions?known_at={quoted(START)}")
    assert (answer.status_code, answer.json()["code"]) == (404, "customer-not-found")
