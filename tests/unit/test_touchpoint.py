"""The touchpoint's order, its copies and its form on the log."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from journey.touchpoint import Touchpoint, body_digest, counts_before, decode, encode
from tests.support.stories import at, touchpoint


def changed(one: Touchpoint, **parts: Any) -> Touchpoint:
    return msgspec.structs.replace(one, **parts)


ONE = touchpoint("seen", at(1), id="b", source="web", sequence=1, properties={"b": 1, "a": "é"})


@pytest.mark.parametrize(
    "parts",
    [
        {"occurred_at": at(1) + timedelta(microseconds=1), "sequence": 0, "source": "app", "id": "a"},
        {"sequence": 2, "source": "app", "id": "a"},
        {"source": "xeb", "id": "a"},
        {"id": "c"},
    ],
)
def test_time_then_sequence_then_source_then_id_order_touchpoints(parts: dict[str, Any]) -> None:
    assert ONE.order < changed(ONE, **parts).order


def test_nothing_else_orders_them() -> None:
    assert changed(ONE, type="x", channel="y", properties={}, received_at=at(9)).order == ONE.order


def test_the_log_carries_what_was_written() -> None:
    assert decode(encode(ONE)) == ONE
    assert encode(decode(encode(ONE))) == encode(ONE)


def test_instants_are_utc_with_microseconds() -> None:
    odd = changed(ONE, occurred_at=datetime(2026, 3, 1, 9, 0, 0, 1, UTC))
    assert b'"occurred_at":"2026-03-01T09:00:00.000001Z"' in encode(odd)
    assert decode(encode(odd)).occurred_at == odd.occurred_at


def test_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"id": 3}')
    with pytest.raises(msgspec.DecodeError):
        decode(b"{")


def test_the_earlier_copy_counts() -> None:
    earlier = changed(ONE, occurred_at=at(0), properties={"z": 1})
    assert counts_before(earlier, ONE)
    assert not counts_before(ONE, earlier)


def test_of_copies_of_one_instant_the_lesser_digest_counts_whichever_comes_first() -> None:
    other = changed(ONE, properties={"b": 2})
    assert counts_before(ONE, other) is (body_digest(ONE) < body_digest(other))
    assert counts_before(ONE, other) is not counts_before(other, ONE)


def test_a_copy_received_at_another_time_is_no_other_copy() -> None:
    again = changed(ONE, received_at=at(9))
    assert body_digest(again) == body_digest(ONE)
    assert not counts_before(again, ONE)
    assert not counts_before(ONE, again)


def test_the_order_of_members_makes_no_other_copy() -> None:
    assert body_digest(changed(ONE, properties={"a": "é", "b": 1})) == body_digest(ONE)


def test_a_digest_looks_at_everything_else() -> None:
    others: list[dict[str, Any]] = [
        {"type": "x"}, {"channel": "x"}, {"sequence": 2}, {"initiator": "company"}, {"service_mode": "human"},
        {"identifiers": {"crm_id": "2"}}, {"traits": {"a": 1}}, {"properties": {}}, {"context": {"a": 1}},
        {"occurred_at": at(2)},
    ]  # fmt: skip
    digests = {body_digest(changed(ONE, **parts)) for parts in others}
    assert len(digests | {body_digest(ONE)}) == len(others) + 1


def test_an_instant_is_the_same_in_every_zone() -> None:
    paris = ONE.occurred_at.astimezone(timezone(timedelta(hours=1)))
    assert changed(ONE, occurred_at=paris).order == ONE.order
