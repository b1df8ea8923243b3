"""Journey definitions: published once, never changed, one version of each journey active."""

from collections.abc import Iterable

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from journey.definition import parse
from journey.errors import InvalidDefinition
from journey.machine import Journeys, compile_journeys
from plumbing.store.tables import definitions


async def seed(engine: AsyncEngine, documents: Iterable[str]) -> None:
    """Publish and activate definitions (YAML) of journeys that the store does not know yet.

    Raises `InvalidDefinition` when one does not hold together, or when a version that is published already has another
    text now: a published version never changes.
    """
    parsed = [(document, parse(document)) for document in documents]
    compile_journeys(definition for _, definition in parsed)
    async with engine.begin() as connection:
        for document, definition in parsed:
            row = {"journey": definition.journey, "version": definition.version, "document": document}
            known = select(definitions.c.journey).where(definitions.c.journey == definition.journey)
            if (await connection.execute(known)).first() is None:
                await connection.execute(upsert(definitions).values(**row, active=True).on_conflict_do_nothing())
            stored = await connection.execute(
                select(definitions.c.document).where(
                    definitions.c.journey == definition.journey, definitions.c.version == definition.version
                )
            )
            published = stored.scalar_one_or_none()
            if published is None:
                await connection.execute(insert(definitions).values(**row, active=False))
            elif parse(published) != definition:
                raise InvalidDefinition(
                    f"{definition.journey}: version {definition.version} is published with other rules; "
                    "give the changed definition a new version"
                )


async def load_active(engine: AsyncEngine) -> Journeys:
    """The machines of all active definitions."""
    async with engine.connect() as connection:
        rows = await connection.execute(select(definitions.c.document).where(definitions.c.active))
        return compile_journeys(parse(document) for (document,) in rows)


async def active_versions(engine: AsyncEngine) -> dict[str, int]:
    """Journey → active version: what tells a reader that it must load again."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(definitions.c.journey, definitions.c.version).where(definitions.c.active)
        )
        return {row.journey: row.version for row in rows}
