"""What ingest makes of good requests: which touchpoints reach the log, as which records, and the answers."""

import asyncio
import gzip
import json
import zlib
from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zstandard

from journey.touchpoint import Touchpoint, decode
from plumbing.clock import now
from services.ingest.edge import Body, Edge, Room, Route
from services.ingest.http import Head, Response
from tests.support.ingest import SETTINGS, WEB_KEY, IngestInProcess
from tests.unit.test_ingest_refusals import GOOD

HOUR = timedelta(hours=1)


@pytest.fixture
def ingest() -> IngestInProcess:
    return IngestInProcess()


async def logged(ingest: IngestInProcess, **members: Any) -> Touchpoint:
    """The touchpoint in the log after posting a good one with these members."""
    answer = await ingest.post({**GOOD, **members})
    assert (answer.status, answer.json) == (202, {"accepted": 1, "rejected": []})
    return decode(ingest.log.records[-1].value)


# --- what is filled in ------------------------------------------------------------------------------------------------


async def test_source_and_channel_come_from_the_key(ingest: IngestInProcess) -> None:
    web = await logged(ingest)
    assert (web.source, web.channel) == ("web", "website")
    assert (await ingest.post(GOOD, key="another-secret")).status == 202
    till = decode(ingest.log.records[-1].value)
    assert (till.source, till.channel) == ("till", "store")


async def test_a_touchpoint_may_name_its_own_channel_and_repeat_its_source(ingest: IngestInProcess) -> None:
    touchpoint = await logged(ingest, source="web", channel="email", initiator="company", service_mode="automated")
    assert (touchpoint.source, touchpoint.channel) == ("web", "email")
    assert (touchpoint.initiator, touchpoint.service_mode) == ("company", "automated")


async def test_without_a_time_it_happened_when_it_was_received(ingest: IngestInProcess) -> None:
    before = now()
    touchpoint = await logged(ingest)
    assert before <= touchpoint.received_at <= now()
    assert touchpoint.occurred_at == touchpoint.received_at


async def test_times_are_kept_in_utc_to_the_microsecond(ingest: IngestInProcess) -> None:
    touchpoint = await logged(ingest, occurred_at="2026-03-01T09:30:00.123456+02:00")
    assert touchpoint.occurred_at == datetime(2026, 3, 1, 7, 30, 0, 123456, tzinfo=UTC)
    assert touchpoint.occurred_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("off", [timedelta(days=-9000), timedelta(minutes=-7), timedelta(0), timedelta(days=700)])
async def test_a_wrong_clock_is_corrected_by_what_it_says_of_the_time_of_sending(
    ingest: IngestInProcess, off: timedelta
) -> None:
    sent_at = now() + off
    touchpoint = await logged(ingest, occurred_at=(sent_at - HOUR).isoformat(), sent_at=sent_at.isoformat())
    assert touchpoint.occurred_at == touchpoint.received_at - HOUR


async def test_a_day_in_the_future_is_taken_and_more_is_not(ingest: IngestInProcess) -> None:
    assert (await ingest.post({**GOOD, "occurred_at": (now() + 23 * HOUR).isoformat()})).status == 202
    assert (await ingest.post({**GOOD, "occurred_at": (now() + 25 * HOUR).isoformat()})).status == 422


async def test_what_happened_before_the_lateness_limit_is_refused() -> None:
    ingest = IngestInProcess(SETTINGS.model_copy(update={"lateness_limit": timedelta(days=30)}))
    assert (await ingest.post({**GOOD, "occurred_at": (now() - timedelta(days=29)).isoformat()})).status == 202
    answer = await ingest.post({**GOOD, "occurred_at": (now() - timedelta(days=31)).isoformat()})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/occurred_at")


async def test_a_batch_orders_what_has_no_sequence_by_its_place(ingest: IngestInProcess) -> None:
    batch = [{**GOOD, "id": "a"}, {**GOOD, "id": "b", "sequence": 900}, {**GOOD, "id": "c"}]
    assert (await ingest.post(batch)).json == {"accepted": 3, "rejected": []}
    assert [decode(record.value).sequence for record in ingest.log.records] == [0, 900, 2]


