"""What a reader is told of time to come is what the fold then does."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from journey.definition import parse
from journey.fold import fold, next_due
from journey.machine import compile_journeys
from journey.timers import pending
from journey.touchpoint import Touchpoint
from schemas import journey_documents

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
JOURNEYS = compile_journeys(map(parse, journey_documents()))
TYPES = ["product_viewed", "products_compared", "product_tried", "order_completed", "review_submitted", "offer_sent"]

happenings = st.lists(
    st.tuples(
        st.integers(0, 24 * 200), st.sampled_from(TYPES), st.sampled_from(["customer", "company"]), st.integers(10, 80)
    ),
    min_size=1,
    max_size=6,
)


@given(happenings, st.integers(0, 24 * 300))
def test_the_first_timer_pending_is_the_next_thing_due(happened: list[tuple[int, str, str, int]], later: int) -> None:
    touchpoints = [
        Touchpoint(
            source="test",
            id=f"{number:03}",
            type=type_,
            occurred_at=START + timedelta(hours=hour),
            received_at=START + timedelta(hours=hour),
            channel="website",
            initiator=initiator,
            identifiers={"email": "a@example.com"},
            traits={"age": age, "sport": "running"},
        )
        for number, (hour, type_, initiator, age) in enumerate(happened)
    ]
    ordered = sorted(touchpoints, key=lambda one: one.order)
    state = fold(JOURNEYS, ordered, ordered[-1].occurred_at + timedelta(hours=later)).state
    told = [
        one.due_at
        for name, here in state.journeys.items()
        for one in pending(JOURNEYS.machines[name], here, state.heard_at)
    ]
    assert min(told, default=None) == next_due(JOURNEYS, state)
