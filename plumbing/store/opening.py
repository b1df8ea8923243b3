"""The store for the length of one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from plumbing.store.engine import make_engine
from plumbing.store.faults import store_faults


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine of one connection, closed in the end. Raises `StoreUnavailable` where the body meets no store."""
    engine = make_engine(database_url, connections=1, application="jalon-command")
    try:
        with store_faults():
            yield engine
    finally:
        await engine.dispose()