async def test_one_request_is_received_at_one_instant(ingest: IngestInProcess) -> None:
    await ingest.post([{**GOOD, "id": str(n)} for n in range(50)])
    assert len({decode(record.value).received_at for record in ingest.log.records}) == 1


# --- identifiers ------------------------------------------------------------------------------------------------------


async def test_identifiers_are_normalised_and_those_that_name_nobody_dropped(ingest: IngestInProcess) -> None:
    given = {"email": " Ludovic@Example.COM ", "phone": "+33 6 12 34 56 78", "user_id": "null", "device_id": None}
    touchpoint = await logged(ingest, identifiers={**given, "session_id": "", "loyalty_card": " 42 "})
    assert touchpoint.identifiers == {"email": "ludovic@example.com", "phone": "+33612345678", "loyalty_card": "42"}


# --- the record -------------------------------------------------------------------------------------------------------


async def test_the_record_is_a_cloudevent_under_its_strongest_identifier(ingest: IngestInProcess) -> None:
    identifiers = {"zz_kind": "z", "anonymous_id": "a-1", "email": "l@example.com", "loyalty_card": "42"}
    await logged(ingest, identifiers=identifiers, occurred_at="2026-03-01T09:30:00Z", id="é-1")
    record = ingest.log.records[0]
    assert record.key == b"loyalty_card:42"
    assert record.headers == (
        ("ce_specversion", b"1.0"),
        ("ce_id", "é-1".encode()),
        ("ce_source", b"web"),
        ("ce_type", b"product_viewed"),
        ("ce_time", b"2026-03-01T09:30:00Z"),
        ("content-type", b"application/json"),
    )


async def test_a_record_of_undeclared_kinds_goes_by_the_first_name(ingest: IngestInProcess) -> None:
    await logged(ingest, identifiers={"zz": "1", "badge": "2"})
    assert ingest.log.records[0].key == b"badge:2"


# --- what survives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        -(10**18),
        10**18,
        0.1,
        -0.0,
        5e-324,
        1e17,
        True,
        None,
        "",
        "\U0001d49c astral \U0001f45f",
        "a:b::c",
        'quoted "a":1',
        "back\\slash \\u0000 in words",
        "</script>",
        [],
        {},
        [[1, [2, {"a": []}]], "x"],
        {"lines": [{"sku": "A", "price": "119.90"}, {"sku": "B"}]},
    ],
    ids=repr,
)
async def test_it_survives_unchanged(ingest: IngestInProcess, value: object) -> None:
    touchpoint = await logged(ingest, properties={"v": value}, traits={"v": value}, context={"v": value})
    for part in (touchpoint.properties, touchpoint.traits, touchpoint.context):
        assert repr(part["v"]) == repr(value)


async def test_the_deepest_and_the_largest_are_taken(ingest: IngestInProcess) -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}
    await logged(ingest, properties=deep, traits={"a": "x" * 32_750}, id="x" * 256, type="x" * 128)
    await logged(ingest, identifiers={f"kind_{n}": "x" * 256 for n in range(16)}, sequence=10**18)


async def test_null_is_as_good_as_nothing(ingest: IngestInProcess) -> None:
    absent = ("source", "occurred_at", "sent_at", "received_at", "sequence", "channel", "initiator", "service_mode")
    touchpoint = await logged(ingest, **dict.fromkeys((*absent, "traits", "properties", "context")))
    assert (touchpoint.source, touchpoint.initiator, touchpoint.properties) == ("web", "customer", {})


# --- bodies -----------------------------------------------------------------------------------------------------------

ONE = json.dumps(GOOD).encode()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(ONE)),
        ("x-gzip", gzip.compress(ONE[:9]) + gzip.compress(ONE[9:])),
        ("GZIP", gzip.compress(ONE)),
        ("deflate", zlib.compress(ONE)),
        ("deflate", zlib.compress(ONE)[2:-4]),
        ("zstd", zstandard.compress(ONE)),
        ("zstd", zstandard.compress(ONE[:9]) + zstandard.compress(ONE[9:])),
        ("identity", ONE),
    ],
    ids=["gzip", "gzip in two", "in capitals", "zlib", "deflate", "zstd", "zstd in two", "identity"],
)
async def test_bodies_may_be_compressed(ingest: IngestInProcess, encoding: str, body: bytes) -> None:
    assert (await ingest.post(body, {"content-encoding": encoding})).status == 202
    assert len(ingest.log.records) == 1


