"""The API's answers about customers whose touchpoints are known, over HTTP, on a real Postgres."""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from plumbing.embedded.postgres import EmbeddedPostgres
from services.api.answers import FactItem, Page, Profile, TouchpointItem, TransitionItem
from tests.support.api import PERSONAL, READ, bearing
from tests.support.world import CARD, EMAIL, LUDOVIC, START, World, inhabited, touched


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        yield world


async def profile(world: World, path: str, token: str = READ) -> Profile:
    answer = await world.client.get(path, headers=bearing(token))
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Profile)


async def refused(world: World, path: str, status: int, code: str, **headers: str) -> None:
    answer = await world.client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["type"], body["status"]) == (code, f"urn:jalon:problem:{code}", status)
    assert body["message"] == body["detail"]


async def test_a_profile_says_the_stage_of_every_journey_and_why(world: World) -> None:
    found = await profile(world, f"/v1/customers/{world.ludovic}")
    journeys = {here.journey: here for here in found.journeys}
    assert {name: here.stage.name for name, here in journeys.items()}["customer-journey"] == "advocacy"
    here = journeys["customer-journey"]
    assert here.stage.label.fr == "Recommandation"
    assert here.since == START + timedelta(days=3)
    assert (here.why.rule, here.why.cause["type"], here.why.cause["channel"]) == (
        "praises",
        "review_submitted",
        "social",
    )
    assert here.dead_time.since is None
    assert here.dead_time.due_at is not None
    assert found.horizon == world.population.horizon


async def test_a_profile_says_what_may_come_next(world: World) -> None:
    found = await profile(world, f"/v1/customers/{world.ludovic}")
    here = next(here for here in found.journeys if here.journey == "customer-journey")
    assert {way.rule for way in here.next} >= {"complains", "criticises"}
    complains = next(way for way in here.next if way.rule == "complains")
    assert (complains.on, complains.to.name) == (("complaint_submitted",), "loyalty")
    by_time = [way for way in here.next if way.after]
    assert all(way.due_at is not None and not way.on for way in by_time)
    assert "browses_again" not in {way.rule for way in here.next}  # it is denied


@pytest.mark.parametrize(
    "path",
    [
        f"by/email/{EMAIL}",
        "by/email/%20LUDOVIC@example.com",
        f"by/loyalty_card/{CARD}",
        "by/anonymous_id/a-1",
        "by/ticket_id/42?source=test",
    ],
)
async def test_a_customer_is_found_by_any_identifier(world: World, path: str) -> None:
    assert (await profile(world, f"/v1/customers/{path}")).id == world.ludovic


async def test_every_id_ever_minted_answers(world: World) -> None:
    for kind, value in (("email", EMAIL), ("loyalty_card", CARD), ("anonymous_id", "a-1")):
        minted = world.population.digest(kind, value).hex()
        assert (await profile(world, f"/v1/customers/{minted}")).id == world.ludovic


async def test_the_shown_id_is_that_of_the_earliest_strong_identifier(world: World) -> None:
    assert world.ludovic == world.population.digest("loyalty_card", CARD).hex()


