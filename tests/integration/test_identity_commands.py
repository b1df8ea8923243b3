"""Conflicts and commands from outside: over HTTP and from the command line, with a stager that applies them."""

from typing import Any

import httpx

from tests.support.api import PERSONAL, READ, api_settings, bearing, serving_api
from tests.support.command import run_jalon
from tests.support.population import publish
from tests.support.ports import free_port
from tests.support.service import SECRET_KEY
from tests.support.stager import append, looking_into, running_stager, touchpoint

FAMILY = {"email": "family@example.com"}
MOTHER, FATHER = {"kind": "crm_id", "value": "1"}, {"kind": "crm_id", "value": "2"}
CUSTOMERS = "SELECT count(DISTINCT customer) FROM touchpoints"
NOTHING_PENDING = "SELECT NOT EXISTS (SELECT FROM commands WHERE pending)"


async def test_a_conflict_is_listed_settled_and_unsettled(database_url: str) -> None:
    settings = api_settings(database_url).model_copy(update={"stager_port": free_port()})
    await append(
        settings,
        [
            touchpoint("mother", identifiers={"crm_id": "1"} | FAMILY),
            touchpoint("father", hours=1, identifiers={"crm_id": "2"} | FAMILY),
        ],
    )
    async with (
        looking_into(database_url) as store,
        running_stager(settings),
        serving_api(database_url) as url,
        httpx.AsyncClient(base_url=url, headers=bearing(PERSONAL)) as client,
    ):
        await store.staged(2)
        assert await store.value(CUSTOMERS) == 2
        (conflict,) = await items(client, "/v1/conflicts")
        assert (conflict["reason"], conflict["first_seen"]) == ("link", {"source": "shop", "id": "father"})
        assert (conflict["one"]["value"], conflict["other"]["value"]) == ("2", "family@example.com")
        (masked,) = await items(client, "/v1/conflicts", READ)
        assert masked["other"] == conflict["other"] | {"value": "f•••@example.com", "masked": True}

        join = {"verb": "join", "identifiers": [MOTHER, FATHER]}
        forbidden = await client.post("/v1/commands", json=join, headers=bearing(READ))
        assert (forbidden.status_code, forbidden.json()["code"]) == (403, "missing-scope")
        given = await client.post("/v1/commands", json=join)
        assert given.status_code == 200, given.text
        await store.holds(f"SELECT ({CUSTOMERS}) = 1")
        assert await items(client, "/v1/conflicts") == []
        (listed,) = await items(client, "/v1/commands")
        assert (listed["verb"], listed["given_by"], listed["pending"]) == ("join", "bootstrap-personal", False)
        assert {one["value"] for one in listed["identifiers"]} == {"1", "2"}

        assert (await client.delete(f"/v1/commands/{given.json()['command']}")).status_code == 204
        await store.holds(f"SELECT ({CUSTOMERS}) = 2")
        assert len(await items(client, "/v1/conflicts")) == 1
        assert (await client.delete("/v1/commands/99999")).json()["code"] == "command-not-found"

        split = {"verb": "split", "identifiers": [FATHER, {"kind": "email", "value": " FAMILY@example.com"}]}
        assert (await client.post("/v1/commands", json=split)).status_code == 200
        await store.holds(NOTHING_PENDING)
        assert await items(client, "/v1/conflicts") == []


async def test_commands_that_say_nothing_are_refused(database_url: str) -> None:
    weak = {"kind": "anonymous_id", "value": "a"}
    await publish(database_url)
    async with serving_api(database_url) as url, httpx.AsyncClient(base_url=url, headers=bearing(PERSONAL)) as client:
        for wanted in (
            {"verb": "join", "identifiers": [MOTHER]},
            {"verb": "join", "identifiers": [MOTHER, MOTHER]},
            {"verb": "join", "identifiers": [MOTHER, weak]},
            {"verb": "join", "identifiers": [MOTHER, {"kind": "email", "value": "unknown"}]},
            {"verb": "void", "identifiers": [MOTHER], "touchpoint": {"source": "shop", "id": "1"}},
            {"verb": "strike", "touchpoint": {"source": "shop", "id": "1"}},
            {"verb": "void", "touchpoint": {"source": "shop", "id": "a\0b"}},
            {"verb": "erase"},
        ):
            answer = await client.post("/v1/commands", json=wanted)
            assert answer.status_code == 400, wanted
            assert answer.headers["content-type"] == "application/problem+json"
        assert await items(client, "/v1/commands") == []


async def test_the_command_line_voids_strikes_and_undoes(database_url: str) -> None:
    environment = {"JALON_DATABASE_URL": database_url, "JALON_SECRET_KEY": SECRET_KEY}
    settings = api_settings(database_url).model_copy(update={"stager_port": free_port()})
    card = {"loyalty_card": "L1"}
    await append(settings, [touchpoint("1", identifiers=card), touchpoint("2", hours=1, identifiers=FAMILY | card)])
    async with looking_into(database_url) as store, running_stager(settings):
        await store.staged(2)
        assert await store.value(CUSTOMERS) == 1
        struck = run_jalon("identities", "strike", "shop", "2", "loyalty_card:L1", environment=environment)
        assert struck.returncode == 0, struck.stderr
        await store.holds(f"SELECT ({CUSTOMERS}) = 2")
        assert run_jalon("identities", "void", "shop", "1", environment=environment).returncode == 0
        await store.holds("SELECT customer IS NULL FROM touchpoints WHERE id = '1'")
        assert run_jalon("identities", "undo", struck.stdout.strip(), environment=environment).returncode == 0
        await store.holds(NOTHING_PENDING)
        assert await store.value(CUSTOMERS) == 1
    listed = run_jalon("identities", "commands", environment=environment).stdout
    assert [line.split()[1:4] for line in listed.splitlines()[1:]] == [["void", "shop", "1"], ["strike", "shop", "2"]]
    assert run_jalon("identities", "conflicts", environment=environment).returncode == 0
    assert run_jalon("identities", "undo", "77", environment=environment).stderr == "error: there is no command 77\n"
    assert run_jalon("identities", "join", "email", "crm_id:1", environment=environment).returncode == 2


async def items(client: httpx.AsyncClient, path: str, token: str = PERSONAL) -> list[dict[str, Any]]:
    answer = await client.get(path, headers=bearing(token))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found
