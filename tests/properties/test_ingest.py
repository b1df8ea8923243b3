"""Whatever is posted, ingest takes it whole or refuses it with a reason: it never breaks."""

import asyncio
import json
from importlib.resources import files
from typing import Any

import jsonschema
import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from journey.normalise import normalise
from journey.touchpoint import decode
from plumbing.log.port import Record
from services.ingest.strict_json import names_are_distinct, repeated_name
from tests.support.ingest import Answer, IngestInProcess

SCHEMA = jsonschema.Draft202012Validator(json.loads((files("schemas") / "touchpoint.schema.json").read_text()))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-03-01T09:30:00Z", "0001-01-01T00:00:00+14:00", "customer", "web", "email", "a:b", "\0"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
PARTS = st.none() | st.dictionaries(st.text(max_size=8), JSON, max_size=4)
MEMBERS = {
    "id": st.text(min_size=1, max_size=300),
    "type": st.sampled_from(["product_viewed", "commande_passée", "a b", ""]),
    "identifiers": st.dictionaries(
        st.sampled_from(["email", "phone", "user_id", "anonymous_id", "Bad Kind"]), st.none() | st.text(), max_size=4
    ),
    "source": st.sampled_from(["web", "till", None]),
    "occurred_at": st.none() | st.datetimes().map(lambda at: at.isoformat() + "Z"),
    "sent_at": st.none() | st.datetimes().map(lambda at: at.isoformat() + "+05:30"),
    "sequence": st.none() | st.integers(),
    "channel": st.sampled_from(["website", "email", "E-Mail", None]),
    "initiator": st.sampled_from(["customer", "company", "nobody", None]),
    "service_mode": st.sampled_from(["human", "robot", None]),
    "traits": PARTS,
    "properties": PARTS,
    "context": PARTS,
}
NEARLY_GOOD = st.fixed_dictionaries(
    {name: MEMBERS[name] for name in ("id", "type", "identifiers")},
    optional={name: member for name, member in MEMBERS.items() if name not in ("id", "type", "identifiers")},
)
WRECKED = st.builds(
    lambda good, name, value: {**good, name: value}, NEARLY_GOOD, st.sampled_from([*MEMBERS, "x"]), JSON
)
TOUCHPOINTS = NEARLY_GOOD | WRECKED


INGEST = IngestInProcess()


def posted(body: object, **headers: str) -> tuple[Answer, list[Record]]:
    """The answer, and what the log got."""
    INGEST.log.records = []
    return asyncio.run(INGEST.post(body, headers)), INGEST.log.records


@given(JSON)
@example([[]])
@example({"id": "a", "type": "b", "identifiers": {"user_id": "\ud83d"}})
def test_any_json_is_answered(value: Any) -> None:
    answer, _ = posted(value)
    assert answer.status in {202, 400, 422}


@given(st.binary(max_size=300), st.sampled_from(["application/json", "application/x-ndjson"]))
def test_any_bytes_are_answered(body: bytes, media: str) -> None:
    answer, _ = posted(body, **{"content-type": media})
    assert answer.status in {202, 400, 422}


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "zstd"]))
def test_any_compressed_bytes_are_answered(body: bytes, encoding: str) -> None:
    answer, _ = posted(body, **{"content-encoding": encoding})
    assert answer.status in {400, 422}


@given(TOUCHPOINTS)
def test_what_is_accepted_is_in_the_log_as_it_was_sent(sent: dict[str, Any]) -> None:
    answer, records = posted(sent)
    if answer.status == 202:
        touchpoint = decode(records[0].value)
        assert SCHEMA.is_valid(sent)
        assert (touchpoint.id, touchpoint.type) == (sent["id"], sent["type"])
        for part in ("traits", "properties", "context"):
            assert getattr(touchpoint, part) == (sent.get(part) or {})
    else:
        assert (answer.status, answer.json["code"]) == (422, "invalid-touchpoint")
        assert answer.json["errors"]
        assert records == []


@given(st.lists(TOUCHPOINTS, min_size=1, max_size=6))
def test_each_of_an_array_fares_as_it_would_alone(batch: list[dict[str, Any]]) -> None:
    alone = [posted(one)[0] for one in batch]
    together, records = posted(batch)
    rejected = [{**answer.json["rejected"][0], "index": n} for n, answer in enumerate(alone) if answer.status == 422]
    assert together.json["accepted"] == len(records) == len(batch) - len(rejected)
    assert together.json["rejected"] == rejected


@given(st.lists(TOUCHPOINTS, min_size=1, max_size=6))
def test_lines_and_arrays_say_the_same(batch: list[dict[str, Any]]) -> None:
    lines = "\n".join(map(json.dumps, batch)).encode()
    by_lines, records_by_lines = posted(lines, **{"content-type": "application/x-ndjson"})
    by_array, records_by_array = posted(batch)
    assert (by_lines.status, by_lines.json) == (by_array.status, by_array.json)
    assert [record.key for record in records_by_lines] == [record.key for record in records_by_array]


# --- names that stand twice -------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "a:", "\\u0061", "\\u003a", ":", '\\"a\\":', "é", "\\\\"])
BLANKS = st.sampled_from(["", " ", "\n", "\t "])


def _object_text(members: list[tuple[str, str, str]]) -> str:
    return "{" + ",".join(f'{blank}"{name}"{blank}:{blank}{value}' for name, blank, value in members) + "}"


TEXTS = st.recursive(
    NAMES.map('"{}"'.format) | st.sampled_from(["1", "null", "true", "-1.5e3"]),
    lambda inner: (
        st.lists(st.tuples(NAMES, BLANKS, inner), max_size=4).map(_object_text)
        | st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
    ),
)


@given(TEXTS)
@example('{"a":1,"\\u0061":2}')
@example('{"a":{"b:":1},"a":"\\u003a\\u003a"}')
def test_the_fast_proof_of_distinct_names_agrees_with_looking(text: str) -> None:
    data = text.encode()
    assert names_are_distinct(data, msgspec.json.decode(data)) == (repeated_name(data) is None)


# --- identifiers ------------------------------------------------------------------------------------------------------


@given(st.sampled_from(["email", "phone", "user_id"]), st.text())
@example("phone", "+33 (0)6 12 34 56 78")
def test_normalising_twice_changes_nothing(kind: str, value: str) -> None:
    once = normalise(kind, value, "FR")
    if once is not None:
        assert normalise(kind, once, "FR") == once
