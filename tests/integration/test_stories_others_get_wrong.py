"""Stories of late, doubled and shared touchpoints that are easily told wrong: which stage each ends in, and why.

Whose a touchpoint is in more of them: tests/integration/test_identity_stories.py.
"""

from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from journey.commands import Verb
from journey.identifiers import IdentifierReader
from journey.touchpoint import decode
from journey.touchpoint_checks import SentTouchpoint, Source, admit
from plumbing.store.engine import make_engine
from plumbing.store.reading.conflicts import conflicts
from plumbing.store.reading.connection import reading
from tests.support.lives import Said
from tests.support.place import CONFIG, Place
from tests.support.population import publish
from tests.support.stager import NOON, looking_into, touchpoint
from tests.support.telling import tell

ANNE, BRUNO = {"email": "anne@example.com"}, {"email": "bruno@example.com"}
HOUR = timedelta(hours=1)


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    place = Place(database_url, await publish(database_url))
    yield place
    await place.close()


async def test_a_store_uploads_yesterdays_tickets(place: Place) -> None:
    """The purchase is dated yesterday, and what was said of today before is taken back in the message that says so."""
    views = [touchpoint(f"view-{n}", hours=20 + n, identifiers=ANNE) for n in range(3)]
    ticket = touchpoint(
        "ticket", "order_completed", hours=3, received_at=NOON + 30 * HOUR, identifiers=ANNE, source="till"
    )
    told = await tell(place, [*views, ticket])
    assert told.path("ticket") == ["begins ticket acquisition", "first_purchase ticket loyalty"]
    assert set(told.who("ticket").instants()) == {NOON + 3 * HOUR}
    assert told.who("ticket").here() == "loyalty 1 first_purchase ticket"
    assert told.who("ticket").facts("denied") == [f"browses_again view-{n} loyalty" for n in range(3)]
    messages = [msgspec.json.decode(row[-1]) for row in await place.rows("outbox")]
    correction = [one for one in messages if one["journey"] == "customer-journey"][-1]
    assert [one["rule"] for one in correction["retracted"]] == ["begins", "shows_interest"]
    assert [one["cause"]["id"] for one in correction["added"]] == ["ticket", "ticket"]
    assert (correction["stage_before"], correction["stage_now"]) == ("consideration", "loyalty")


async def test_two_people_who_sign_in_by_turns_on_one_tablet_each_have_their_own_stage(place: Place) -> None:
    tablet = {"tablet_id": "counter-3"}
    told = await tell(
        place,
        [
            touchpoint("anne-in", "signed_in", identifiers=ANNE | tablet),
            touchpoint("order", "order_completed", hours=0.1, identifiers=tablet),
            touchpoint("bruno-in", "signed_in", hours=0.2, identifiers=BRUNO | tablet),
            touchpoint("trial", "product_tried", hours=0.3, identifiers=tablet),
            touchpoint("anne-again", "signed_in", hours=0.4, identifiers=ANNE | tablet),
            touchpoint("review", "review_submitted", hours=0.5, identifiers=tablet, properties={"rating": 5}),
        ],
    )
    assert told.path("anne-in") == [
        "begins anne-in acquisition",
        "first_purchase order loyalty",
        "praises review advocacy",
    ]
    assert told.path("bruno-in") == ["begins bruno-in acquisition", "tries trial decision"]


async def test_a_walk_in_after_someone_forgot_to_sign_out_moves_nobody_but_themselves(place: Place) -> None:
    tablet = {"tablet_id": "counter-3"}
    told = await tell(
        place,
        [
            touchpoint("anne", "signed_in", identifiers=ANNE | tablet),
            touchpoint("walk-in", "product_tried", hours=2, identifiers=tablet),
        ],
    )
    assert told.path("anne") == ["begins anne acquisition"]
    assert told.path("walk-in") == ["begins walk-in acquisition", "tries walk-in decision"]


async def test_a_family_that_shares_an_address_is_not_one_buyer(place: Place) -> None:
    family = {"email": "family@example.com"}
    told = await tell(
        place,
        [
            touchpoint("mother", "store_visited", identifiers={"loyalty_card": "M"} | family),
            touchpoint("father", "order_completed", hours=1, identifiers={"loyalty_card": "F"} | family),
            touchpoint("newsletter", "product_viewed", hours=2, identifiers=family),
        ],
    )
    assert told.path("mother") == ["begins mother acquisition", "weighs_us_up mother consideration"]
    assert told.who("newsletter") is told.who("mother")
    assert told.who("father").here() == "loyalty 1 first_purchase father"
    assert len((await place.assignment())[1]) == 1