# `curl -d` without a header says that what it sends is a form
CURL = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", "text/plain;charset=UTF-8", "TEXT/PLAIN", "", CURL]
)
async def test_json_comes_under_several_names(ingest: IngestInProcess, media: str) -> None:
    assert (await ingest.post(GOOD, {"content-type": media})).status == 202


async def test_lines_are_a_batch_and_blank_ones_are_nothing(ingest: IngestInProcess) -> None:
    lines = b'\n%b\r\n  \n%b\n{"id":}\n%b' % (ONE, ONE.replace(b"e-1", b"e-2"), ONE.replace(b'"id"', b'"ID"'))
    answer = await ingest.post(lines, {"content-type": "application/x-ndjson"})
    assert (answer.status, answer.json["accepted"]) == (202, 2)
    assert [(one["index"], one["id"]) for one in answer.json["rejected"]] == [(2, None), (3, None)]
    assert [decode(record.value).sequence for record in ingest.log.records] == [0, 1]


@pytest.mark.parametrize("line", [ONE + b"," + ONE, ONE + ONE, ONE[:20] + b"\n" + ONE[20:]])
async def test_a_line_is_one_touchpoint(ingest: IngestInProcess, line: bytes) -> None:
    answer = await ingest.post(line + b"\n" + ONE, {"content-type": "application/x-ndjson"})
    assert (answer.status, answer.json["accepted"]) == (202, 1)


async def test_an_empty_array_is_no_fault(ingest: IngestInProcess) -> None:
    answer = await ingest.post(b" [ ] ")
    assert (answer.status, answer.json) == (202, {"accepted": 0, "rejected": []})


async def test_an_array_of_bad_ones_only_is_refused_with_each_reason(ingest: IngestInProcess) -> None:
    answer = await ingest.post([{**GOOD, "type": ""}, {**GOOD, "id": "e-2", "sequence": -1, "channel": "?"}])
    assert answer.status == 422
    assert answer.json["accepted"] == 0
    faults = [[fault["pointer"] for fault in one["errors"]] for one in answer.json["rejected"]]
    assert faults == [["/type"], ["/channel", "/sequence"]]
    assert [one["id"] for one in answer.json["rejected"]] == ["e-1", "e-2"]


async def test_a_body_may_come_in_pieces(ingest: IngestInProcess) -> None:
    headers = {"authorization": f"Bearer {WEB_KEY}"}
    pieces = [ONE[place : place + 7] for place in range(0, len(ONE), 7)]
    assert (await ingest.request("POST", "/v1/touchpoints", headers, pieces)).status == 202


async def test_pieces_beyond_the_limit_are_refused_without_an_announcement(ingest: IngestInProcess) -> None:
    headers = {"authorization": f"Bearer {WEB_KEY}"}
    answer = await ingest.request("POST", "/v1/touchpoints", headers, [b" " * 100_000] * 11)
    assert (answer.status, answer.json["code"]) == (413, "body-too-large")


async def test_a_client_that_goes_away_gets_no_answer_and_leaves_nothing(ingest: IngestInProcess) -> None:
    headers = {"authorization": f"Bearer {WEB_KEY}"}
    assert (await ingest.request("POST", "/v1/touchpoints", headers, [])).status == 0
    assert ingest.log.records == []


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "authorization"),
    [
        ("/v1/touchpoints", "Basic YS1zZWNyZXQ6"),
        ("/v1/touchpoints", "basic YS1zZWNyZXQ6aWdub3JlZA=="),
        ("/v1/touchpoints", "Basic YS1zZWNyZXQ="),
        ("/v1/touchpoints", f"bearer  {WEB_KEY}"),
        (f"/v1/touchpoints?a=b&write_key={WEB_KEY}", None),
    ],
)
async def test_a_key_comes_in_one_of_three_ways(ingest: IngestInProcess, path: str, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}
    assert (await ingest.post(GOOD, headers, path, key=None)).status == 202


