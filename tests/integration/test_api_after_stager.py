"""What the stager writes is what the API answers: the two meet in the store and nowhere else."""

from datetime import timedelta

import httpx
import msgspec

from journey.touchpoint import Touchpoint
from plumbing.clock import now
from plumbing.settings import load
from services.api.answers import Page, Profile, TouchpointItem, TransitionItem
from tests.support.api import READ, bearing, serving_api
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY
from tests.support.stager import append, running_stager
from tests.support.waiting import eventually

EMAIL, BROWSER = "ludovic@example.com", "a-1"


def touched(minutes_ago: float, type_: str, identifiers: dict[str, str]) -> Touchpoint:
    at = now() - timedelta(minutes=minutes_ago)
    return Touchpoint(
        source="shop",
        id=f"{type_}-{minutes_ago}",
        type=type_,
        occurred_at=at,
        received_at=at,
        channel="website",
        identifiers=identifiers,
    )


async def test_a_visit_a_sign_in_and_a_purchase(database_url: str) -> None:
    settings = load(database_url=database_url, secret_key=SECRET_KEY, stager_port=free_port())
    async with (
        running_stager(settings),
        serving_api(database_url) as url,
        httpx.AsyncClient(base_url=url, headers=bearing(READ)) as client,
    ):

        async def profile(path: str) -> Profile | None:
            answer = await client.get(f"/v1/customers/{path}")
            return msgspec.json.decode(answer.content, type=Profile) if answer.status_code == 200 else None

        async def stages(path: str) -> dict[str, str]:
            found = await profile(path)
            return {here.journey: here.stage.name for here in found.journeys} if found else {}

        async def has_bought() -> bool:
            return (await stages(f"by/email/{EMAIL}")).get("customer-journey") == "loyalty"

        await append(settings, [touched(30, "products_compared", {"anonymous_id": BROWSER})])
        visited = await eventually(lambda: profile(f"by/anonymous_id/{BROWSER}"))
        assert visited is not None
        assert await profile(f"by/email/{EMAIL}") is None

        buys = [
            touched(20, "user_signed_in", {"anonymous_id": BROWSER, "email": EMAIL}),
            touched(10, "order_completed", {"email": EMAIL}),
        ]
        await append(settings, buys)
        await eventually(has_bought)
        assert await stages(f"by/anonymous_id/{BROWSER}") == await stages(f"by/email/{EMAIL}")
        assert await stages(visited.id) == await stages(f"by/email/{EMAIL}")  # an id never dies

        answer = await client.get(f"/v1/customers/{visited.id}/timeline")
        items = msgspec.json.decode(answer.content, type=Page[TouchpointItem | TransitionItem]).items
        tied = [(one.tied.by, one.tied.claimed) for one in items if isinstance(one, TouchpointItem)]
        assert tied == [("anonymous_id", True), ("email", False), ("email", False)]

        changes = (await client.get("/v1/changes")).json()["items"]
        assert [one["feed_seq"] for one in changes] == list(range(1, len(changes) + 1))
        last = next(one["data"] for one in reversed(changes) if one["journey"] == "customer-journey")
        assert last["stage_now"] == "loyalty"
        assert last["added"][-1]["rule"] == "first_purchase"

        counts = (await client.get("/v1/journeys/customer-journey/counts")).json()["stages"]
        assert {one["stage"]["name"]: one["customers"] for one in counts if one["customers"]} == {"loyalty": 1}
