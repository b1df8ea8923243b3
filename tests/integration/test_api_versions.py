"""Versions by the API: published, tried on everybody's history, put in force; a stager does the work."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import msgspec
import pytest

from journey.documents import load_yaml
from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.store.engine import make_engine
from services.api.answers import DryRun, JourneyDetail, Profile, PublishedVersion
from services.stager.build import Builder
from tests.support.api import PERSONAL, bearing
from tests.support.population import KINDS
from tests.support.versions import customer_journey, without_rules
from tests.support.world import EMAIL, World, inhabited, touched

VERSIONS = "/v1/journeys/customer-journey/versions"
ADMIN = bearing(PERSONAL)
SECOND = customer_journey(2, transitions=without_rules("first_purchase"))


@pytest.fixture
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        for number in range(5):
            buys = touched(timedelta(), "order_completed", "store", {"email": f"buyer{number}@example.com"})
            await world.population.add([buys])
        yield world


@pytest.fixture
async def stager(world: World) -> AsyncIterator[Builder]:
    engine = make_engine(world.database_url, connections=1)
    yield Builder(engine, KINDS, at_once=2)
    await engine.dispose()


async def _publish(world: World, text: str, path: str = VERSIONS) -> httpx.Response:
    return await world.client.post(path, content=text, headers=ADMIN | {"content-type": "application/yaml"})


async def test_a_version_is_published_once_and_is_not_in_force(world: World) -> None:
    first = msgspec.json.decode((await _publish(world, SECOND)).content, type=PublishedVersion)
    assert (first.version, first.new) == (2, True)
    again = msgspec.json.decode((await _publish(world, SECOND)).content, type=PublishedVersion)
    assert again.new is False
    other = await _publish(world, customer_journey(2))
    assert (other.status_code, other.json()["code"]) == (409, "already-published")
    detail = (await world.client.get("/v1/journeys/customer-journey")).json()
    versions = msgspec.convert(detail, JourneyDetail, strict=False).versions
    assert [(one.version, one.active, one.since is not None) for one in versions] == [
        (2, False, False),
        (1, True, True),
    ]


async def test_a_definition_that_does_not_hold_together_is_refused_with_all_its_faults(world: World) -> None:
    refused = await _publish(world, customer_journey(2, initial="begin", transitions=[{"rule": "x"}]))
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-request")
    two = customer_journey(0, initial="begin")
    faults = (await _publish(world, two)).json()["errors"]
    assert {fault["pointer"] for fault in faults} == {"/initial", "/version"}
    elsewhere = await _publish(world, SECOND, "/v1/journeys/drive/versions")
    assert elsewhere.json()["errors"][0]["pointer"] == "/journey"
    for nonsense in ("a: [", '"\\ud800": 1', ""):
        assert (await _publish(world, nonsense)).status_code == 400


async def test_only_an_administrator_changes_versions(world: World) -> None:
    for path in (VERSIONS, f"{VERSIONS}/2/dry-run", f"{VERSIONS}/2/activate"):
        refused = await world.client.post(path, content=SECOND)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing-scope")


async def test_a_dry_run_shows_who_would_move_and_why_and_activation_moves_them(world: World, stager: Builder) -> None:
    await _publish(world, SECOND)
    assert (await world.client.get(f"{VERSIONS}/2/dry-run")).json()["code"] == "not-built"
    asked = await world.client.post(f"{VERSIONS}/2/dry-run", headers=ADMIN)
    assert (asked.status_code, asked.json()["state"]) == (202, "building")
    while await stager.look():
        pass
    found = msgspec.json.decode((await world.client.get(f"{VERSIONS}/2/dry-run?samples=2")).content, type=DryRun)
    assert found.build.state == "built"
    cells = {(cell.from_stage, cell.to_stage): cell for cell in found.matrix}
    assert {pair: cell.customers for pair, cell in cells.items()} == {
        ("loyalty", "acquisition"): 5,
        ("advocacy", "decision"): 1,
    }
    assert found.moved == 6
    samples = cells["loyalty", "acquisition"].samples
    assert len(samples) == 2
    before, now = samples[0].before, samples[0].now
    assert before is not None
    assert now is not None
    assert (before.stage, before.rule, before.version) == ("loyalty", "first_purchase", 1)
    assert (now.stage, now.rule, now.version) == ("acquisition", "begins", 2)
    assert await _stage(world) == "advocacy"

    begun = await world.client.post(f"{VERSIONS}/2/activate", headers=ADMIN)
    assert begun.status_code == 202
    while await stager.look():
        pass
    assert await _stage(world) == "decision"
    ended = msgspec.json.decode((await world.client.get(f"{VERSIONS}/2/dry-run")).content, type=DryRun)
    assert (ended.build.state, ended.moved) == ("activated", 6)
    again = await world.client.post(f"{VERSIONS}/2/activate", headers=ADMIN)
    assert (again.status_code, again.json()["code"]) == (409, "already-in-force")


async def test_a_profile_is_told_in_the_words_of_the_version_that_wrote_it(world: World, stager: Builder) -> None:
    """Also in the second in which the process has not yet looked whether another version is in force."""
    label = {"en": "A fan", "fr": "Un fan"}
    stages = [*load_yaml(customer_journey(1))["stages"], {"name": "fan", "phase": "after", "label": label}]
    buys = {"rule": "buys", "label": label, "from": "any", "to": "fan", "on": "order_completed"}
    rules = [buys, *without_rules("first_purchase")]
    assert (await _publish(world, customer_journey(2, stages=stages, transitions=rules))).status_code == 200
    for version, stage in ((2, "fan"), (1, "advocacy"), (2, "fan")):
        await world.client.post(f"{VERSIONS}/{version}/activate", headers=ADMIN)
        while await stager.look():
            pass
        assert await _stage(world) == stage


async def test_a_version_that_nobody_published_is_a_404(world: World) -> None:
    for path in (f"{VERSIONS}/7/dry-run", f"{VERSIONS}/7/activate", "/v1/journeys/nonsense/versions/1/activate"):
        refused = await world.client.post(path, headers=ADMIN)
        assert (refused.status_code, refused.json()["code"]) == (404, "version-not-found")


async def _stage(world: World) -> str:
    answer = await world.client.get(f"/v1/customers/by/email/{EMAIL}")
    assert answer.status_code == 200, answer.text
    profile = msgspec.json.decode(answer.content, type=Profile)
    return next(one.stage.name for one in profile.journeys if one.journey == "customer-journey")
