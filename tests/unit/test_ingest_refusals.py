"""What ingest refuses, and how: a corpus of bad requests. None may lead to a 5xx, and the next good request works."""

import gzip
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import zstandard

from tests.support.ingest import IngestInProcess

GOOD: dict[str, Any] = {"id": "e-1", "type": "product_viewed", "identifiers": {"email": "ludovic@example.com"}}


def changed(**members: Any) -> bytes:
    return json.dumps({**GOOD, **members}).encode()


def without(member: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != member}).encode()


def spelled(text: str) -> bytes:
    """A touchpoint with this text after its good members."""
    return json.dumps(GOOD).encode()[:-1] + b"," + text.encode() + b"}"


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    return spelled(f'"properties":{{"deep":{opening * levels}1{closing * levels}}}')


class Bad(NamedTuple):
    """A request that is refused: with this status and code and, for a touchpoint, a fault at this pointer."""

    name: str
    body: bytes
    status: int
    code: str
    pointer: str | None = None
    headers: Mapping[str, str] = {}


def json_syntax() -> list[Bad]:
    texts = {
        "nothing": b"",
        "blanks": b" \n\t",
        "a word": b"hello",
        "half an object": b'{"id":"e-1"',
        "half an array": b"[" + changed(),
        "two objects": changed() + changed(),
        "a comma too many": changed()[:-1] + b",}",
        "a comment": b"/* hi */" + changed(),
        "single quotes": b"{'id':'e-1'}",
        "NaN": spelled('"properties":{"a":NaN}'),
        "Infinity": spelled('"properties":{"a":-Infinity}'),
        "a number with a leading zero": spelled('"properties":{"a":01}'),
        "a hexadecimal number": spelled('"properties":{"a":0x10}'),
        "a byte order mark": b"\xef\xbb\xbf" + changed(),
        "UTF-16": json.dumps(GOOD).encode("utf-16"),
        "UTF-16 without a mark": json.dumps(GOOD).encode("utf-16-le"),
        "Latin-1": json.dumps({**GOOD, "properties": {"a": "é"}}, ensure_ascii=False).encode("latin-1"),
        "an overlong encoding": changed().replace(b"product", b"\xc0\xaf"),
        "an encoded surrogate": changed().replace(b"product", b"\xed\xa0\x80"),
        "half a surrogate pair": spelled('"properties":{"a":"\\ud83d"}'),
        "the other half": spelled('"properties":{"a":"\\ude00 "}'),
        "half a pair in a name": spelled('"properties":{"\\ud83d":1}'),
        "a line feed in a string": spelled('"properties":{"a":"\n"}'),
        "a zero byte in a string": spelled('"properties":{"a":"\0"}'),
        "a bad escape": spelled('"properties":{"a":"\\x41"}'),
        "ten thousand arrays": b"[" * 10_000,
        "nesting that would end a parser": nested(100_000),
        "form fields": b"id=e-1&type=product_viewed",
        "an array with bad UTF-8 beside a bad touchpoint": b"[1,%b]" % changed().replace(b"product", b"\xff"),
    }
    return [Bad(name, body, 400, "bad-json") for name, body in texts.items()]


