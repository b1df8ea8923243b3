"""Journey definitions: published once, never changed, one version of each journey in force."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from journey.definition import parse
from journey.errors import AlreadyPublished, CallerFault, Fault
from journey.grammar import Definition
from journey.machine import Journeys, compile_journeys
from plumbing.store.build_tables import activations
from plumbing.store.engine import Driver
from plumbing.store.faults import store_faults
from plumbing.store.tables import definitions


class Published(NamedTuple):
    """What publishing found: the definition, and whether it is `new` or was there already with the same rules."""

    definition: Definition
    new: bool


class Version(NamedTuple):
    """A published version. `since` is when it came into force, if it is."""

    journey: str
    version: int
    active: bool
    published_at: datetime
    since: datetime | None


_LIST = """
SELECT journey, version, active, published_at, since FROM definitions
LEFT JOIN LATERAL (
    SELECT max(activated_at) AS since FROM activations
    WHERE activations.journey = definitions.journey AND activations.version = definitions.version AND active
) AS activated ON true
ORDER BY journey, version DESC
"""

_IN_FORCE_AT = """
SELECT DISTINCT ON (journey) journey, version FROM activations
ORDER BY journey, activated_at <= $1 DESC, CASE WHEN activated_at <= $1 THEN activated_at END DESC, activated_at
"""

_DOCUMENTS = """
SELECT document FROM unnest($1::text[], $2::integer[]) AS wanted (journey, version)
JOIN definitions USING (journey, version)
"""


async def seed(engine: AsyncEngine, documents: Iterable[str]) -> None:
    """Publish definitions (YAML), and activate those of journeys that the store does not know yet.

    Raises `InvalidDefinition` when one does not hold together, and `AlreadyPublished` when a version that is published
    already has other rules now: a published version never changes.
    """
    parsed = [(document, parse(document)) for document in documents]
    compile_journeys(definition for _, definition in parsed)
    async with engine.begin() as connection:
        for document, definition in parsed:
            known = select(definitions.c.journey).where(definitions.c.journey == definition.journey)
            unknown = (await connection.execute(known)).first() is None
            await _publish(connection, document, definition, active=unknown)


async def publish(engine: AsyncEngine, document: str) -> Published:
    """Publish one definition (YAML), not in force yet. The same rules again change nothing.

    Raises `InvalidDefinition` with everything that is wrong with it, also beside the other journeys in force, and
    `AlreadyPublished` when the version has other rules already. Raises `StoreUnavailable`.
    """
    definition = parse(document)
    with store_faults():
        return await _publish_beside(engine, document, definition)


async def _publish_beside(engine: AsyncEngine, document: str, definition: Definition) -> Published:
    async with engine.begin() as connection:
        others = select(definitions.c.document).where(definitions.c.active, definitions.c.journey != definition.journey)
        in_force = [parse(text) for (text,) in await connection.execute(others)]
        compile_journeys([*in_force, definition])
        return Published(definition, await _publish(connection, document, definition, active=False))


async def _publish(connection: AsyncConnection, document: str, definition: Definition, *, active: bool) -> bool:
    """Whether the version is new. Raises `AlreadyPublished`."""
    name = {"journey": definition.journey, "version": definition.version}
    row = {**name, "document": document, "active": active}
    written = await connection.execute(
        upsert(definitions).values(**row).on_conflict_do_nothing().returning(definitions.c.version)
    )
    if written.first() is not None:
        if active:
            await connection.execute(insert(activations).values(**name))
        return True
    stored = (await connection.execute(select(definitions.c.document).filter_by(**name))).scalar_one_or_none()
    if stored is None:  # another process has just put another version in force
        return await _publish(connection, document, definition, active=False)
    if parse(stored) != definition:
        what = f"{definition.journey}: version {definition.version} is published with other rules"
        fault = Fault("/version", f"{what}; give the changed definition a new version")
        raise AlreadyPublished(fault.detail, faults=(fault,))
    return False


async def load_active(engine: AsyncEngine) -> Journeys:
    """The machines of all definitions in force."""
    async with engine.connect() as connection:
        rows = await connection.execute(select(definitions.c.document).where(definitions.c.active))
        return compile_journeys(parse(document) for (document,) in rows)


async def active_versions(engine: AsyncEngine) -> dict[str, int]:
    """Journey → version in force: what tells a reader that it must load again."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(definitions.c.journey, definitions.c.version).where(definitions.c.active)
        )
        return {row.journey: row.version for row in rows}


async def versions(driver: Driver) -> list[Version]:
    """All versions of all journeys, the newest of each first."""
    return [Version(*row) for row in await driver.fetch(_LIST)]


async def in_force(driver: Driver) -> dict[str, int]:
    """Journey → version in force."""
    rows = await driver.fetch("SELECT journey, version FROM definitions WHERE active")
    return {row["journey"]: row["version"] for row in rows}


async def in_force_at(driver: Driver, instant: datetime) -> dict[str, int]:
    """Journey → version in force at an instant; of a journey that had none yet, the first that came."""
    rows = await driver.fetch(_IN_FORCE_AT, instant)
    return {row["journey"]: row["version"] for row in rows}


async def load(driver: Driver, wanted: Mapping[str, int]) -> Journeys:
    """The machines of a set of published versions. Raises `CallerFault` when one is not published."""
    rows = await driver.fetch(_DOCUMENTS, list(wanted), list(wanted.values()))
    if len(rows) < len(wanted):
        raise CallerFault("there is no such version")
    return compile_journeys(parse(row["document"]) for row in rows)


async def require(driver: Driver, journey: str, version: int) -> None:
    """Raises `CallerFault` when this version is not published."""
    row = await driver.fetchrow("SELECT FROM definitions WHERE journey = $1 AND version = $2", journey, version)
    if row is None:
        raise CallerFault(f"version {version} of {journey} is not published: see `jalon journeys list`")


async def put_in_force(driver: Driver, journey: str, version: int, at: datetime) -> None:
    """Make this version the one in force from `at` on, as part of a switch of what is stored."""
    await driver.execute("UPDATE definitions SET active = false WHERE journey = $1 AND active", journey)
    await driver.execute("UPDATE definitions SET active = true WHERE journey = $1 AND version = $2", journey, version)
    await driver.execute(
        "INSERT INTO activations (journey, version, activated_at) VALUES ($1, $2, $3)", journey, version, at
    )
