"""A store with a stager's parts on it, for tests of versions: staged into without a log, built beside, switched."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from journey.documents import load_yaml
from journey.errors import Contended
from journey.identity import Kinds, parse_identity
from journey.machine import Journeys
from journey.touchpoint import Touchpoint, encode
from plumbing.log.port import StoredRecord
from plumbing.settings import decode_key
from plumbing.store import definitions
from plumbing.store.build_requests import request
from plumbing.store.builds import Build
from plumbing.store.engine import make_engine, transaction
from plumbing.store.exporting import Exporter
from plumbing.store.exporting import encode as line_of
from plumbing.store.sealing import Sealer
from schemas import identity_document, journey_documents
from services.stager.build import Builder
from services.stager.incoming import Incoming, Reader
from services.stager.stage_batch import Batch, Stage
from services.stager.timers import Timers
from tests.support.stager import SECRET

KINDS = Kinds(parse_identity(identity_document()))
SEALER = Sealer(decode_key(SECRET))
READER = Reader(SEALER, KINDS)


def customer_journey(version: int, **changed: Any) -> str:
    """The shipped customer journey as another version, with some parts changed."""
    shipped = next(text for text in journey_documents() if load_yaml(text)["journey"] == "customer-journey")
    return msgspec.json.encode(load_yaml(shipped) | {"version": version} | changed).decode()


def without_rules(*names: str) -> Sequence[Mapping[str, Any]]:
    """The shipped customer journey's rules but for these."""
    rules: Sequence[Mapping[str, Any]] = load_yaml(customer_journey(1))["transitions"]
    assert set(names) <= {rule["rule"] for rule in rules}
    return [rule for rule in rules if rule["rule"] not in names]


class Store:
    """One database, with everything that a stager and a command do on it."""

    def __init__(self, database_url: str, journeys: Journeys, at_once: int = 40) -> None:
        self.engine = make_engine(database_url, connections=4)
        self.stager = Stage(self.engine, journeys, SEALER, KINDS)
        self.timers = Timers(self.engine, journeys, KINDS)
        self.builder = Builder(self.engine, KINDS, at_once)
        self._exporter = Exporter(database_url, decode_key(SECRET))

    async def close(self) -> None:
        await self._exporter.close()
        await self.engine.dispose()

    async def stage(self, touchpoints: Iterable[Touchpoint]) -> None:
        await self.stager.stage(Batch("none", {}, [stored_form(one) for one in touchpoints], [], {}))

    async def let_pass(self, until: datetime) -> None:
        """Move the horizon on and fire all that is due then."""
        await self.execute("UPDATE horizon SET reached_at = greatest(reached_at, $1)", until)
        fired = True
        while fired:
            try:
                fired = await self.timers.fire()
            except Contended:
                continue

    async def publish(self, document: str) -> None:
        await definitions.publish(self.engine, document)

    async def begin(self, journey: str, version: int, *, activate: bool = False) -> int:
        return await request(self.engine, journey, version, activate=activate)

    async def finish(self, number: int) -> Build:
        """Work on a build until there is nothing left to do."""
        while True:
            try:
                build = await self.builder.work(number)
            except Contended:
                continue
            if not build.at_work:
                return build

    async def activate(self, journey: str, version: int) -> Build:
        return await self.finish(await self.begin(journey, version, activate=True))

    async def export(self) -> list[bytes]:
        return [line_of(customer) async for customer in self._exporter.stored()]

    async def differences(self) -> list[Any]:
        """Customers whose stored rows are not what a fold by the definitions in force gives."""
        return [found async for found in self._exporter.differences() if found is not None]

    async def stages(self, journey: str) -> dict[int, str]:
        """Customer → the stage they are in now."""
        return dict(
            await self.rows("SELECT customer, stage FROM stays WHERE journey = $1 AND left_at IS NULL", journey)
        )

    async def rows(self, sql: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with transaction(self.engine) as driver:
            return [tuple(row) for row in await driver.fetch(sql, *arguments)]

    async def value(self, sql: str, *arguments: object) -> Any:
        ((found,),) = await self.rows(sql, *arguments)
        return found

    async def execute(self, sql: str, *arguments: object) -> None:
        async with transaction(self.engine) as driver:
            await driver.execute(sql, *arguments)


def stored_form(one: Touchpoint) -> Incoming:
    read = READER.read(StoredRecord(0, b"", encode(one), ()))
    assert isinstance(read, Incoming)
    return read
