"""A backlog for a stager to be killed in: anonymous visits, sign-ins, cards, shared tablets, late news, copies."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from journey.identity import parse_identity
from journey.normalise import routing_key
from journey.touchpoint import Touchpoint, encode
from plumbing.log import open_log
from plumbing.log.port import Record
from schemas import identity_document

LIVED_AT = datetime(2024, 1, 10, tzinfo=UTC)
"""Long ago, so that no timer falls due between two exports."""

_OUR_DAYS = timedelta(days=120)
_TYPES = (
    *("product_viewed", "product_viewed", "article_read", "products_compared", "store_visited", "product_tried"),
    *("order_started", "order_completed", "call_ended", "complaint_submitted", "review_submitted", "order_returned"),
)
_CUSTOMERS_SHARING = 8
"""So many customers sign in on one tablet, by turns."""

_BY_PRIORITY = [kind.kind for kind in parse_identity(identity_document()).kinds]

_LATE, _AGAIN, _WITHIN = 0.05, 0.04, 3_000
"""Shares of touchpoints that come late or again, and by how many records."""


def backlog(number: int, customers: int) -> list[Touchpoint]:
    """`number` records in the order in which they come; copies and late ones among them. Always the same."""
    chance = random.Random(number)
    lived = [_touchpoint(index, number, customers, chance) for index in range(number - int(number * _AGAIN))]
    again = [_copy(one, chance) for one in chance.sample(lived, number - len(lived))]
    order = {id(one): float(index) for index, one in enumerate(lived)}
    order |= {id(one): chance.uniform(0, len(lived)) for one in again}
    for one in chance.sample(lived, int(number * _LATE)):
        order[id(one)] += chance.uniform(0, _WITHIN)
    return sorted([*lived, *again], key=lambda one: order[id(one)])


def shuffled(told: Sequence[Touchpoint], window: int) -> list[Touchpoint]:
    """The same, shuffled within each window of so many records. Always the same; what each says stays as it is."""
    chance = random.Random(window)
    windows = [list(told[begin : begin + window]) for begin in range(0, len(told), window)]
    for one in windows:
        chance.shuffle(one)
    return [one for some in windows for one in some]


async def append_backlog(log_url: str, topic: str, told: Sequence[Touchpoint]) -> None:
    """Put it into a topic of six partitions."""
    log = open_log(log_url, topic, partitions=6)
    await log.start()
    for begin in range(0, len(told), 500):
        await log.append([_record(one) for one in told[begin : begin + 500]])
    await log.stop()


def _record(one: Touchpoint) -> Record:
    """Under its routing key, as ingest has it: each identifier of a customer may be in another partition."""
    return Record(routing_key(one.identifiers, _BY_PRIORITY), encode(one), (("ce_specversion", b"1.0"),))


def _touchpoint(index: int, number: int, customers: int, chance: random.Random) -> Touchpoint:
    at = LIVED_AT + _OUR_DAYS * index / number
    return Touchpoint(
        source="shop",
        id=f"{index:06}",
        type=chance.choice(_TYPES),
        occurred_at=at,
        received_at=at + timedelta(seconds=1),
        channel="website",
        initiator=chance.choice(("customer", "customer", "customer", "company")),
        identifiers=_identifiers(chance.randrange(customers), index / number, chance),
        traits={"tastes": ["running"]} if chance.random() < 0.05 else {},
        properties={"rating": chance.randint(1, 5), "total": "119.90", "currency": "EUR"},
    )


def _identifiers(customer: int, progress: float, chance: random.Random) -> dict[str, str]:
    """Strongest first. More is known of a customer as time goes on; e-mail and card meet late, in one touchpoint."""
    browser = {"anonymous_id": f"browser-{customer}"}
    email, card = {"email": f"c{customer}@example.com"}, {"loyalty_card": f"card-{customer}"}
    tablet = {"device_id": f"tablet-{customer // _CUSTOMERS_SHARING}"}
    if progress < 0.2:
        return browser
    known = [browser, email, card, email | browser, email | tablet, tablet]
    return chance.choice([*known, card | email] if progress > 0.5 else known)


def _copy(one: Touchpoint, chance: random.Random) -> Touchpoint:
    """The same again, or with another body."""
    later = replace(one, received_at=one.received_at + timedelta(seconds=2))
    moved = replace(later, occurred_at=one.occurred_at + timedelta(hours=chance.randint(-5, 5)), type="article_read")
    return chance.choice((later, later, moved))
