"""What the kernel costs per touchpoint, with the shipped journeys in force, and that a long history costs no more."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any, TypeVar

import pytest

from journey.definition import parse
from journey.fold import advance, next_due
from journey.machine import Journeys, compile_journeys
from journey.outcomes import Advanced
from journey.state import NOBODY, CustomerState, decode_state, encode_state
from journey.touchpoint import Touchpoint, decode, encode

pytestmark = pytest.mark.bench

T = TypeVar("T")

START = datetime(2026, 3, 1, tzinfo=UTC)
SHIPPED = Path(__file__).parents[2] / "schemas" / "journeys"
PAUSES = [timedelta(seconds=20), timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1), timedelta(days=2)]
PAUSES += [timedelta(days=9)]
SHOPPING = {
    "product_viewed": 22,
    "page_viewed": 10,
    "offer_sent": 8,
    "product_list_viewed": 6,
    "offer_opened": 5,
    "web_search_performed": 4,
    "cart_viewed": 4,
    "review_read": 3,
    "product_added": 3,
    "order_completed": 1,
    "order_started": 1,
    "product_removed": 1,
    "store_visited": 1,
    "product_tried": 1,
    "call_ended": 1,
    "survey_answered": 1,
    "review_submitted": 1,
}
PROPERTIES: dict[str, Any] = {
    "product_id": "p1",
    "price": "119.90",
    "items_left": 1,
    "rating": 4,
    "wait_seconds": 20,
    "reason": "a question on sizes",
    "score": 7,
    "fulfilment_mode": "home",
}


def shipped() -> Journeys:
    return compile_journeys(parse(path.read_text(encoding="utf-8")) for path in SHIPPED.glob("*.yaml"))


def shopper(seed: int, length: int) -> list[Touchpoint]:
    """What a shopper does, in order: visits with some minutes between touchpoints, and days between visits."""
    chance = random.Random(seed)
    at, story = START, []
    for index, type_ in enumerate(chance.choices(list(SHOPPING), list(SHOPPING.values()), k=length)):
        at += chance.choice(PAUSES)
        story.append(
            Touchpoint(
                source="web",
                id=f"{seed}-{index}",
                type=type_,
                channel="website",
                occurred_at=at,
                received_at=at,
                initiator="company" if type_ == "offer_sent" else "customer",
                identifiers={"crm_id": str(seed)},
                traits={} if index else {"age": 30, "tastes": ["running"]},
                properties=PROPERTIES,
                context={"url": "https://shop.example/p/1", "campaign": "spring"},
            )
        )
    return story


def live(journeys: Journeys, story: Sequence[Touchpoint], state: CustomerState = NOBODY) -> list[CustomerState]:
    """The states after each touchpoint."""
    states = []
    for touchpoint in story:
        outcome = advance(journeys, state, touchpoint)
        assert isinstance(outcome, Advanced)
        state = outcome.state
        states.append(state)
    return states


def nanoseconds(do: Callable[[T], object], chunks: Sequence[Sequence[T]], repeats: int = 9) -> float:
    """CPU time of one `do`. Of each chunk the fastest of its repeats counts: others use the machine too."""
    total = 0.0
    for chunk in chunks:
        total += min(_time(do, chunk) for _ in range(repeats))
    return total / sum(map(len, chunks)) * 1e9


def _time(do: Callable[[T], object], chunk: Sequence[T]) -> float:
    start = process_time()
    for thing in chunk:
        do(thing)
    return process_time() - start


def advancing(journeys: Journeys, state: CustomerState = NOBODY) -> Callable[[Touchpoint], None]:
    """What takes one touchpoint after the other of a customer, from `state` on when a story begins anew."""
    now = state

    def take(touchpoint: Touchpoint) -> None:
        nonlocal now
        outcome = advance(journeys, now, touchpoint)
        if not isinstance(outcome, Advanced):  # told again
            outcome = advance(journeys, state, touchpoint)
        assert isinstance(outcome, Advanced)
        now = outcome.state

    return take


def test_nanoseconds_per_touchpoint() -> None:
    journeys = shipped()
    stories = [shopper(seed, 40) for seed in range(50)]
    states = [live(journeys, story) for story in stories]
    rows = [[encode_state(state) for state in lived] for lived in states]
    records = [[encode(touchpoint) for touchpoint in story] for story in stories]
    figures = {
        "advance": sum(nanoseconds(advancing(journeys), [story]) for story in stories) / len(stories),
        "encode_state": nanoseconds(encode_state, states),
        "decode_state": nanoseconds(decode_state, rows),
        "next_due": nanoseconds(lambda state: next_due(journeys, state), states),
        "decode (the record)": nanoseconds(decode, records),
    }
    size = sum(len(row) for lived in rows for row in lived) / sum(map(len, rows))
    print(f"\nkernel, {len(journeys.machines)} journeys, {size:.0f} bytes a state:")
    for name, figure in figures.items():
        print(f"  {name:20} {figure:8,.0f} ns")


def test_the_ten_thousandth_touchpoint_costs_what_the_hundredth_does() -> None:
    journeys = shipped()
    story = shopper(1, 10_500)
    states = live(journeys, story[:10_000])
    early = nanoseconds(advancing(journeys, states[99]), [story[100:600]])
    late = nanoseconds(advancing(journeys, states[-1]), [story[10_000:]])
    print(f"\nkernel: {early:,.0f} ns a touchpoint after 100, {late:,.0f} ns after 10,000: {early / late:.2f}")
    assert early / late >= 0.6
