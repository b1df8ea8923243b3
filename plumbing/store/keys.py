"""Keys: write keys name a source, api tokens carry scopes. Only the SHA-256 of a secret is ever kept.

Keys come from the table `keys` and from `JALON_BOOTSTRAP_KEYS`. A service holds them in a `Keyring`, so that no request
asks Postgres for them.
"""

import asyncio
import hmac
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from journey.errors import CallerFault, Misconfigured
from journey.text import fits
from journey.touchpoint_checks import flaw_of_source
from plumbing.clock import new_secret, now
from plumbing.store.tables import keys
from plumbing.telemetry import Action, log

REFRESHED_EVERY = timedelta(seconds=1)
"""How often a service looks for new and revoked keys."""

MAX_KEY_NAME_BYTES = 128


class Scope(StrEnum):
    """What an api token may do."""

    READ = "read"
    PII = "pii"
    ADMIN = "admin"


class KeyKind(StrEnum):
    WRITE = "write"
    API = "api"


@dataclass(frozen=True, slots=True)
class Key:
    """A key in force. Write keys have `source` and `channel`, api tokens have `scopes`; `digest` is the SHA-256."""

    name: str
    kind: str
    digest: bytes = field(repr=False)
    source: str | None = None
    channel: str | None = None
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as its owner sees it listed, revoked ones too."""

    key: Key
    created_at: datetime
    revoked_at: datetime | None


def digest_of(secret: str) -> bytes:
    """The 32 bytes by which a secret is known. Any text is a secret, also what no UTF-8 can hold."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def parse_bootstrap_keys(text: str) -> tuple[Key, ...]:
    """The keys of `write:SOURCE:CHANNEL:SECRET` and `api:NAME:read+pii+admin:SECRET`, separated by commas.

    Raises `Misconfigured`, which names the place of a bad one in the list and never its text.
    """
    entries = enumerate(filter(None, map(str.strip, text.split(","))), 1)
    return tuple(_parse(place, entry) for place, entry in entries)


def _parse(place: int, entry: str) -> Key:
    parts = entry.split(":")
    where = f"JALON_BOOTSTRAP_KEYS: key {place}"
    if len(parts) != 4 or not all(parts) or parts[0] not in set(KeyKind):
        raise Misconfigured(f"{where} must be write:SOURCE:CHANNEL:SECRET or api:NAME:read+pii+admin:SECRET")
    kind, name, third, secret = parts
    if kind == KeyKind.WRITE:
        if flaw := flaw_of_source(name, third):
            raise Misconfigured(f"{where}: {flaw}")
        return Key(f"bootstrap-{name}", kind, digest_of(secret), source=name, channel=third)
    try:
        scopes = parse_scopes(third.split("+"))
    except CallerFault as fault:
        raise Misconfigured(f"{where}: {fault}") from None
    return Key(f"bootstrap-{name}", kind, digest_of(secret), scopes=scopes)


def parse_scopes(names: Iterable[str]) -> frozenset[str]:
    """The scopes of these names. Raises `CallerFault` when there is none or one is unknown."""
    scopes = frozenset(name.strip() for name in names) - {""}
    if not scopes or not scopes <= set(Scope):
        raise CallerFault("scopes are one or more of read, pii, admin")
    return scopes


async def create_write_key(engine: AsyncEngine, name: str, source: str, channel: str) -> str:
    """Make a write key of this public name and return its secret: it cannot be read again.

    Raises `CallerFault` when the name is taken, or no name; or when no touchpoint can have this source or channel.
    """
    if flaw := flaw_of_source(source, channel):
        raise CallerFault(flaw)
    return await _create(engine, name, KeyKind.WRITE, source=source, channel=channel)


async def create_api_key(engine: AsyncEngine, name: str, scopes: Iterable[str]) -> str:
    """Make a token of this public name and return its secret: it cannot be read again.

    Raises `CallerFault` when the name is taken, or no name; or when a scope is unknown.
    """
    return await _create(engine, name, KeyKind.API, scopes=sorted(parse_scopes(scopes)))


async def _create(engine: AsyncEngine, name: str, kind: KeyKind, **columns: str | list[str]) -> str:
    if not fits(name, MAX_KEY_NAME_BYTES):
        raise CallerFault(f"the name of a key must have 1 to {MAX_KEY_NAME_BYTES} bytes and no control characters")
    secret = new_secret()
    try:
        async with engine.begin() as connection:
            await connection.execute(insert(keys).values(key=name, digest=digest_of(secret), kind=kind, **columns))
    except IntegrityError:
        raise CallerFault(f"there is a key {name!r} already (a revoked one keeps its name)") from None
    log(Action.KEY_CREATED)
    return secret


async def revoke(engine: AsyncEngine, name: str) -> bool:
    """Take a key out of force, for good. False when there is none of this name in force."""
    change = update(keys).where(keys.c.key == name, keys.c.revoked_at.is_(None)).values(revoked_at=now())
    async with engine.begin() as connection:
        revoked = (await connection.execute(change)).rowcount == 1
    if revoked:
        log(Action.KEY_REVOKED)
    return revoked


async def list_keys(engine: AsyncEngine) -> list[ListedKey]:
    """Every key of the table, oldest first."""
    query = select(keys).order_by(keys.c.created_at, keys.c.key)
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).mappings().all()
    return [
        ListedKey(
            Key(row["key"], row["kind"], row["digest"], row["source"], row["channel"], frozenset(row["scopes"])),
            row["created_at"],
            row["revoked_at"],
        )
        for row in rows
    ]


async def active_keys(engine: AsyncEngine) -> tuple[Key, ...]:
    """The keys of the table that are in force."""
    return tuple(listed.key for listed in await list_keys(engine) if listed.revoked_at is None)


class Keyring:
    """The keys of one kind that a service accepts now: its bootstrap keys, and the table's as of the last refresh."""

    def __init__(self, kind: KeyKind, bootstrap: Iterable[Key] = ()) -> None:
        self._kind = kind
        self._bootstrap = tuple(bootstrap)
        self._by_digest: dict[bytes, Key] = {}
        self.hold(())

    def hold(self, stored: Iterable[Key]) -> None:
        """Accept these and the bootstrap keys from now on, and no others."""
        accepted = (*stored, *self._bootstrap)
        self._by_digest = {key.digest: key for key in accepted if key.kind == self._kind}

    def find(self, secret: str) -> Key | None:
        """The key whose secret this is. What is looked up is a digest: its time tells nothing about any secret."""
        return self.known(digest_of(secret))

    def known(self, digest: bytes) -> Key | None:
        """The key whose secret has this digest."""
        key = self._by_digest.get(digest)
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    async def refresh(self, engine: AsyncEngine) -> None:
        self.hold(await active_keys(engine))

    async def follow(self, engine: AsyncEngine, every: timedelta = REFRESHED_EVERY) -> None:
        """Refresh until cancelled. While Postgres is away the keys stay as they are, and that is logged once."""
        away = False
        while True:
            try:
                await self.refresh(engine)
                away = False
            except (SQLAlchemyError, OSError) as error:
                if not away:
                    log(Action.KEYS_NOT_REFRESHED, logging.WARNING, exc=error)
                away = True
            await asyncio.sleep(every.total_seconds())
