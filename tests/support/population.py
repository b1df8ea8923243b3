"""Customers put straight into the store, as the stager would leave them: for tests of what reads it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from journey.fold import fold, next_due
from journey.identity import Class, Kinds, parse_identity
from journey.machine import Journeys
from journey.outcomes import Advanced
from journey.state import encode_state
from journey.touchpoint import Touchpoint
from plumbing.store import told
from plumbing.store.bodies import COLUMNS, Whose, pack
from plumbing.store.definitions import load_active, seed
from plumbing.store.engine import make_engine
from plumbing.store.feed import CHANNEL
from plumbing.store.sealing import Sealer
from schemas import identity_document, journey_documents

KINDS = Kinds(parse_identity(identity_document()))


async def publish(database_url: str, documents: Sequence[str] = ()) -> Journeys:
    """Put definitions (the shipped ones) in force."""
    engine = make_engine(database_url, connections=1)
    await seed(engine, documents or journey_documents())
    journeys = await load_active(engine)
    await engine.dispose()
    return journeys


class Population:
    """Writes customers into one database, at one horizon."""

    def __init__(
        self, connection: "asyncpg.Connection[Any]", journeys: Journeys, secret: bytes, horizon: datetime
    ) -> None:
        self._connection = connection
        self._journeys = journeys
        self.sealer = Sealer(secret)
        self.horizon = horizon

    async def begin(self) -> None:
        await self._connection.execute("UPDATE horizon SET reached_at = $1", self.horizon)

    async def add(self, touchpoints: Sequence[Touchpoint]) -> str:
        """A customer with these touchpoints (in order) and all their identifiers. Returns the id they are shown by."""
        found = fold(self._journeys, touchpoints, self.horizon)
        customer: int = await self._connection.fetchval(
            "INSERT INTO customers (state, due_at, revision) VALUES ($1, $2, 1) RETURNING customer",
            encode_state(found.state),
            next_due(self._journeys, found.state),
        )
        digests = await self._identify(customer, touchpoints)
        rows = [pack(self._stored(one, digests), self._whose(customer, one, digests)) for one in touchpoints]
        await self._connection.copy_records_to_table("touchpoints", records=rows, columns=COLUMNS)
        await self._tell(customer, found)
        shown = min(
            digests, key=lambda one: (KINDS.class_of(one[0]) is not Class.STRONG, digests[one][1], digests[one][0])
        )
        return digests[shown][0].hex()

    async def send(self, customer: str, journey: str, **said: Any) -> int:
        """A numbered message of the feed. Returns its number."""
        number: int = await self._connection.fetchval("UPDATE feed_head SET last_seq = last_seq + 1 RETURNING last_seq")
        body = msgspec.json.encode({"customer": customer, "journey": journey, **said})
        await self._connection.execute(
            "INSERT INTO feed VALUES ($1, $2, $3, $4, $5)",
            number,
            number.to_bytes(16, "big"),
            journey,
            self.horizon,
            body,
        )
        await self._connection.execute(f"NOTIFY {CHANNEL}")
        return number

    async def forget_feed(self, up_to: int) -> None:
        """Keep only the messages with greater numbers."""
        await self._connection.execute("DELETE FROM feed WHERE feed_seq <= $1", up_to)

    async def hold(self, device: bytes, owner: bytes, at: datetime) -> None:
        """Somebody signs in on a device."""
        await self._connection.execute(
            "INSERT INTO holdings VALUES ($1, $2, 0, 'test', 'signed-in', $3)", device, at, owner
        )

    async def retract(self, customer: str) -> None:
        """Take all transitions of a customer back."""
        await self._connection.execute(
            "UPDATE transitions SET retracted_at = learned_at FROM identifiers AS i "
            "WHERE i.digest = $1 AND i.customer = transitions.customer",
            bytes.fromhex(customer),
        )

    def digest(self, kind: str, value: str, source: str = "") -> bytes:
        return self.sealer.digest(kind, value, KINDS.identify(kind, value, source).scope)

    async def _identify(
        self, customer: int, touchpoints: Sequence[Touchpoint]
    ) -> Mapping[tuple[str, str, str], tuple[bytes, datetime]]:
        found: dict[tuple[str, str, str], tuple[bytes, datetime]] = {}
        for touchpoint in touchpoints:
            for one in KINDS.identifiers(touchpoint):
                digest = self.sealer.digest(one.kind, one.value, one.scope)
                found.setdefault((one.kind, one.value, one.scope), (digest, touchpoint.occurred_at))
        await self._connection.executemany(
            "INSERT INTO identifiers (digest, kind, sealed, customer, first_at) VALUES ($1, $2, $3, $4, $5)",
            [
                (digest, kind, self.sealer.seal(value), customer, first_at)
                for (kind, value, _), (digest, first_at) in found.items()
            ],
        )
        return found

    def _stored(
        self, touchpoint: Touchpoint, digests: Mapping[tuple[str, str, str], tuple[bytes, datetime]]
    ) -> Touchpoint:
        named = {one.kind: digests[one.kind, one.value, one.scope][0].hex() for one in KINDS.identifiers(touchpoint)}
        return msgspec.structs.replace(touchpoint, identifiers=named)

    def _whose(
        self, customer: int, touchpoint: Touchpoint, digests: Mapping[tuple[str, str, str], tuple[bytes, datetime]]
    ) -> Whose:
        strongest = KINDS.identifiers(touchpoint)[0]
        digest = digests[strongest.kind, strongest.value, strongest.scope][0]
        return Whose(customer, digest, None if strongest.class_ is Class.STRONG else digest)

    async def _tell(self, customer: int, found: Advanced) -> None:
        await told.add(self._connection, [(customer, transition) for transition in found.transitions], self.horizon)
        for journey in self._journeys.machines:
            moves = [transition for transition in found.transitions if transition.journey == journey]
            ends = [*(move.occurred_at for move in moves[1:]), None]
            stays = [
                told.Stay(customer, journey, place, move.run, move.to_stage, move.occurred_at, left_at)
                for place, (move, left_at) in enumerate(zip(moves, ends, strict=False))
            ]
            await told.stay(self._connection, stays)
        await told.note(self._connection, {customer: (0, found.facts)})