async def test_identifiers_that_do_not_belong_into_urls_are_posted(world: World) -> None:
    answer = await world.client.post("/v1/customers/lookup", json={"kind": "email", "value": EMAIL})
    assert msgspec.json.decode(answer.content, type=Profile).id == world.ludovic


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"kind":"email"}', b'{"kind":"email","value":1e999}', b'{"kind":"email","value":"\\ud800"}',
     b'{"kind":"email","value":"a","x":1}', b'{"kind":' + b"[" * 10_000],
)  # fmt: skip
async def test_a_lookup_of_another_form_is_refused_without_an_echo(world: World, body: bytes) -> None:
    answer = await world.client.post("/v1/customers/lookup", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-request")


async def test_a_lookup_of_too_many_bytes_is_refused(world: World) -> None:
    answer = await world.client.post("/v1/customers/lookup", content=b" " * 20_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_personal_data_is_masked_without_the_scope_for_it(world: World) -> None:
    plain = await profile(world, f"/v1/customers/{world.ludovic}", READ)
    assert {one.kind: one.value for one in plain.identifiers}["email"] == "l•••@example.com"
    assert all(one.masked for one in plain.identifiers)
    assert plain.traits is None
    personal = await profile(world, f"/v1/customers/{world.ludovic}", PERSONAL)
    assert {one.kind: one.value for one in personal.identifiers}["email"] == EMAIL
    assert personal.traits == {"age": 34}  # no definition looks at the other one


async def test_no_answer_shows_personal_data_without_the_scope_for_it(world: World) -> None:
    for path in ("", "/timeline?facts=true", "/transitions"):
        url = f"/v1/customers/{world.ludovic}{path}"
        for secret in (EMAIL, CARD, "secret", "running", "Ludovic Martin"):
            assert secret not in (await world.client.get(url)).text
    shown = await world.client.get(f"/v1/customers/{world.ludovic}/timeline", headers=bearing(PERSONAL))
    assert "secret" in shown.text


async def test_a_device_stands_for_who_signed_in_last(world: World) -> None:
    someone = await world.population.add(
        [touched(timedelta(days=1), "store_visited", "store", {"email": "someone@example.com"})]
    )
    left = await world.population.add([touched(timedelta(), "product_viewed", "website", {"device_id": "tablet"})])
    device = world.population.digest("device_id", "tablet")
    assert (await profile(world, "/v1/customers/by/device_id/tablet")).id == left
    await world.population.hold(device, world.population.digest("email", "someone@example.com"), START)
    assert (await profile(world, "/v1/customers/by/device_id/tablet")).id == someone
    await world.population.hold(device, world.population.digest("email", EMAIL), START + timedelta(days=1))
    assert (await profile(world, "/v1/customers/by/device_id/tablet")).id == world.ludovic
    assert (await profile(world, f"/v1/customers/{left}")).id == left  # their id still names who is left on it


@pytest.mark.parametrize(
    "path",
    [
        f"{'0' * 32}",
        "nonsense",
        "by/email/nobody@example.com",
        "by/email/unknown",
        "by/email/",
        "by/colour/red",
        "by/x",
    ],
)
async def test_nobody_is_a_404(world: World, path: str) -> None:
    await refused(world, f"/v1/customers/{path}", 404, "customer-not-found")


async def test_who_asks_must_say_so(world: World) -> None:
    for path in (
        f"/v1/customers/{world.ludovic}",
        "/v1/journeys",
        "/v1/stream",
        f"/v1/customers/{world.ludovic}/timeline",
    ):
        await refused(world, path, 401, "no-token", authorization="")
        await refused(world, path, 401, "unknown-token", authorization="Bearer wrong")
        await refused(world, path, 401, "unknown-token", authorization="Bearer writes")
        await refused(world, path, 401, "unknown-token", authorization="", cookie="jalon_session=made.up.here")


async def test_what_has_not_changed_is_not_sent_again(world: World) -> None:
    for path in ("", "/timeline", "/transitions"):
        url = f"/v1/customers/{world.ludovic}{path}"
        first = await world.client.get(url)
        again = await world.client.get(url, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await world.client.get(url, headers={"if-none-match": first.headers["etag"], **bearing(PERSONAL)})
        assert other.status_code == 200
        assert other.headers["etag"] != first.headers["etag"]


# --- history ----------------------------------------------------------------------------------------------------------

Items = TouchpointItem | TransitionItem | FactItem


async def history(world: World, path: str, limit: int = 500) -> list[Items]:
    """All items of a list, page by page."""
    found: list[Items] = []
    joined, cursor = "&" if "?" in path else "?", ""
    while True:
        url = f"/v1/customers/{world.ludovic}/{path}{joined}limit={limit}{cursor}"
        answer = await world.client.get(url)
        assert answer.status_code == 200, answer.text
        page = msgspec.json.decode(answer.content, type=Page[Items])
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        cursor = f"&cursor={page.next}"


async def test_the_timeline_merges_touchpoints_and_transitions(world: World) -> None:
    items = await history(world, "timeline")
    assert [item.id for item in items if isinstance(item, TouchpointItem)] == [one.id for one in LUDOVIC]
    kinds = [type(item).__name__ for item in items if item.occurred_at == LUDOVIC[3].occurred_at]
    assert kinds[0] == "TouchpointItem"
    assert set(kinds[1:]) == {"TransitionItem"}
    assert not any(isinstance(item, FactItem) for item in items)
    assert any(isinstance(item, FactItem) for item in await history(world, "timeline?facts=true"))


@pytest.mark.parametrize("path", ["timeline", "timeline?facts=true", "timeline?facts=true&order=desc", "transitions"])
async def test_pages_of_any_size_make_the_same_list(world: World, path: str) -> None:
    whole = await history(world, path)
    assert len(whole) > 4
    for limit in (1, 2, 3):
        assert await history(world, path, limit) == whole


async def test_the_newest_come_first_when_asked(world: World) -> None:
    assert await history(world, "timeline?order=desc") == (await history(world, "timeline"))[::-1]


async def test_a_touchpoint_says_how_it_is_tied(world: World) -> None:
    tied = [item.tied for item in await history(world, "timeline") if isinstance(item, TouchpointItem)]
    assert [one.by for one in tied] == ["anonymous_id", "loyalty_card", "loyalty_card", "loyalty_card", "email"]


async def test_transitions_come_with_their_reasons(world: World) -> None:
    moves = [item for item in await history(world, "transitions") if isinstance(item, TransitionItem)]
    ours = [(move.from_stage, move.to_stage, move.rule) for move in moves if move.journey == "customer-journey"]
    assert ours[0][0] is None
    assert ours[-2:] == [("decision", "loyalty", "first_purchase"), ("loyalty", "advocacy", "praises")]
    assert all(move.rule_label and move.to_label and move.retracted_at is None for move in moves)


async def test_what_was_taken_back_is_shown_when_asked(world: World) -> None:
    someone = await world.population.add(
        [touched(timedelta(), "order_completed", "store", {"email": "late@example.com"})]
    )
    await world.population.retract(someone)
    url = f"/v1/customers/{someone}/transitions"
    assert (await world.client.get(url)).json()["items"] == []
    items = (await world.client.get(f"{url}?retracted=true")).json()["items"]
    assert items
    assert all(item["retracted_at"] for item in items)


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "é", "A" * 1_000])
async def test_a_cursor_that_no_list_gave_is_refused(world: World, cursor: str) -> None:
    for path in (f"customers/{world.ludovic}/timeline", "journeys/customer-journey/stages/advocacy/customers"):
        await refused(world, f"/v1/{path}?cursor={cursor}", 400, "bad-cursor", **bearing(READ))


async def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    page = (await world.client.get(f"/v1/customers/{world.ludovic}/timeline?limit=1")).json()
    path = f"/v1/customers/{world.ludovic}/transitions?cursor={page['next']}"
    await refused(world, path, 400, "bad-cursor", **bearing(READ))


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=501", "order=sideways", "facts=perhaps"])
async def test_parameters_out_of_range_are_refused(world: World, query: str) -> None:
    await refused(world, f"/v1/customers/{world.ludovic}/timeline?{query}", 400, "invalid-request", **bearing(READ))
