"""The identity configuration, and small cases of links and timelines that a reader can follow."""

from datetime import UTC, datetime, timedelta

import pytest

from journey.commands import OnPair, OnTouchpoint, Verb, in_force, pair
from journey.errors import InvalidDefinition
from journey.identity import Kinds, parse_identity
from journey.links import Link, Rules, resolve
from journey.timelines import Holding, claims, differences, owner_at, put, withdraw
from journey.touchpoint import Order
from schemas import identity_document

START = datetime(2026, 3, 1, tzinfo=UTC)
HALF_AN_HOUR = timedelta(minutes=30)


def at(hours: float) -> Order:
    return Order(START + timedelta(hours=hours), 0, "shop", f"{hours}")


def test_the_shipped_configuration_says_what_each_kind_may() -> None:
    kinds = Kinds(parse_identity(identity_document()))
    assert (kinds.declared("phone").most, kinds.declared("crm_id").most) == (3, 1)
    assert (kinds.declared("tablet_id").hold, kinds.declared("anonymous_id").hold) == (HALF_AN_HOUR, None)
    assert kinds.declared("anonymous_id").looks_back.within == timedelta(days=90)
    assert kinds.shared_above == 20


@pytest.mark.parametrize(
    ("kind", "pointer"),
    [
        ("{kind: a, class: weak, at_most: 2}", "/kinds/0/at_most"),
        ("{kind: a, class: strong, at_most: 0}", "/kinds/0/at_most"),
        ("{kind: a, class: strong, hold: PT1H}", "/kinds/0/hold"),
        ("{kind: a, class: reference, look_back: {within: P1D}}", "/kinds/0/look_back"),
        ("{kind: a, class: weak, look_back: {touchpoints: 1001}}", "/kinds/0/look_back/touchpoints"),
        ("{kind: a, class: weak, hold: P1M}", "$.kinds[0].hold"),
        ("{kind: a, class: weak, hold: 30}", "$.kinds[0].hold"),
    ],
    ids=["at-most-weak", "at-most-none", "hold-strong", "look-back-reference", "too-far", "month", "number"],
)
def test_a_configuration_that_does_not_hold_together_is_refused(kind: str, pointer: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        parse_identity(f"version: 1\nkinds: [{kind}]")
    assert pointer in str(refused.value)


def test_the_later_of_two_links_that_cannot_both_be_is_refused() -> None:
    rules = Rules({b"1": "crm", b"2": "crm", b"m": "mail"}, {"crm": 0, "mail": 1}, {"crm": 1, "mail": 1}, 20)
    links = [Link(b"2", b"m", at(2)), Link(b"1", b"m", at(1))]
    found = resolve([b"1", b"2", b"m"], links, [], [], rules)
    assert set(found.people) == {frozenset({b"1", b"m"}), frozenset({b"2"})}
    assert found.refused == {(b"2", b"m")}
    joined = resolve([b"1", b"2", b"m"], links, [(b"1", b"2")], [], rules)
    assert joined.people == [frozenset({b"1", b"2", b"m"})]
    split = resolve([b"1", b"2", b"m"], links, [], [(b"1", b"m")], rules)
    assert set(split.people) == {frozenset({b"1"}), frozenset({b"2", b"m"})}


def test_an_identifier_with_too_many_refused_links_links_nothing() -> None:
    many = [b"%d" % number for number in range(5)]
    kind_of = {**dict.fromkeys(many, "crm"), b"p": "phone"}
    links = [Link(one, b"p", at(hour)) for hour, one in enumerate(many)]
    for above, people in ((4, 5), (3, 6)):
        found = resolve(kind_of, links, [], [], Rules(kind_of, {"crm": 0, "phone": 1}, {"crm": 1, "phone": 3}, above))
        assert len(found.people) == people
        assert found.shared == (frozenset({b"p"}) if people == 6 else frozenset())


def test_of_commands_on_the_same_object_the_last_counts() -> None:
    two = pair(b"b", b"a")
    told = in_force([OnPair(Verb.JOIN, two), OnTouchpoint(Verb.VOID, "till", "1"), OnPair(Verb.SPLIT, two)])
    assert not told.joins
    assert told.splits == {(b"a", b"b")}
    assert told.void == {("till", "1")}


def test_an_owner_keeps_a_device_until_the_hold_is_over() -> None:
    holdings = put((), at(1), b"anne", HALF_AN_HOUR)
    assert [owner_at(holdings, at(hours), HALF_AN_HOUR) for hours in (0.5, 1.2, 1.5, 1.6)] == [
        *(None, b"anne", b"anne", None),
    ]


def test_a_sign_in_that_repeats_what_holds_is_not_kept_and_comes_back_when_it_counts_again() -> None:
    anne = put((), at(1), b"anne", None)
    assert put(anne, at(5), b"anne", None) is anne
    by_turns = put(anne, at(3), b"bruno", None, resumed=at(5))
    assert by_turns == [Holding(at(1), b"anne"), Holding(at(3), b"bruno"), Holding(at(5), b"anne")]
    assert withdraw(by_turns, at(3), None) == [Holding(at(1), b"anne")]
    assert withdraw(by_turns, at(1), None, resumed=at(2))[0] == Holding(at(2), b"anne")


def test_the_first_sign_in_claims_no_further_back_than_it_may() -> None:
    look_back = (
        parse_identity("version: 1\nkinds: [{kind: a, class: weak, look_back: {within: P1D, touchpoints: 2}}]")
        .kinds[0]
        .looks_back
    )
    first = Holding(at(30), b"anne")
    assert claims(first, at(7), 2, look_back)
    assert not claims(first, at(7), 3, look_back)
    assert not claims(first, at(5), 1, look_back)
    assert not claims(first, at(31), 1, look_back)


def test_only_where_a_device_stands_for_another_is_something_different() -> None:
    before = [Holding(at(1), b"anne"), Holding(at(9), b"bruno")]
    after = [*before[:1], Holding(at(4), b"bruno")]
    assert [(part.since, part.until) for part in differences(before, after, None)] == [(at(4), at(9))]
    assert differences(before, before, None) == []
