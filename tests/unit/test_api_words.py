"""What answers and pages say: masks, cursors, sessions, catalogues, words."""

from datetime import UTC, datetime

import msgspec
import pytest

from journey.definition import parse
from journey.machine import compile_journeys
from journey.outcomes import Kind
from plumbing.store.keys import KeyKind, Keyring, parse_bootstrap_keys
from plumbing.store.sealing import Sealer
from schemas import journey_documents
from services.api.answers import Next
from services.api.auth import SESSION_COOKIE, Gate
from services.api.catalogue import make_catalogue
from services.api.cursors import Cursors
from services.api.dashboard.timeline import lasted
from services.api.dashboard.vocabulary import channels, type_labels
from services.api.dashboard.words import choose, words_in
from services.api.hot import matches
from services.api.masking import mask
from services.api.openapi import document
from services.api.problem import PROBLEMS, Refusal

SECRET = b"s" * 32
CATALOGUE = make_catalogue(compile_journeys(map(parse, journey_documents())))


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("email", "ludovic@example.com", "l•••@example.com"),
        ("email", "a@b", "a•••@b"),
        ("email", "no address", "•••ss"),
        ("phone", "+33612345678", "•••78"),
        ("loyalty_card", "L000123", "•••"),
        ("user_id", "42", "•••"),
    ],
)
def test_a_masked_identifier_is_recognised_but_not_usable(kind: str, value: str, shown: str) -> None:
    assert mask(kind, value) == shown


def test_a_cursor_gives_back_its_place_and_says_nothing_of_it() -> None:
    cursors = Cursors(Sealer(SECRET))
    place = (datetime(2026, 3, 1, tzinfo=UTC), 7)
    written = cursors.write("list", place)
    assert cursors.read("list", written, tuple[datetime, int]) == place
    assert written != cursors.write("list", place)
    for name, cursor in (("other", written), ("list", written[:-2]), ("list", "x")):
        with pytest.raises(Refusal):
            cursors.read(name, cursor, tuple[datetime, int])
    with pytest.raises(Refusal):
        cursors.read("list", written, tuple[int, int])


def gate(keys: str, secret: bytes = SECRET) -> Gate:
    return Gate(Keyring(KeyKind.API, parse_bootstrap_keys(keys)), secret)


def test_a_session_lasts_as_long_as_its_token() -> None:
    session = gate("api:a:read+pii:token").open_session("token")
    cookie = f"theme=dark; {SESSION_COOKIE}={session}"
    assert gate("api:a:read:token").reader(None, cookie).scopes == {"read"}
    for other in (gate("api:a:read:another"), gate("api:a:read:token", b"x" * 32)):
        with pytest.raises(Refusal, match="unknown or revoked"):
            other.reader(None, cookie)


@pytest.mark.parametrize("change", [lambda s: "9" + s, lambda s: s[:-1], lambda s: "", lambda s: "é" + s])
def test_a_changed_session_opens_nothing(change: object) -> None:
    assert callable(change)
    door = gate("api:a:read:token")
    with pytest.raises(Refusal):
        door.reader(None, f"{SESSION_COOKIE}={change(door.open_session('token'))}")


def test_a_token_that_may_not_read_opens_no_session() -> None:
    with pytest.raises(Refusal, match="scope"):
        gate("api:a:admin:token").open_session("token")


@pytest.mark.parametrize(
    ("given", "same"),
    [('W/"a"', True), ('"a"', True), ('"b", W/"a"', True), ("*", True), ('W/"b"', False), ("", False)],
)
def test_an_etag_is_compared_weakly(given: str, same: bool) -> None:
    assert matches(given, 'W/"a"') is same


def test_what_may_come_next_is_encoded_as_the_document_says() -> None:
    ways = 0
    for words in CATALOGUE.journeys.values():
        for outlooks in words.outlooks.values():
            for outlook in outlooks.values():
                touched = msgspec.json.decode(b"[" + outlook.by_touchpoint + b"]", type=list[Next])
                timed = [
                    msgspec.json.decode(way % b'"2026-03-01T00:00:00Z"', type=Next) for way in outlook.by_time.values()
                ]
                assert all(way.on and way.after is None for way in touched)
                assert all(way.after and way.due_at == datetime(2026, 3, 1, tzinfo=UTC) for way in timed)
                ways += len(touched) + len(timed)
    assert ways > 50


def test_every_kind_of_fact_has_names() -> None:
    for words in CATALOGUE.journeys.values():
        assert set(words.facts) == set(Kind)


def test_both_languages_have_every_word() -> None:
    english, french = words_in("en"), words_in("fr")
    assert all(english.values())
    assert all(french.values())
    assert set(Kind) <= set(english) | {Kind.ACTION_WITHDRAWN, Kind.PERSONA}


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "language"),
    [
        (None, None, "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        (None, None, "de, *", "en"),
        (None, "fr", "en", "fr"),
        ("en", "fr", "fr", "en"),
        ("xx", None, "", "en"),
    ],
)
def test_a_page_speaks_the_readers_language(query: str | None, cookie: str | None, accept: str, language: str) -> None:
    assert choose(query, cookie, accept) == language


@pytest.mark.parametrize(
    ("text", "language", "shown"),
    [
        ("PT35M", "en", "35 min"),
        ("P3DT4H5M", "en", "3 d 4 h"),
        ("P7D", "fr", "7 j"),
        ("PT9S", "en", "9 s"),
        ("?", "en", "?"),
    ],
)
def test_durations_are_told_as_people_say_them(text: str, language: str, shown: str) -> None:
    assert lasted(text, language) == shown


def test_every_channel_of_the_vocabulary_has_its_picture() -> None:
    assert all(channel.icon == name for name, channel in channels().items())
    assert "order_completed" in type_labels()


def test_problems_have_codes_of_their_own() -> None:
    assert len({problem.code for problem in PROBLEMS}) == len(PROBLEMS)


def test_every_path_but_those_of_health_asks_for_a_token() -> None:
    paths = document()["paths"]
    open_to_all = {
        path for path, operations in paths.items() if not any("security" in one for one in operations.values())
    }
    assert open_to_all == {"/healthz", "/readyz", "/metrics"}
