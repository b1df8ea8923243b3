"""`?known_at=`: what was known at an instant is the reference's answer for what had been received and said by then.

A thousand random questions (who, known at, at) over invented lives that cross, with commands given and undone in
between. Of several copies of a touchpoint only the one that counts is kept, so each comes once here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from journey.commands import Command, OnPair, OnTouchpoint, Verb, pair
from journey.fold import fold
from journey.machine import Journeys
from journey.touchpoint import Touchpoint
from plumbing.store import commands
from plumbing.store.engine import Engine, make_engine, transaction
from services.api.catalogue import Catalogues
from services.api.lookup import Asked
from services.api.past import Past
from services.api.problem import Refusal
from tests.properties.reference_identity import ReferenceIdentity
from tests.support.lives import Lives
from tests.support.place import CONFIG, KINDS, SEALER, Place, stored_form, that_count
from tests.support.population import publish
from tests.support.stager import NOON

LIVES = 25
AT_ONCE = 5
QUESTIONS = 40
RECEIVED = NOON + timedelta(days=800)
"""After all has happened, so that what is received in any order never lies in the future."""

BEYOND = RECEIVED + timedelta(days=100)


class Said(NamedTuple):
    """A command and when it was in force."""

    command: Command
    given_at: datetime
    undone_at: datetime | None


@pytest.mark.parametrize("first", range(0, LIVES, AT_ONCE))
async def test_what_was_known_is_what_the_reference_says(database_url: str, first: int) -> None:
    journeys = await publish(database_url)
    engine = make_engine(database_url, connections=2)
    catalogues = Catalogues(engine)
    await catalogues.refresh()
    past, place = Past(engine, catalogues, KINDS), Place(database_url, journeys)
    for seed in range(first, first + AT_ONCE):
        chance = Random(seed)
        told = [_received(one, chance) for one in that_count(Lives(seed).touchpoints())]
        said = _said(told, chance)
        await place.empty(BEYOND)
        reference = ReferenceIdentity(CONFIG, SEALER.digest, await _tell(engine, place, told, said))
        for _ in range(QUESTIONS):
            known_at = RECEIVED + timedelta(hours=chance.uniform(-1, 101))
            at = chance.choice((None, NOON + timedelta(days=chance.uniform(0, 700)), known_at - timedelta(hours=1)))
            await _ask(past, journeys, reference, told, said, known_at, at, chance)
    await place.close()
    await engine.dispose()


async def _ask(
    past: Past,
    journeys: Journeys,
    reference: ReferenceIdentity,
    told: Sequence[Touchpoint],
    said: Sequence[Said],
    known_at: datetime,
    at: datetime | None,
    chance: Random,
) -> None:
    known = [one for one in told if one.received_at <= known_at]
    held = [
        one.command for one in said if one.given_at <= known_at and (one.undone_at is None or one.undone_at > known_at)
    ]
    customer_of = reference.assign(known, held).customer_of
    if not customer_of:
        return
    asked = chance.choice(sorted(set(customer_of.values())))
    until = min(known_at, at or known_at)
    lived = sorted(
        (
            stored_form(one).touchpoint
            for one in known
            if customer_of.get((one.source, one.id)) == asked and one.occurred_at <= until
        ),
        key=lambda one: one.order,
    )
    question = past.known_at(Asked(bytes.fromhex(asked), as_id=True), known_at, at)
    if not lived:
        with pytest.raises(Refusal, match="Nothing of this customer"):
            await question
        return
    remembered = await question
    assert [one.id for one, _ in remembered.touchpoints] == [one.id for one in lived]
    assert remembered.folded == fold(journeys, lived, until)


def _received(one: Touchpoint, chance: Random) -> Touchpoint:
    return replace(one, received_at=RECEIVED + timedelta(hours=chance.randint(0, 100)))


def _said(told: Sequence[Touchpoint], chance: Random) -> list[Said]:
    strong = sorted({name for one in told for name in stored_form(one).names.strong})
    found = []
    for _ in range(chance.randint(0, 6)):
        given_at = RECEIVED + timedelta(hours=chance.randint(0, 100))
        undone_at = given_at + timedelta(hours=chance.randint(0, 50)) if chance.random() < 0.4 else None
        found.append(Said(_command(chance.choice(told), strong, chance), given_at, undone_at))
    return sorted(found, key=lambda one: one.given_at)


def _command(about: Touchpoint, strong: Sequence[bytes], chance: Random) -> Command:
    match chance.choice(("pair", "void", "strike")):
        case "pair" if len(strong) > 1:
            return OnPair(chance.choice((Verb.JOIN, Verb.SPLIT)), pair(*chance.sample(strong, 2)))
        case "void":
            return OnTouchpoint(Verb.VOID, about.source, about.id)
    carried = chance.choice(stored_form(about).carried)
    return OnTouchpoint(Verb.STRIKE, about.source, about.id, carried.digest)


async def _tell(engine: Engine, place: Place, told: Sequence[Touchpoint], said: Sequence[Said]) -> Mapping[bytes, str]:
    """Stage the touchpoints, give the commands and undo some; the kind of each identifier."""
    await place.stage(told)
    carried = {one.digest: one.identifier for touchpoint in told for one in stored_form(touchpoint).carried}
    for one in said:
        about = one.command
        named = about.pair if isinstance(about, OnPair) else [about.struck] if about.struck else []
        sealed = [SEALER.seal(carried[name].value) for name in named]
        async with transaction(engine) as driver:
            number = await commands.give(driver, about, [carried[name].kind for name in named], sealed, "test")
        await place.heed()
        if one.undone_at is not None:
            await place.take_back(number)
        async with transaction(engine) as driver:
            await driver.execute(_DATED, number, one.given_at, one.undone_at)
    return {digest: identifier.kind for digest, identifier in carried.items()}


_DATED = "UPDATE commands SET given_at = $2, undone_at = $3 WHERE command = $1"