def shapes() -> list[Bad]:
    cases: dict[str, tuple[bytes, str]] = {
        "null": (b"null", ""),
        "a number": (b"42", ""),
        "a string": (b'"e-1"', ""),
        "an unknown member": (changed(userId="u"), "/userId"),
        "an unknown member that needs escaping": (changed(**{"a/b~c": 1}), "/a~1b~0c"),
        "an unknown member with a very long name": (changed(**{"x" * 9_000: 1}), "/" + "x" * 64),
        "no id": (without("id"), "/id"),
        "no type": (without("type"), "/type"),
        "no identifiers": (without("identifiers"), "/identifiers"),
        "a number for an id": (changed(id=7), "/id"),
        "null for an id": (changed(id=None), "/id"),
        "an empty id": (changed(id=""), "/id"),
        "a long id": (changed(id="x" * 257), "/id"),
        "an id of many bytes": (changed(id="é" * 129), "/id"),
        "an id with a zero": (changed(id="e\0"), "/id"),
        "an id with a line feed": (changed(id="e\n1"), "/id"),
        "an empty type": (changed(type=""), "/type"),
        "a type with blanks": (changed(type="product viewed"), "/type"),
        "a type that is a script": (changed(type="<script>"), "/type"),
        "a long type": (changed(type="x" * 129), "/type"),
        "another source": (changed(source="till"), "/source"),
        "a channel in capitals": (changed(channel="Website"), "/channel"),
        "an empty channel": (changed(channel=""), "/channel"),
        "a long channel": (changed(channel="x" * 65), "/channel"),
        "an unknown initiator": (changed(initiator="nobody"), "/initiator"),
        "an unknown service mode": (changed(service_mode="magic"), "/service_mode"),
        "properties that are an array": (changed(properties=[1]), "/properties"),
        "traits that are a string": (changed(traits="runner"), "/traits"),
        "context that is a number": (changed(context=1), "/context"),
        "its own reception": (changed(received_at="2026-01-01T00:00:00Z"), "/received_at"),
        "a name twice": (spelled('"id":"e-2"'), "/id"),
        "a name twice, once escaped": (spelled('"\\u0069d":"e-2"'), "/id"),
        "a name twice in properties": (spelled('"properties":{"a":1,"b":2,"a":1}'), "/properties/a"),
        "a name twice, deep": (spelled('"context":{"a":[0,{"b":1,"b":1}]}'), "/context/a/1/b"),
        "a name twice, blanks between": (spelled('"traits":{"a" : 1 ,\n"a"\t: 1}'), "/traits/a"),
        "a name twice, one an escaped colon": (spelled('"traits":{"a\\u003a":1,"a:":"::"}'), "/traits/a:"),
    }
    return [Bad(name, body, 422, "invalid-touchpoint", pointer) for name, (body, pointer) in cases.items()]


def times_and_numbers() -> list[Bad]:
    cases: dict[str, tuple[bytes, str]] = {
        "a time without a zone": (changed(occurred_at="2026-03-01T09:30:00"), "/occurred_at"),
        "a date": (changed(occurred_at="2026-03-01"), "/occurred_at"),
        "an epoch": (changed(occurred_at=1772357400), "/occurred_at"),
        "no date at all": (changed(occurred_at="yesterday"), "/occurred_at"),
        "30 February": (changed(occurred_at="2026-02-30T00:00:00Z"), "/occurred_at"),
        "before 1970": (changed(occurred_at="1969-12-31T23:59:59Z"), "/occurred_at"),
        "the far future": (changed(occurred_at="2999-01-01T00:00:00Z"), "/occurred_at"),
        "the last hours of time": (changed(occurred_at="9999-12-31T23:59:59-12:00"), "/occurred_at"),
        "the first hours of time": (changed(occurred_at="0001-01-01T00:00:00+12:00"), "/occurred_at"),
        "a clock beyond time": (
            changed(occurred_at="0001-01-01T00:00:00Z", sent_at="9999-12-31T00:00:00Z"),
            "/occurred_at",
        ),
        "a time of sending that is none": (changed(occurred_at="2026-01-01T00:00:00Z", sent_at="now"), "/sent_at"),
        "a negative sequence": (changed(sequence=-1), "/sequence"),
        "a fractional sequence": (changed(sequence=1.5), "/sequence"),
        "a huge sequence": (changed(sequence=10**19), "/sequence"),
        "a large integer": (changed(properties={"n": 10**18 + 1}), "/properties/n"),
        "an integer of 4,000 digits": (spelled(f'"properties":{{"n":{"9" * 4_000}}}'), "/properties/n"),
        "an integer of 9,000 digits": (spelled(f'"properties":{{"n":{"9" * 9_000}}}'), ""),
        "a large float": (changed(traits={"n": -1e19}), "/traits/n"),
        "a large number, deep": (changed(context={"a": [{"b": [[1e300]]}]}), "/context/a/0/b/0/0"),
        "a float beyond floats": (spelled('"properties":{"n":1e400}'), ""),
        "an exponent that would fill a disk": (spelled('"properties":{"n":1e131071}'), ""),
        "deep objects": (nested(31), "/properties/deep" + "/a" * 30),
        "deep arrays": (nested(31, "[", "]"), "/properties/deep" + "/0" * 30),
        "large properties": (changed(properties={"a": "x" * 32_768}), "/properties"),
        "large traits": (changed(traits={"a": ["é"] * 9_000}), "/traits"),
        "the character U+0000": (changed(properties={"a": {"b": ["\0"]}}), "/properties"),
        "U+0000 in a name": (changed(context={"a\0": 1}), "/context"),
    }
    return [Bad(name, body, 422, "invalid-touchpoint", pointer) for name, (body, pointer) in cases.items()]