async def test_the_shops_own_phone_typed_for_dozens_lends_nobody_anothers_purchase(place: Place) -> None:
    phone = {"phone": "+33145000000"}
    visits = [touchpoint(f"visit-{n}", "store_visited", hours=n, identifiers={"crm_id": str(n)}) for n in range(25)]
    story = [*visits, touchpoint("sale", "order_completed", hours=30, identifiers={"crm_id": "7"} | phone)]
    story += [
        touchpoint(f"trial-{n}", "product_tried", hours=40 + n, identifiers={"crm_id": str(n)} | phone)
        for n in range(25)
        if n != 7
    ]
    told = await tell(place, [*story, touchpoint("call", "call_ended", hours=90, identifiers=phone)])
    assert len(told.lines) == 26
    assert told.who("sale").here() == "loyalty 1 first_purchase sale"
    assert {told.who(f"trial-{n}").here() for n in range(25) if n != 7} == {
        f"decision 1 tries trial-{n}" for n in range(25) if n != 7
    }
    assert told.path("call") == ["begins call acquisition"]


async def test_two_people_who_each_have_a_crm_id_keep_their_stages_until_somebody_says_they_are_one(
    place: Place, database_url: str
) -> None:
    both = {"loyalty_card": "L1"}
    story = [
        touchpoint("buyer", "order_completed", identifiers={"crm_id": "1"} | both),
        touchpoint("visitor", "store_visited", hours=1, identifiers={"crm_id": "2"} | both),
    ]
    told = await tell(place, story)
    assert told.who("buyer").here() == "loyalty 1 first_purchase buyer"
    assert told.who("visitor").here() == "consideration 1 weighs_us_up visitor"
    engine = make_engine(database_url, connections=1)
    async with reading(engine) as connection:
        (conflict,) = await conflicts(connection, 10, None)
    await engine.dispose()
    assert conflict.first == ("shop", "visitor")
    assert conflict.other is not None
    assert (conflict.one.kind, conflict.other.kind) == ("crm_id", "loyalty_card")
    join = Said(Verb.JOIN, "", "", (("crm_id", "1"), ("crm_id", "2")), undone=False)
    told = await tell(place, story, says=[join])
    assert told.who("visitor").here() == "loyalty 1 first_purchase buyer"
    assert told.who("visitor").facts("denied") == ["browses_again visitor loyalty"]


async def test_an_anonymous_visitor_is_claimed_after_twenty_days_with_the_stages_of_those_days(place: Place) -> None:
    browser = {"anonymous_id": "b"}
    told = await tell(
        place,
        [
            touchpoint("compares", "products_compared", identifiers=browser),
            touchpoint("order", "order_completed", hours=20 * 24, identifiers=ANNE | browser),
        ],
    )
    assert told.path("order") == [
        "begins compares acquisition",
        "weighs_us_up compares consideration",
        "first_purchase order loyalty",
    ]
    assert told.who("order").instants()[0] == NOON
    assert told.who("order").facts("dead_time") == ["consideration time consideration"]


async def test_a_purchase_on_a_wrong_card_goes_back_to_who_bought(place: Place) -> None:
    card = {"loyalty_card": "L1"}
    story = [
        touchpoint("holder", "store_visited", identifiers=card),
        touchpoint("mistyped", "order_completed", hours=1, identifiers=BRUNO | card),
    ]
    assert (await tell(place, story)).who("holder").here() == "loyalty 1 first_purchase mistyped"
    strike = Said(Verb.STRIKE, "shop", "mistyped", (("loyalty_card", "L1"),), undone=False)
    told = await tell(place, story, says=[strike])
    assert told.who("holder").here() == "consideration 1 weighs_us_up holder"
    assert told.path("mistyped") == ["begins mistyped acquisition", "first_purchase mistyped loyalty"]


async def test_who_has_only_a_voided_ticket_is_no_customer_yet(place: Place) -> None:
    story = [
        touchpoint("trial", "product_tried", identifiers=ANNE),
        touchpoint("ticket", "order_completed", hours=1, identifiers=ANNE),
    ]
    assert (await tell(place, story)).who("trial").here() == "loyalty 1 first_purchase ticket"
    told = await tell(place, story, says=[Said(Verb.VOID, "shop", "ticket", (), undone=False)])
    assert told.who("trial").here() == "decision 1 tries trial"
    assert told.who("trial").touchpoints == ["trial"]


async def test_an_exchange_that_arrives_before_its_order_belongs_to_the_buyer(place: Place) -> None:
    ticket = {"ticket_id": "7"}
    exchange = touchpoint("exchange", "exchange_completed", hours=48, identifiers=ticket, properties={"free": True})
    order = touchpoint("order", "order_completed", received_at=NOON + 72 * HOUR, identifiers=ANNE | ticket)
    told = await tell(place, [exchange, order])
    assert len(told.lines) == 1
    assert told.path("order") == ["begins order acquisition", "first_purchase order loyalty"]
    assert told.who("order").facts("moment") == ["free_exchange exchange loyalty"]
    assert told.who("exchange").touchpoints == ["order", "exchange"]


