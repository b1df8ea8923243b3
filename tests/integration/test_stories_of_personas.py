"""Stories of people of whom we learn late who they are: which machine they move by, and from when on."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from journey.touchpoint import Touchpoint
from tests.support.place import Place
from tests.support.population import publish
from tests.support.stager import NOON, looking_into, touchpoint
from tests.support.stories import document, named, rule, text
from tests.support.telling import Told, tell

DAY = timedelta(days=1)
STORY = document(
    transitions=[
        rule("weighs", "new", "known", on="product_viewed", at_least={"count": 2, "within": "P7D"}),
        rule("buys", ["new", "known"], "won", on="order_completed"),
        rule("lapses", "won", "known", after="P30D", of="stage", backward="allow"),
        rule("regrets", "won", "new", on="order_returned", backward="allow"),
    ],
    personas=[
        named(
            "connoisseur",
            where={
                "traits.income": {"gte": 60_000},
                "traits.education": {"in": ["master", "doctorate"]},
                "traits.tastes": {"contains": "running"},
                "traits.values": {"contains": "quality"},
            },
            transitions={
                "weighs": {"at_least": {"count": 1, "within": "P7D"}},
                "lapses": {"after": "P90D"},
                "regrets": {"disabled": True},
            },
        ),
        named(
            "bargain_hunter",
            where={
                "traits.income": {"lt": 24_000},
                "traits.education": {"in": ["none", "school"]},
                "traits.tastes": {"contains": "outlets"},
                "traits.values": {"contains": "low price"},
            },
            transitions={
                "weighs": {"at_least": {"count": 4, "within": "P7D"}},
                "lapses": {"after": "P10D"},
            },
        ),
    ],
)
CONNOISSEUR = {"income": 85_000, "education": "master", "tastes": ["running", "wine"], "values": ["quality"]}
BARGAIN_HUNTER = {"income": 18_000, "education": "school", "tastes": ["outlets"], "values": ["low price"]}


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    place = Place(database_url, await publish(database_url, [text(STORY)]))
    yield place
    await place.close()


def life(who: str, traits: dict[str, Any]) -> Sequence[Touchpoint]:
    """The same for everybody, but for the traits that the first touchpoint tells."""
    does = {"visit": "store_visited", **{f"view-{n}": "product_viewed" for n in (1, 2, 3)}}
    does |= {"order": "order_completed", "return": "order_returned"}
    return [
        touchpoint(f"{who}-{what}", type_, hours=n, identifiers={"crm_id": who}, traits={} if n else traits)
        for n, (what, type_) in enumerate(does.items())
    ]


async def test_two_personas_who_do_the_same_move_by_their_own_machines(place: Place) -> None:
    """Ruled by income, education, tastes and values: who lacks one of them is of no persona."""
    lives = [*life("c", CONNOISSEUR), *life("b", BARGAIN_HUNTER), *life("n", {})]
    lives += life("almost", CONNOISSEUR | {"values": ["low price"]})
    told = await tell(place, lives, until=NOON + 120 * DAY)
    assert told.path("c-order", "story") == [
        "begins c-visit new",
        "weighs c-view-1 known",
        "buys c-order won",
        "lapses time known",
    ]
    assert told.who("c-order").instants("story")[-1] == NOON + timedelta(days=90, hours=4)
    assert told.who("c-order").here("story") == "known 1 lapses time connoisseur"
    assert told.path("b-order", "story") == ["begins b-visit new", "buys b-order won", "regrets b-return new"]
    assert told.who("b-order").here("story") == "new 1 regrets b-return bargain_hunter"
    for who in ("n", "almost"):
        assert told.path(f"{who}-order", "story") == [
            f"begins {who}-visit new",
            f"weighs {who}-view-2 known",
            f"buys {who}-order won",
            f"regrets {who}-return new",
        ]
        assert told.who(f"{who}-order").here("story") == f"new 1 regrets {who}-return"


async def _told(place: Place, traits: dict[str, Any], day: float, received_on: float | None = None) -> Told:
    """A sale, and these traits told by a touchpoint of that day, as all of it is on day 120."""
    at = NOON + (day if received_on is None else received_on) * DAY
    survey = touchpoint("survey", "survey_answered", hours=24 * day, received_at=at, traits=traits)
    return await tell(place, [touchpoint("order", "order_completed"), survey], until=NOON + 120 * DAY)


async def test_a_trait_that_gives_more_time_after_the_sale_puts_the_end_off(place: Place) -> None:
    told = await _told(place, CONNOISSEUR, day=20)
    assert told.path("order", "story") == ["begins order new", "buys order won", "lapses time known"]
    assert told.who("order").instants("story")[-1] == NOON + 90 * DAY
    assert told.who("order").facts("persona", "story") == ["connoisseur survey won"]


async def test_a_trait_that_makes_a_timer_overdue_after_the_sale_fires_it_then_and_not_before(place: Place) -> None:
    told = await _told(place, BARGAIN_HUNTER, day=20)
    assert told.path("order", "story") == ["begins order new", "buys order won", "lapses time known"]
    assert told.who("order").instants("story")[-1] == NOON + 20 * DAY
    assert told.who("order").here("story") == "known 1 lapses time bargain_hunter"


@pytest.mark.parametrize(("traits", "lapsed_on"), [(BARGAIN_HUNTER, 10), (CONNOISSEUR, 90)], ids=["less", "more"])
async def test_a_trait_of_soon_after_the_sale_that_we_learn_late_takes_the_wrong_end_back(
    place: Place, database_url: str, traits: dict[str, Any], lapsed_on: int
) -> None:
    """On day 30 the stage had ended, as far as was known: that is taken back on day 40, and the right end is told."""
    told = await _told(place, traits, day=5, received_on=40)
    assert told.path("order", "story") == ["begins order new", "buys order won", "lapses time known"]
    assert told.who("order").instants("story")[-1] == NOON + lapsed_on * DAY
    async with looking_into(database_url) as store:
        ends = "SELECT occurred_at FROM transitions WHERE rule = 'lapses' AND retracted_at IS NOT NULL"
        assert await store.rows(ends) == [(NOON + 30 * DAY,)]
