"""Keys in the table: made once, found by their secret, gone when revoked."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from journey.errors import CallerFault
from plumbing.store.engine import make_engine
from plumbing.store.keys import (
    KeyKind,
    Keyring,
    active_keys,
    create_api_key,
    create_write_key,
    list_keys,
    parse_bootstrap_keys,
    revoke,
)
from plumbing.store.tables import keys
from tests.support.waiting import eventually


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database_url, connections=2)
    yield engine
    await engine.dispose()


async def test_a_key_is_in_force_from_its_making_to_its_revocation(engine: AsyncEngine) -> None:
    secret = await create_write_key(engine, "till 4", "store-12", "store")
    ring = Keyring(KeyKind.WRITE)
    await ring.refresh(engine)
    found = ring.find(secret)
    assert found is not None
    assert (found.name, found.source, found.channel) == ("till 4", "store-12", "store")
    assert await revoke(engine, "till 4")
    await ring.refresh(engine)
    assert ring.find(secret) is None
    assert not await revoke(engine, "till 4")
    assert await active_keys(engine) == ()


async def test_the_table_does_not_hold_the_secret(engine: AsyncEngine) -> None:
    secret = await create_api_key(engine, "marketing", ["read", "pii"])
    async with engine.connect() as connection:
        (row,) = (await connection.execute(select(keys))).all()
    assert secret not in str(row)
    assert secret.encode() not in row.digest


async def test_a_name_is_given_once(engine: AsyncEngine) -> None:
    await create_api_key(engine, "marketing", ["read"])
    await revoke(engine, "marketing")
    with pytest.raises(CallerFault, match="already"):
        await create_api_key(engine, "marketing", ["read"])


@pytest.mark.parametrize(
    ("name", "source", "channel"),
    [("k", "shop", "In Store!"), ("k", "long" * 100, "store"), ("k", "a\nb", "store"), ("a\nb", "shop", "store")],
)
async def test_a_key_whose_touchpoints_nobody_could_stage_is_not_made(
    engine: AsyncEngine, name: str, source: str, channel: str
) -> None:
    with pytest.raises(CallerFault, match="must"):
        await create_write_key(engine, name, source, channel)
    assert await list_keys(engine) == []


async def test_all_keys_are_listed_with_what_became_of_them(engine: AsyncEngine) -> None:
    await create_api_key(engine, "one", ["read"])
    await create_api_key(engine, "two", ["admin"])
    await revoke(engine, "one")
    assert [(one.key.name, one.revoked_at is None) for one in await list_keys(engine)] == [
        ("one", False),
        ("two", True),
    ]


async def test_a_service_learns_of_keys_while_it_runs(engine: AsyncEngine) -> None:
    ring = Keyring(KeyKind.API, parse_bootstrap_keys("api:boot:read:bootstrap"))
    following = asyncio.create_task(ring.follow(engine))
    secret = await create_api_key(engine, "late", ["read"])
    await eventually(lambda: ring.find(secret))
    await revoke(engine, "late")
    await eventually(lambda: ring.find(secret) is None)
    assert ring.find("bootstrap") is not None
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
