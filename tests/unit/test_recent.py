"""What a row remembers of touchpoints: what a fold can look at, in few bytes, never more than there is room for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from journey import recent as recents
from journey.definition import parse
from journey.machine import Journeys, compile_journeys
from journey.state import NOBODY, encode_state
from journey.touchpoint import Order, Touchpoint
from plumbing.store.customers import Row
from schemas import journey_documents
from services.stager.folding import take

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LABEL = "label: {en: A, fr: A}"
WRITTEN = f"""
journey: drive
version: VERSION
{LABEL}
initial: one
stages:
  - {{name: one, phase: during, {LABEL}}}
  - {{name: two, phase: during, {LABEL}}}
transitions:
  - {{rule: goes, {LABEL}, from: one, to: two, on: [bought], where: {{properties.price.gross: 1, context.campaign: x}}}}
personas:
  - {{name: coach, {LABEL}, where: {{traits.profession: coach}}}}
"""


def journeys(version: int = 1) -> Journeys:
    return compile_journeys([parse(WRITTEN.replace("VERSION", str(version)))])


def touchpoint(minutes: float = 0, **fields: Any) -> Touchpoint:
    at = NOON + timedelta(minutes=minutes)
    given: dict[str, Any] = {
        "source": "shop",
        "id": f"{minutes:g}",
        "type": "bought",
        "occurred_at": at,
        "received_at": at + timedelta(seconds=1),
        "channel": "website",
        "identifiers": {"email": "00ff"},
    }
    return Touchpoint(**given | fields)


def kept(one: Touchpoint) -> Touchpoint:
    """What comes back of a touchpoint."""
    rules = journeys()
    past = recents.past(recents.append(recents.of_nobody(rules), recents.as_entries(rules, [one])), None)
    assert past is not None
    assert past.state == NOBODY
    return past.touchpoints[0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sequence": 3, "initiator": "company", "service_mode": "human", "channel": "store"},
        {"properties": {"price": {"gross": 2**70, "net": "1.10"}}, "context": {"campaign": "x"}},
        {"type": "seen", "traits": {"profession": "coach"}},
    ],
    ids=["the usual one", "all attributes", "what its type's guards name", "what a persona is told by"],
)
def test_what_guards_look_at_comes_back(fields: dict[str, Any]) -> None:
    one = touchpoint(**fields)
    assert kept(one) == replace(one, identifiers={}, received_at=one.occurred_at)


def test_what_no_guard_looks_at_is_not_kept() -> None:
    one = touchpoint(type="seen", properties={"price": 3, "note": "n"}, context={"campaign": "x"}, traits={"age": 3})
    assert (kept(one).properties, kept(one).context, kept(one).traits) == ({}, {}, {})


def test_that_it_lay_in_the_future_is_kept() -> None:
    ahead = kept(touchpoint(received_at=NOON - timedelta(hours=1)))
    assert ahead.received_at < ahead.occurred_at


def test_under_another_version_nothing_is_known() -> None:
    recent = recents.of_nobody(journeys(1))
    assert recents.is_of(journeys(1), recent)
    assert not recents.is_of(journeys(2), recent)
    assert not recents.is_of(journeys(1), b"")


def test_the_shortest_past_that_begins_before_an_instant_is_taken() -> None:
    rules = journeys()
    recent = recents.append(recents.of_nobody(rules), recents.as_entries(rules, [touchpoint(1), touchpoint(2)]))
    then = encode_state(replace(NOBODY, last=touchpoint(2).order))
    recent = recents.append(recents.begin_next(recent, then), recents.as_entries(rules, [touchpoint(3)]))

    def ids(first: Order | None) -> list[str]:
        past = recents.past(recent, first)
        assert past is not None
        return [one.id for one in past.touchpoints]

    assert ids(None) == ["3"]
    assert ids(touchpoint(2.5).order) == ["3"]
    assert ids(touchpoint(1.5).order) == ["1", "2", "3"]
    third = recents.begin_next(recent, encode_state(replace(NOBODY, last=touchpoint(3).order)))
    assert recents.past(third, touchpoint(1.5).order) is None


def test_a_row_has_room_for_its_state_and_what_it_remembers() -> None:
    rules = compile_journeys(parse(document) for document in journey_documents())
    types = ["product_viewed", "products_compared", "order_completed", "complaint_submitted", "review_submitted"]
    row, sizes, remembered = Row(b"", b"", None, waiting=False), [], []
    for minutes in range(300):
        one = touchpoint(60 * minutes, id=f"8c5f9f3e-0000-4000-8000-{minutes:012}", type=types[minutes % 5])
        folded = take(rules, row, [one], one.occurred_at)
        assert folded is not None
        row = Row(encode_state(folded.state), folded.recent, folded.due_at, waiting=False)
        sizes.append(len(row.state) + len(row.recent))
        past = recents.past(row.recent, Order(one.occurred_at - timedelta(hours=3), 0, "", ""))
        remembered.append(past is not None)
    assert max(sizes) < recents.ROW_BYTES * 1.25
    assert all(remembered)  # what comes three touchpoints late never needs history


def test_what_no_row_can_hold_is_not_kept() -> None:
    rules = journeys()
    long = touchpoint(properties={"price": "9" * 9_000})
    assert recents.append(recents.of_nobody(rules), recents.as_entries(rules, [long])) == b""
