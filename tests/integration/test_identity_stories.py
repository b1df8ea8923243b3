"""Stories of shared tills, tablets, phones and cards that are easily told wrong; each is told in two orders."""

from collections.abc import AsyncIterator, Sequence

import pytest

from journey.commands import Verb
from journey.touchpoint import Touchpoint
from tests.support.lives import Said
from tests.support.place import BEYOND_ALL, Place
from tests.support.population import publish
from tests.support.stager import touchpoint

ANNE, BRUNO = {"email": "anne@example.com"}, {"email": "bruno@example.com"}


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    place = Place(database_url, await publish(database_url))
    yield place
    await place.close()


async def whose(place: Place, told: Sequence[Touchpoint], says: Sequence[Said] = ()) -> set[frozenset[str]]:
    """The ids of the touchpoints that share a customer: the same in order, a batch each, and all backwards."""
    found = []
    for order in (told, told[::-1]):
        await place.empty(BEYOND_ALL)
        for one in order:
            await place.stage([one])
        for said in says:
            await place.say(said)
        found.append({frozenset(id_ for _, id_ in group) for group in await place.groups()})
        assert await place.agrees()
    assert found[0] == found[1]
    return found[0]


def sets(*groups: str) -> set[frozenset[str]]:
    return {frozenset(group.split()) for group in groups}


async def test_walk_ins_after_someone_forgot_to_sign_out_are_not_that_someone(place: Place) -> None:
    tablet = {"tablet_id": "counter-3"}
    told = [
        touchpoint("anne", "signed_in", identifiers=ANNE | tablet),
        touchpoint("still-anne", hours=0.4, identifiers=tablet),
        touchpoint("walk-in", hours=2, identifiers=tablet),
        touchpoint("bruno", "signed_in", hours=3, identifiers=BRUNO | tablet),
    ]
    assert await whose(place, told) == sets("anne still-anne", "walk-in", "bruno")


async def test_who_signs_out_leaves_the_device_to_nobody(place: Place) -> None:
    browser = {"anonymous_id": "family-computer"}
    told = [
        touchpoint("anne", "signed_in", identifiers=ANNE | browser),
        touchpoint("out", "signed_out", hours=1, identifiers=browser),
        touchpoint("somebody", hours=2, identifiers=browser),
        touchpoint("bruno", "signed_in", hours=3, identifiers=BRUNO | browser),
        touchpoint("bruno-too", hours=4, identifiers=browser),
    ]
    assert await whose(place, told) == sets("anne out", "somebody", "bruno bruno-too")


async def test_an_anonymous_visitor_is_claimed_after_twenty_days_but_not_after_a_hundred(place: Place) -> None:
    browser = {"anonymous_id": "b"}
    told = [
        touchpoint("long-ago", identifiers=browser),
        touchpoint("visit", hours=80 * 24, identifiers=browser),
        touchpoint("sign-up", hours=100 * 24, identifiers=ANNE | browser),
    ]
    assert await whose(place, told) == sets("long-ago", "visit sign-up")


async def test_two_people_with_a_crm_id_each_are_not_welded_by_an_address_they_share(place: Place) -> None:
    family = {"email": "family@example.com"}
    told = [
        touchpoint("mother", identifiers={"crm_id": "1"} | family),
        touchpoint("father", hours=1, identifiers={"crm_id": "2"} | family),
        touchpoint("mail", hours=2, identifiers=family),
    ]
    assert await whose(place, told) == sets("mother mail", "father")
    assert len((await place.assignment())[1]) == 1
    join = Said(Verb.JOIN, "", "", (("crm_id", "1"), ("crm_id", "2")), undone=False)
    assert await whose(place, told, [join]) == sets("mother mail father")


async def test_the_shops_own_phone_typed_for_dozens_makes_nobody_one(place: Place) -> None:
    phone = {"phone": "+33145000000"}
    told = [touchpoint(f"sale-{n}", hours=n, identifiers={"crm_id": str(n)} | phone) for n in range(23)]
    told.append(touchpoint("call", hours=30, identifiers=phone))
    assert await whose(place, told) == {frozenset({one.id}) for one in told}