def identifiers() -> list[Bad]:
    cases: dict[str, tuple[dict[str, Any] | list[Any] | None, str]] = {
        "none": ({}, "/identifiers"),
        "null for all": (None, "/identifiers"),
        "an array": (["a"], "/identifiers"),
        "only empty ones": ({"email": "", "phone": None}, "/identifiers"),
        "only blanks": ({"email": "  "}, "/identifiers"),
        "only junk": ({"user_id": "unknown", "email": "TEST@test.com", "phone": "00 00 00"}, "/identifiers"),
        "a number": ({"user_id": 42}, "/identifiers/user_id"),
        "nought": ({"user_id": 0}, "/identifiers/user_id"),
        "an object": ({"user_id": {}}, "/identifiers/user_id"),
        "a long one": ({"user_id": "x" * 257}, "/identifiers/user_id"),
        "a control character": ({"user_id": "a\x07"}, "/identifiers/user_id"),
        "a zero": ({"user_id": "a\0b"}, "/identifiers/user_id"),
        "a kind in capitals": ({"userId": "a"}, "/identifiers/userId"),
        "an empty kind": ({"": "a"}, "/identifiers/"),
        "a bad kind without a value": ({"a b": None, "user_id": "u"}, "/identifiers/a b"),
        "too many": ({f"kind_{n}": "a" for n in range(17)}, "/identifiers"),
    }
    return [
        Bad(f"identifiers: {name}", changed(identifiers=given), 422, "invalid-touchpoint", pointer)
        for name, (given, pointer) in cases.items()
    ]


def bodies() -> list[Bad]:
    zipped, bomb = gzip.compress(changed()), b" " * 1_000_001
    encoded = {
        "gzip that is none": (changed(), "gzip", 400, "bad-encoding"),
        "half a gzip": (zipped[:-9], "gzip", 400, "bad-encoding"),
        "gzip and rubbish": (zipped + b"rubbish", "gzip", 400, "bad-encoding"),
        "gzip with a bad checksum": (zipped[:-8] + b"\0" * 8, "gzip", 400, "bad-encoding"),
        "deflate that is none": (changed(), "deflate", 400, "bad-encoding"),
        "half a deflate": (zlib.compress(changed())[:-5], "deflate", 400, "bad-encoding"),
        "zstd that is none": (changed(), "zstd", 400, "bad-encoding"),
        "half a zstd": (zstandard.compress(changed())[:-3], "zstd", 400, "bad-encoding"),
        "brotli": (changed(), "br", 415, "unsupported-content-encoding"),
        "gzip twice": (gzip.compress(zipped), "gzip, gzip", 415, "unsupported-content-encoding"),
        "a gzip bomb": (gzip.compress(bomb), "gzip", 413, "body-too-large"),
        "a deflate bomb": (zlib.compress(bomb), "deflate", 413, "body-too-large"),
        "a zstd bomb": (zstandard.compress(bomb), "zstd", 413, "body-too-large"),
    }
    return [
        *(Bad(n, body, status, code, None, {"content-encoding": e}) for n, (body, e, status, code) in encoded.items()),
        Bad("a large body", bomb, 413, "body-too-large"),
        Bad("a large body announced", b"", 413, "body-too-large", None, {"content-length": "1000001"}),
        Bad("an endless body announced", b"", 413, "body-too-large", None, {"content-length": "9" * 400}),
        Bad("a long batch", b"[" + b"1," * 5_000 + b"1]", 413, "batch-too-long"),
        Bad("many lines", b"1\n" * 5_001, 413, "batch-too-long", None, {"content-type": "application/x-ndjson"}),
        Bad("no lines", b"\n \n", 400, "bad-json", None, {"content-type": "application/x-ndjson"}),
        Bad("XML", changed(), 415, "unsupported-content-type", None, {"content-type": "application/xml"}),
        Bad("a multipart form", changed(), 415, "unsupported-content-type", None, {"content-type": "multipart/x; a=b"}),
    ]


