"""`jalon keys`: write keys for sources, tokens for readers."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from jalon.local.settings import USUAL_DATA, Data, using_settings
from jalon.terminal import note, say, show
from journey.errors import CallerFault
from plumbing.store.keys import ListedKey, create_api_key, create_write_key, list_keys
from plumbing.store.keys import revoke as revoke_key
from plumbing.store.opening import opened

cli = typer.Typer()
keys = typer.Typer(help="Write keys for sources, tokens for readers.", no_args_is_help=True)
cli.add_typer(keys, name="keys")


@keys.command()
def create(
    source: Annotated[str | None, typer.Option(help="For a write key: the source whose touchpoints these are.")] = None,
    channel: Annotated[str | None, typer.Option(help="… and the channel of those that do not name one.")] = None,
    scopes: Annotated[str | None, typer.Option(help="For a token: read, pii, admin, separated by commas.")] = None,
    name: Annotated[str | None, typer.Option(help="Public name.  [the source; api]", show_default=False)] = None,
    data: Data = USUAL_DATA,
) -> None:
    """Make a key; its secret is printed once and never again."""
    if source and channel and not scopes:
        say(asyncio.run(_create_write_key(_url(data), name or source, source, channel)))
    elif scopes and not source and not channel:
        say(asyncio.run(_create_api_key(_url(data), name or "api", scopes.split(","))))
    else:
        raise typer.BadParameter("give --source and --channel for a write key, or --scopes for a token")
    note("keep it: it cannot be shown again")


@keys.command("list")
def list_all(data: Data = USUAL_DATA) -> None:
    """Show every key, without its secret."""
    table = Table("name", "kind", "for", "created", "revoked", box=None, header_style="dim")
    for listed in asyncio.run(_list(_url(data))):
        revoked = f"{listed.revoked_at:%Y-%m-%d %H:%M}" if listed.revoked_at else ""
        table.add_row(
            listed.key.name, listed.key.kind, _purpose(listed), f"{listed.created_at:%Y-%m-%d %H:%M}", revoked
        )
    show(table)


@keys.command()
def revoke(name: Annotated[str, typer.Argument(help="The key's public name.")], data: Data = USUAL_DATA) -> None:
    """Take a key out of force, for good; services forget it within a second."""
    if not asyncio.run(_revoke(_url(data), name)):
        raise CallerFault(f"there is no key {name!r} in force")


def _purpose(listed: ListedKey) -> str:
    key = listed.key
    return f"{key.source} ({key.channel})" if key.source else ", ".join(sorted(key.scopes))


async def _create_write_key(url: str, name: str, source: str, channel: str) -> str:
    async with opened(url) as engine:
        return await create_write_key(engine, name, source, channel)


async def _create_api_key(url: str, name: str, scopes: list[str]) -> str:
    async with opened(url) as engine:
        return await create_api_key(engine, name, scopes)


async def _list(url: str) -> list[ListedKey]:
    async with opened(url) as engine:
        return await list_keys(engine)


async def _revoke(url: str, name: str) -> bool:
    async with opened(url) as engine:
        return await revoke_key(engine, name)


def _url(data: Path) -> str:
    return using_settings(data).database_url