async def test_a_wrong_card_typed_at_the_till_is_taken_back(place: Place) -> None:
    card = {"loyalty_card": "L1"}
    told = [
        touchpoint("card", identifiers=card),
        touchpoint("mistyped", hours=1, identifiers=ANNE | card),
        touchpoint("anne", hours=2, identifiers=ANNE),
    ]
    assert await whose(place, told) == sets("card mistyped anne")
    strike = Said(Verb.STRIKE, "shop", "mistyped", (("loyalty_card", "L1"),), undone=False)
    assert await whose(place, told, [strike]) == sets("card", "mistyped anne")


async def test_a_ticket_that_is_voided_never_was_and_may_be_again(place: Place) -> None:
    told = [
        touchpoint("visit", identifiers={"ticket_id": "42"}),
        touchpoint("ticket", "order_completed", hours=1, identifiers=ANNE | {"ticket_id": "42"}),
        touchpoint("anne", hours=2, identifiers=ANNE),
    ]
    assert await whose(place, told) == sets("visit ticket anne")
    before = await place.export()
    number = await place.say(Said(Verb.VOID, "shop", "ticket", (), undone=False))
    assert {frozenset(id_ for _, id_ in group) for group in await place.groups()} == sets("visit", "anne")
    await place.take_back(number)
    assert await place.export() == before


async def test_who_brings_back_a_gift_does_not_become_its_buyer(place: Place) -> None:
    ticket = {"ticket_id": "7"}
    told = [
        touchpoint("return", "order_returned", hours=30, identifiers=BRUNO | ticket),
        touchpoint("exchange", "exchange_completed", hours=40, identifiers=ticket),
        touchpoint("sale", "order_completed", hours=1, identifiers=ANNE | ticket),
    ]
    assert await whose(place, told) == sets("sale exchange", "return")


async def test_ticket_42_of_one_till_is_not_ticket_42_of_another(place: Place) -> None:
    told = [
        touchpoint("a", "order_completed", identifiers=ANNE | {"ticket_id": "42"}),
        touchpoint("b", "order_returned", hours=1, identifiers={"ticket_id": "42"}, source="till-2"),
        touchpoint("c", "order_returned", hours=1, identifiers={"ticket_id": "42"}),
    ]
    assert await whose(place, told) == sets("a c", "b")


async def test_an_order_of_an_anonymous_browser_is_found_by_its_ticket(place: Place) -> None:
    told = [
        touchpoint("order", "order_completed", identifiers={"anonymous_id": "b", "ticket_id": "9"}),
        touchpoint("return", "order_returned", hours=5, identifiers={"ticket_id": "9"}),
        touchpoint("anne", "signed_in", hours=9, identifiers=ANNE | {"anonymous_id": "b"}),
    ]
    assert await whose(place, told[:2]) == sets("order return")
    assert await whose(place, told) == sets("order return anne")


async def test_a_repeated_login_writes_no_link_and_no_holding(place: Place) -> None:
    both = ANNE | {"user_id": "u", "anonymous_id": "b"}
    await place.empty(BEYOND_ALL)
    await place.stage([touchpoint("first", identifiers=both)])
    before = [await place.rows(table) for table in ("links", "holdings", "carried", "identifiers")]
    await place.stage([touchpoint(f"again-{n}", hours=n + 1, identifiers=both) for n in range(5)])
    assert [await place.rows(table) for table in ("links", "holdings", "carried", "identifiers")] == before


async def test_a_split_parts_two_people_and_their_histories(place: Place) -> None:
    told = [
        touchpoint("a", identifiers=ANNE),
        touchpoint("b", hours=1, identifiers={"loyalty_card": "L"}),
        touchpoint("both", hours=2, identifiers=ANNE | {"loyalty_card": "L"}),
    ]
    assert await whose(place, told) == sets("a b both")
    split = Said(Verb.SPLIT, "", "", (("email", "anne@example.com"), ("loyalty_card", "L")), undone=False)
    assert await whose(place, told, [split]) == sets("a", "b both")