def credentials() -> list[Bad]:
    values = {
        "an unknown key": ("Bearer other", "unknown-key"),
        "a key with a blank": ("Bearer a-secret x", "unknown-key"),
        "bytes that are no text": ("Bearer \xff\xfe", "unknown-key"),
        "an unknown user": ("Basic b3RoZXI6", "unknown-key"),
        "a password only": ("Basic OmEtc2VjcmV0", "no-key"),
        "no base64": ("Basic a-secret!", "no-key"),
        "another scheme": ("Digest a-secret", "no-key"),
        "an empty header": ("", "no-key"),
    }
    return [Bad(name, changed(), 401, code, None, {"authorization": given}) for name, (given, code) in values.items()]


CORPUS = [*json_syntax(), *shapes(), *times_and_numbers(), *identifiers(), *bodies(), *credentials()]


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len({bad.name for bad in CORPUS}) == len(CORPUS) >= 60


@pytest.mark.parametrize("bad", CORPUS, ids=lambda bad: bad.name)
async def test_it_is_refused_with_its_reason_and_the_next_request_works(bad: Bad) -> None:
    ingest = IngestInProcess()

    answer = await ingest.post(bad.body, bad.headers)

    assert (answer.status, answer.json["code"]) == (bad.status, bad.code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == f"urn:jalon:problem:{bad.code}"
    assert answer.json["status"] == bad.status
    assert answer.json["message"] == answer.json["detail"] != ""
    if bad.pointer is not None:
        assert [fault["pointer"] for fault in answer.json["errors"]] == [bad.pointer]
        assert all(fault["detail"] for fault in answer.json["errors"])
    assert ingest.log.records == []

    assert (await ingest.post(GOOD)).status == 202


@pytest.mark.parametrize("bad", [bad for bad in CORPUS if bad.code == "invalid-touchpoint"], ids=lambda bad: bad.name)
async def test_a_bad_touchpoint_spoils_no_other_of_its_array(bad: Bad) -> None:
    ingest = IngestInProcess()
    good = json.dumps({**GOOD, "id": "e-9"}).encode()

    answer = await ingest.post(b"[" + good + b"," + bad.body + b"," + good + b"]", bad.headers)

    assert answer.status == 202
    assert answer.json["accepted"] == 2
    [rejected] = answer.json["rejected"]
    assert rejected["index"] == 1
    assert [fault["pointer"] for fault in rejected["errors"]] == [bad.pointer]


async def test_a_refusal_quotes_nothing_of_what_was_sent() -> None:
    secret = "ludovic@example.com"
    for members in (
        {"type": secret + " "},
        {"initiator": secret},
        {"occurred_at": secret},
        {"properties": secret},
        {"identifiers": {"email": secret + "\0"}},
        {"source": secret},
        {"channel": secret},
        {"id": secret + "\0"},
    ):
        answer = await IngestInProcess().post(changed(**members))
        assert answer.status == 422
        assert secret.encode() not in answer.body