async def test_without_a_key_nothing_is_read(ingest: IngestInProcess) -> None:
    answer = await ingest.post(b"not even json", key=None)
    assert (answer.status, answer.json["code"]) == (401, "no-key")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_an_unknown_key_may_come_again_while_the_keys_are_not_loaded(ingest: IngestInProcess) -> None:
    ingest.app.keys.loaded = False
    answer = await ingest.post(GOOD, key="made-in-postgres")
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "keys-unavailable", "1")
    assert (await ingest.post(GOOD)).status == 202


# --- when it cannot ---------------------------------------------------------------------------------------------------


async def test_nothing_is_acknowledged_while_the_log_is_away(ingest: IngestInProcess) -> None:
    ingest.log.away = True
    answer = await ingest.post(GOOD)
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (503, "log-unavailable", "1")
    assert (await ingest.get("/readyz")).status == 503
    assert (await ingest.get("/healthz")).status == 200
    ingest.log.away = False
    assert (await ingest.post(GOOD)).status == 202
    assert (await ingest.get("/readyz")).status == 200


async def test_what_is_refused_anyway_is_refused_also_while_the_log_is_away(ingest: IngestInProcess) -> None:
    ingest.log.away = True
    assert (await ingest.post({**GOOD, "type": ""})).status == 422


# --- the edge ---------------------------------------------------------------------------------------------------------


async def test_paths_and_methods_that_are_not_there(ingest: IngestInProcess) -> None:
    assert (await ingest.get("/v1/nothing")).json["code"] == "not-found"
    assert (await ingest.get("/v1/touchpoints/")).status == 404
    answer = await ingest.get("/v1/touchpoints")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert (await ingest.request("OPTIONS", "/healthz")).status == 405


async def test_metrics_count_what_was_taken_and_refused(ingest: IngestInProcess) -> None:
    await ingest.post([GOOD, {**GOOD, "hostile\nname": 1}, {**GOOD, "type": ""}])
    answer = await ingest.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert b'jalon_touchpoints_accepted_total{source="web"}' in answer.body
    assert b'jalon_touchpoints_rejected_total{reason="type"}' in answer.body
    assert b"hostile" not in answer.body


async def test_a_browser_may_call_from_any_page_and_see_when_to_come_again(ingest: IngestInProcess) -> None:
    origin = {"origin": "https://shop.example.com"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    preflight = await ingest.request("OPTIONS", "/v1/touchpoints", {**origin, **asked})
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    for answer in (preflight, await ingest.post(GOOD, origin), await ingest.post(b"", origin)):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-expose-headers"] == "Retry-After"
        assert answer.headers["vary"] == "Origin"


async def test_an_answer_to_no_browser_says_nothing_of_origins(ingest: IngestInProcess) -> None:
    assert not any(name.startswith("access-control") for name in (await ingest.post(GOOD)).headers)


async def test_too_much_at_once_is_answered_and_forgotten() -> None:
    room = Room(1_000)
    gate, entered = asyncio.Event(), asyncio.Event()

    async def hold(_head: Head, body: Body) -> Response:
        await body.read()
        entered.set()
        await gate.wait()
        return Response(202)

    edge = Edge({"/hold": Route({"POST": hold})}, body_limit=5_000, room=room)
    first = asyncio.create_task(called(edge, b" " * 900))
    await entered.wait()
    assert await called(edge, b" " * 900) == 503
    gate.set()
    assert await first == 202
    assert await called(edge, b" " * 900) == 202


async def called(edge: Edge, body: bytes) -> int:
    """The status that `edge` answers a POST to /hold with."""
    statuses: list[int] = []
    scope = {"type": "http", "method": "POST", "path": "/hold", "query_string": b"", "headers": []}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    await edge(scope, receive, send)
    return statuses[0]
