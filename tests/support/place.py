"""A store that is emptied before each telling, and a stager's parts: batches in, whose each touchpoint is out."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from journey.commands import Command, OnPair, OnTouchpoint, Verb, pair
from journey.identity import Kinds, parse_identity
from journey.machine import Journeys
from journey.touchpoint import Touchpoint, counts_before, encode
from plumbing.log.port import StoredRecord
from plumbing.settings import decode_key
from plumbing.store import commands, identities
from plumbing.store.engine import make_engine, transaction
from plumbing.store.exporting import Exporter
from plumbing.store.exporting import encode as line_of
from plumbing.store.sealing import Sealer
from schemas import identity_document
from services.stager.commanded import Commander
from services.stager.incoming import Incoming, Reader
from services.stager.stage_batch import Batch, Stage
from services.stager.timers import Timers
from tests.properties.reference_identity import Key, ReferenceIdentity
from tests.support.lives import Said
from tests.support.stager import NOON, SECRET

BEYOND_ALL = NOON + timedelta(days=3_650)
CONFIG = parse_identity(identity_document())
KINDS = Kinds(CONFIG)
SEALER = Sealer(decode_key(SECRET))
READER = Reader(SEALER, KINDS)
STRONG_KINDS = {
    SEALER.digest(kind, f"{kind}-{number}"): kind for kind in KINDS.strong for number in range(2)
}  # that commands may name before anybody was seen with them
REFERENCE = ReferenceIdentity(CONFIG, SEALER.digest, STRONG_KINDS)
TABLES = (
    "customers",
    "holdings",
    "links",
    "carried",
    "commands",
    "identifiers",
    "touchpoints",
    "transitions",
    "stays",
    "facts",
    "outbox",
    "feed",
)

STAYS_DIFFER = """
SELECT count(*) FROM (
    SELECT customer, journey, run, stage, entered_at, row_number() OVER w, lead(entered_at) OVER w AS left_at
    FROM stays WINDOW w AS (PARTITION BY customer, journey ORDER BY place)
    EXCEPT ALL
    SELECT customer, journey, run, to_stage, occurred_at, row_number() OVER w, lead(occurred_at) OVER w
    FROM transitions WHERE retracted_at IS NULL
    WINDOW w AS (PARTITION BY customer, journey ORDER BY occurred_at, place)
) AS one
"""
WHOSE = "SELECT source, id, customer FROM touchpoints WHERE customer IS NOT NULL"
REFUSED = "SELECT one, other FROM links WHERE refused"


class Place:
    """One store and the parts of a stager."""

    def __init__(self, database_url: str, journeys: Journeys) -> None:
        self.engine = make_engine(database_url, connections=2)
        self._exporter = Exporter(database_url, decode_key(SECRET))
        self.begin_anew(journeys)

    def begin_anew(self, journeys: Journeys) -> None:
        """Begin with other definitions in force, as a stager that has just started."""
        self._stage = Stage(self.engine, journeys, SEALER, KINDS)
        self._commander = Commander(self.engine, journeys, SEALER, KINDS)
        self._timers = Timers(self.engine, journeys, KINDS)

    async def close(self) -> None:
        await self._exporter.close()
        await self.engine.dispose()

    async def empty(self, horizon: datetime) -> None:
        async with transaction(self.engine) as driver:
            await driver.execute(";".join(f"DELETE FROM {table}" for table in TABLES))  # noqa: S608 - our own names
            await driver.execute("UPDATE horizon SET reached_at = $1", horizon)

    async def stage(self, touchpoints: Iterable[Touchpoint]) -> None:
        await self._stage.stage(Batch("none", {}, [stored_form(one) for one in touchpoints], [], {}))

    async def let_pass(self, until: datetime) -> None:
        """Move the horizon on and fire all that is due then."""
        async with transaction(self.engine) as driver:
            await driver.execute("UPDATE horizon SET reached_at = greatest(reached_at, $1)", until)
        while await self._timers.fire():
            pass

    async def export(self) -> list[bytes]:
        return [line_of(customer) async for customer in self._exporter.stored()]

    async def agrees(self) -> bool:
        """Whether the stored rows are what a fold of the stored touchpoints gives, and the stays what was told."""
        async with transaction(self.engine) as driver:
            stays = await driver.fetchval(STAYS_DIFFER)
        return not stays and [found async for found in self._exporter.differences() if found is not None] == []

    async def say(self, said: Said) -> int:
        """Give an identity command and have it applied. Returns its number."""
        number = await self.give(said)
        await self.heed()
        return number

    async def take_back(self, number: int) -> None:
        await self.undo(number)
        assert await self._commander.apply()

    async def give(self, said: Said) -> int:
        """Give an identity command; it is not applied yet. Returns its number."""
        command, named = command_of(said)
        kinds, sealed = [kind for kind, _ in named], [SEALER.seal(value) for _, value in named]
        async with transaction(self.engine) as driver:
            return await commands.give(driver, command, kinds, sealed, "test")

    async def undo(self, number: int) -> None:
        async with transaction(self.engine) as driver:
            assert await commands.undo(driver, number)

    async def heed(self) -> None:
        """Apply all commands that are given or undone by now."""
        while await self._commander.apply():
            pass

    async def assignment(self) -> tuple[dict[Key, str], set[tuple[bytes, bytes]]]:
        """The id of each touchpoint's customer, and the links that are refused."""
        async with transaction(self.engine) as driver:
            whose = {(source, id_): customer for source, id_, customer in await driver.fetch(WHOSE)}
            shown = await identities.shown_ids(driver, set(whose.values()), KINDS.strong)
            refused = {(one, other) for one, other in await driver.fetch(REFUSED)}
        return {key: shown[customer] for key, customer in whose.items()}, refused

    async def rows(self, table: str) -> list[tuple[Any, ...]]:
        """All of a table, in its columns' order."""
        async with transaction(self.engine) as driver:
            return [tuple(row) for row in await driver.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3")]  # noqa: S608

    async def groups(self) -> set[frozenset[Key]]:
        """The sets of touchpoints that share a customer."""
        customer_of, _ = await self.assignment()
        whose = set(customer_of.values())
        return {frozenset(key for key, one in customer_of.items() if one == customer) for customer in whose}


def command_of(said: Said) -> tuple[Command, list[tuple[str, str]]]:
    """A command as the API leaves it, and the kinds and values of the identifiers that it names."""
    digests = {
        SEALER.digest(one.kind, one.value, one.scope): (kind, value)
        for kind, value in said.identifiers
        for one in [KINDS.identify(kind, value, said.source)]
    }
    if said.verb in (Verb.JOIN, Verb.SPLIT):
        ordered = pair(*digests)
        return OnPair(said.verb, ordered), [digests[digest] for digest in ordered]
    return OnTouchpoint(said.verb, said.source, said.id, next(iter(digests), None)), list(digests.values())


def stored_form(one: Touchpoint) -> Incoming:
    read = READER.read(StoredRecord(0, b"", encode(one), ()))
    assert isinstance(read, Incoming)
    return read


def that_count(told: Iterable[Touchpoint]) -> list[Touchpoint]:
    """Of all copies of a touchpoint the one that counts, by the rule for its stored form."""
    least: dict[Key, Touchpoint] = {}
    for one in told:
        key = (one.source, one.id)
        if key not in least or counts_before(stored_form(one).touchpoint, stored_form(least[key]).touchpoint):
            least[key] = one
    return list(least.values())
