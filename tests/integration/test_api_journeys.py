"""The API's answers about journeys, and what it says to those who run it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import msgspec
import pytest

from plumbing.embedded.postgres import EmbeddedPostgres
from services.api.answers import Counts, CustomerInStage, JourneyDetail, JourneySummary, Page, PageAsOf
from tests.support.api import PERSONAL, bearing
from tests.support.world import World, inhabited, touched

STAGE = "/v1/journeys/customer-journey/stages/loyalty/customers"


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        for number in range(7):
            buys = touched(
                timedelta(hours=number // 3), "order_completed", "store", {"email": f"buyer{number}@example.com"}
            )
            await world.population.add([buys])
        yield world


async def test_journeys_are_listed_with_their_stages(world: World) -> None:
    page = msgspec.json.decode((await world.client.get("/v1/journeys")).content, type=Page[JourneySummary])
    assert [one.journey for one in page.items] == ["buyer-journey", "customer-journey", "drive", "purchase-cycle"]
    stages = [stage.name for stage in page.items[1].stages]
    assert stages == ["acquisition", "consideration", "decision", "loyalty", "advocacy"]


async def test_a_journey_shows_its_definition_and_versions(world: World) -> None:
    answer = await world.client.get("/v1/journeys/customer-journey")
    found = msgspec.json.decode(answer.content, type=JourneyDetail)
    assert found.definition["initial"] == "acquisition"
    assert [(version.version, version.active) for version in found.versions] == [(1, True)]


@pytest.mark.parametrize("path", ["", "/diagram", "/counts", "/stages/loyalty/customers"])
async def test_an_unknown_journey_is_a_404(world: World, path: str) -> None:
    answer = await world.client.get(f"/v1/journeys/nonsense{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "journey-not-found")


async def test_an_unknown_stage_is_a_404(world: World) -> None:
    answer = await world.client.get("/v1/journeys/drive/stages/nonsense/customers")
    assert (answer.status_code, answer.json()["code"]) == (404, "stage-not-found")


async def test_a_diagram_comes_as_text_or_as_a_picture(world: World) -> None:
    path = "/v1/journeys/customer-journey/diagram"
    text = await world.client.get(path)
    assert text.headers["content-type"].startswith("text/vnd.mermaid")
    assert text.text.startswith("stateDiagram-v2")
    for picture in (
        await world.client.get(path, headers={"accept": "image/svg+xml"}),
        await world.client.get(f"{path}?format=svg&lang=fr"),
    ):
        assert picture.headers["content-type"].startswith("image/svg+xml")
        assert picture.text.lstrip().startswith("<svg")
    assert "Fidélisation" in picture.text


async def test_counts_add_up_by_stage(world: World) -> None:
    answer = await world.client.get("/v1/journeys/customer-journey/counts")
    found = msgspec.json.decode(answer.content, type=Counts)
    assert {one.stage.name: one.customers for one in found.stages} == {
        "acquisition": 0,
        "consideration": 0,
        "decision": 0,
        "loyalty": 7,
        "advocacy": 1,
    }
    assert found.as_of == world.population.horizon


async def test_who_is_in_a_stage_is_told_in_pages(world: World) -> None:
    found: list[CustomerInStage] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = await world.client.get(f"{STAGE}?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        page = msgspec.json.decode(answer.content, type=PageAsOf[CustomerInStage])
        found += page.items
        cursor = page.next
    assert len({one.id for one in found}) == len(found) == 7
    assert [one.since for one in found] == sorted(one.since for one in found)
    assert {one.identifiers[0].value for one in found} == {"b•••@example.com"}
    shown = (await world.client.get(STAGE, headers=bearing(PERSONAL))).json()["items"]
    assert {one["identifiers"][0]["value"] for one in shown} == {f"buyer{number}@example.com" for number in range(7)}


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/v1/journeys", 405)])
async def test_what_is_not_there_is_a_problem_too(world: World, method: str, path: str, status: int) -> None:
    answer = await world.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_health_needs_no_token(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.url) as anyone:
        assert (await anyone.get("/healthz")).json() == {"status": "alive"}
        assert (await anyone.get("/readyz")).json() == {"status": "ready"}
        assert (await anyone.get("/v1/journeys/customer-journey/counts")).status_code == 401
        counted = (await anyone.get("/metrics")).text
        assert 'jalon_api_requests_total{route="/v1/journeys/{journey}/counts",status="401"}' in counted
        assert (await anyone.get("/openapi.json")).json()["openapi"].startswith("3.")