async def test_who_brings_back_a_gift_is_no_buyer_and_its_buyer_returned_nothing(place: Place) -> None:
    ticket = {"ticket_id": "7"}
    told = await tell(
        place,
        [
            touchpoint("order", "order_completed", identifiers=ANNE | ticket),
            touchpoint("return", "order_returned", hours=30, identifiers=BRUNO | ticket),
        ],
    )
    assert told.path("order") == ["begins order acquisition", "first_purchase order loyalty"]
    assert told.who("order").facts("denied") == []
    assert told.path("return") == ["begins return acquisition"]


async def test_ticket_42_returned_at_one_till_is_not_what_another_till_sold(place: Place) -> None:
    ticket = {"ticket_id": "42"}
    told = await tell(
        place,
        [
            touchpoint("anne", "order_completed", identifiers=ANNE | ticket, source="till-1"),
            touchpoint("bruno", "order_completed", hours=1, identifiers=BRUNO | ticket, source="till-2"),
            touchpoint("return", "order_returned", hours=2, identifiers=ticket, source="till-2"),
        ],
    )
    assert told.who("bruno").facts("denied") == ["returns_goods return loyalty"]
    assert told.who("anne").facts("denied") == []
    assert told.who("anne").here() == "loyalty 1 first_purchase anne"


async def test_a_till_whose_clock_is_an_hour_ahead_and_says_when_it_sent_is_corrected(place: Place) -> None:
    """Without that, the review of half an hour later would come before the purchase, and praise nothing."""
    sent = SentTouchpoint(
        id="ticket",
        type="order_completed",
        occurred_at=NOON + HOUR,
        sent_at=NOON + HOUR + timedelta(minutes=5),
        identifiers=ANNE,
    )
    reader = IdentifierReader([kind.kind for kind in CONFIG.kinds])
    admission = admit([(0, sent)], Source("till", "store"), reader, NOON + timedelta(minutes=5))
    review = touchpoint("review", "review_submitted", hours=0.5, identifiers=ANNE, properties={"rating": 5})
    told = await tell(place, [decode(admission.values[0]), review])
    assert told.path("ticket") == [
        "begins ticket acquisition",
        "first_purchase ticket loyalty",
        "praises review advocacy",
    ]
    assert told.who("ticket").instants()[1] == NOON


async def test_a_till_whose_clock_is_an_hour_ahead_and_says_no_more_is_believed_when_its_hour_comes(
    place: Place,
) -> None:
    visit = touchpoint("visit", "store_visited", hours=-1, identifiers=ANNE)
    ticket = touchpoint("ticket", "order_completed", hours=1, received_at=NOON, identifiers=ANNE, source="till")
    told = await tell(place, [visit, ticket], until=NOON + 0.5 * HOUR)
    assert told.who("visit").here() == "consideration 1 weighs_us_up visit"
    told = await tell(place, [visit, ticket], until=NOON + HOUR)
    assert told.who("visit").here() == "loyalty 1 first_purchase ticket"
    assert told.who("visit").instants()[-1] == NOON + HOUR


async def test_a_checkout_and_its_order_in_the_same_second_are_in_the_order_that_their_sender_numbered(
    place: Place,
) -> None:
    """Their ids stand the other way round; and were the checkout after the order, it would open another purchase."""
    checkout = touchpoint("z-checkout", "order_started", sequence=0, identifiers=ANNE)
    order = touchpoint("a-order", "order_completed", sequence=1, identifiers=ANNE)
    told = await tell(place, [checkout, order])
    assert told.path("a-order", "purchase-cycle") == [
        "begins z-checkout need_recognition",
        "decides z-checkout decision_making",
        "buys a-order post_purchase",
    ]
    assert told.who("a-order").here("purchase-cycle") == "post_purchase 1 buys a-order"
    assert told.path("a-order")[-2:] == ["chooses z-checkout decision", "first_purchase a-order loyalty"]


async def test_a_webhook_retried_for_a_day_is_one_order_at_its_first_instant(place: Place, database_url: str) -> None:
    """Each delivery has another date, as the sender gives none, and another body, as it counts its attempts."""
    visit = touchpoint("visit", "store_visited", hours=-1, identifiers=ANNE)
    deliveries = [
        touchpoint("order", "order_completed", hours=n, identifiers=ANNE, properties={"attempt": n}) for n in range(25)
    ]
    told = await tell(place, [visit, *deliveries])
    assert told.path("order", "purchase-cycle") == [
        "begins visit need_recognition",
        "compares visit comparison",
        "buys order post_purchase",
    ]
    assert told.who("order").here("purchase-cycle") == "post_purchase 1 buys order"
    assert told.who("order").instants()[-1] == NOON
    assert told.who("order").touchpoints == ["visit", "order"]
    async with looking_into(database_url) as store:
        assert await store.value("SELECT conflicts FROM touchpoints WHERE id = 'order'") == 24
