"""Invented lives that cross: people who share devices and turn out to be one, tickets, copies, things told late."""

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from msgspec.structs import replace

from journey.commands import Verb
from journey.touchpoint import Touchpoint
from tests.support.stager import NOON

STRONG = ("crm_id", "user_id", "loyalty_card", "email", "phone")
WEAK = ("anonymous_id", "device_id", "tablet_id", "session_id", "cookie")
REFERENCES = ("order_id", "ticket_id")
SOURCES = ("shop", "till")

_TYPES = (
    *("product_viewed", "products_compared", "article_read", "store_visited", "product_tried", "order_started"),
    *("order_completed", "order_returned", "exchange_completed", "call_ended", "complaint_submitted"),
    *("complaint_answered", "review_submitted", "referral_sent", "pickup_arrived", "order_collected", "signed_in"),
    *("quote_declined", "offer_sent", "product_unavailable", "need_expressed", "signed_out", "signed_out"),
)
_TRAITS: Sequence[dict[str, object]] = (
    {"age": 24, "sex": "female"},
    {"tastes": ["running"]},
    {"profession": "coach"},
    {"children": 2, "city": "Lyon"},
    {"tastes": None, "age": 31},
)
_LENGTHS = (timedelta(minutes=20), timedelta(hours=12), timedelta(days=20), timedelta(days=700))


class Said(NamedTuple):
    """An identity command, and whether it is undone in the end. `identifiers` are (kind, value)."""

    verb: Verb
    source: str
    id: str
    identifiers: tuple[tuple[str, str], ...]
    undone: bool


class Lives:
    """What some people lived, all of it drawn from one seed."""

    def __init__(self, seed: int, most: int = 30) -> None:
        self.chance = random.Random(seed)
        self._most = most
        self._length = self.chance.choice(_LENGTHS)
        self._devices = self.chance.sample(WEAK, self.chance.randint(1, len(WEAK)))
        self._people = [self._person(number) for number in range(self.chance.randint(1, 4))]
        self._alike = self.chance.random() < 0.5  # one instant and place for many, so that ids decide

    def touchpoints(self) -> list[Touchpoint]:
        """Touchpoints, some with further copies, in no order."""
        lived = [self._touchpoint(number) for number in range(self.chance.randint(2, self._most))]
        told = [copy for one in lived for copy in (one, *self._copies(one))]
        self.chance.shuffle(told)
        return told

    def batches(self, told: Sequence[Touchpoint]) -> list[list[Touchpoint]]:
        """The same in another order, cut somewhere else."""
        shuffled = self.chance.sample(told, len(told))
        largest = self.chance.choice((1, 3, 8, len(told)))
        cut, batches = 0, []
        while cut < len(shuffled):
            size = self.chance.randint(1, largest)
            batches.append(shuffled[cut : cut + size])
            cut += size
        return batches

    def commands(self, told: Sequence[Touchpoint]) -> list[Said]:
        """What somebody says about these touchpoints, in an order that counts."""
        chance = self.chance
        return [self._said(chance.choice(told)) for _ in range(chance.choice((0, 0, 1, 3, 6)))]

    def _said(self, one: Touchpoint) -> Said:
        chance = self.chance
        undone, verb = chance.random() < 0.3, chance.choice([*Verb])
        match verb:
            case Verb.VOID:
                return Said(verb, one.source, one.id, (), undone)
            case Verb.STRIKE:
                return Said(verb, one.source, one.id, (chance.choice(sorted(one.identifiers.items())),), undone)
            case _:
                strong = sorted({(kind, f"{kind}-{number}") for kind in STRONG for number in range(2)})
                return Said(verb, "", "", tuple(chance.sample(strong, 2)), undone)

    def _person(self, number: int) -> dict[str, str]:
        kinds = self.chance.sample(STRONG, self.chance.randint(1, 3))
        return {kind: f"{kind}-{number}" for kind in kinds}

    def _touchpoint(self, number: int) -> Touchpoint:
        chance = self.chance
        steps = 6 if self._alike else 10_000
        at = NOON + self._length * chance.randint(0, steps) / steps
        return Touchpoint(
            source=chance.choice(SOURCES),
            id=f"{chance.randrange(36):x}-{number}",
            type=chance.choice(_TYPES),
            occurred_at=at,
            received_at=at + timedelta(seconds=chance.choice((0, 1, 3_600, -600))),
            channel=chance.choice(("website", "store")),
            sequence=chance.choice((0, 0, 0, 1, 2)),
            initiator=chance.choice(("customer", "customer", "customer", "company")),
            identifiers=self._identifiers(),
            traits=chance.choice(_TRAITS) if chance.random() < 0.2 else {},
            properties={"rating": chance.randint(1, 5), "total": "119.90"} if chance.random() < 0.5 else {},
        )

    def _identifiers(self) -> dict[str, str]:
        """Of a person, a device, both; now and then of two people who so turn out to be one."""
        chance = self.chance
        who, what = chance.random(), chance.random()
        found: dict[str, str] = {}
        if who < 0.6:
            person = chance.choice(self._people)
            found |= dict(chance.sample(sorted(person.items()), chance.randint(1, min(2, len(person)))))
        if who < 0.1:
            found |= dict([chance.choice(sorted(chance.choice(self._people).items()))])
        if what < 0.6 or not found:
            found[chance.choice(self._devices)] = str(chance.randint(1, 2))
        if what > 0.4 and chance.random() < 0.5:
            found[chance.choice(REFERENCES)] = str(chance.randint(1, 3))
        return dict(chance.sample(sorted(found.items()), len(found)))

    def _copies(self, one: Touchpoint) -> Iterator[Touchpoint]:
        """The same again, or with another body, now and then with other identifiers."""
        chance = self.chance
        while chance.random() < 0.2:
            later = replace(one, received_at=one.received_at + timedelta(seconds=chance.randint(1, 100)))
            yield chance.choice(
                (
                    later,
                    replace(later, type=chance.choice(_TYPES)),
                    replace(later, sequence=chance.randint(0, 3)),
                    replace(later, identifiers=self._identifiers()),
                    replace(later, traits=chance.choice(_TRAITS), initiator="company"),
                    replace(later, occurred_at=NOON + self._length * chance.random()),
                    replace(later, occurred_at=NOON + self._length * chance.randint(0, 6) / 6, properties={"more": 1}),
                )
            )
