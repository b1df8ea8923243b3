"""`jalon identities`: conflicts between identities, and the commands that settle them."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from jalon.local.settings import USUAL_DATA, Data, using_settings
from jalon.terminal import note, say, show
from journey.commands import OnPair, Verb
from journey.errors import CallerFault
from journey.identity import Kinds, parse_identity
from plumbing.settings import Settings
from plumbing.store import commands as stored
from plumbing.store.commanding import Commanding, Ready, Written, give
from plumbing.store.commanding import undo as undo_command
from plumbing.store.commands import Given
from plumbing.store.engine import transaction
from plumbing.store.opening import opened
from plumbing.store.reading.conflicts import Conflict, Named
from plumbing.store.reading.conflicts import conflicts as read_conflicts
from plumbing.store.reading.connection import reading
from plumbing.store.sealing import Sealer
from schemas import identity_document

cli = typer.Typer()
identities = typer.Typer(help="Who is who: conflicts, and commands that settle them.", no_args_is_help=True)
cli.add_typer(identities, name="identities")

_BY = "jalon identities"

Identifier = Annotated[str, typer.Argument(metavar="KIND:VALUE", help="Such as email:anne@example.com.")]
Source = Annotated[str, typer.Argument(help="Who sent the touchpoint …")]
TouchpointId = Annotated[str, typer.Argument(metavar="ID", help="… and its id there.")]


@identities.command()
def conflicts(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100, data: Data = USUAL_DATA
) -> None:
    """List links that were refused, and identifiers that many people share."""
    settings = using_settings(data)
    sealer = Sealer(settings.key)
    table = Table("reason", "one", "other", "refused", "first in", box=None, header_style="dim")
    for found in asyncio.run(_conflicts(settings.database_url, limit)):
        other = _named(found.other, sealer) if found.other else ""
        first = " ".join(found.first) if found.first else ""
        table.add_row("link" if found.other else "shared", _named(found.one, sealer), other, str(found.refused), first)
    show(table)


@identities.command("commands")
def list_commands(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100, data: Data = USUAL_DATA
) -> None:
    """List what was said, the last first."""
    settings = using_settings(data)
    sealer = Sealer(settings.key)
    table = Table("number", "verb", "about", "by", "given", "undone", box=None, header_style="dim")
    for one in asyncio.run(_commands(settings.database_url, limit)):
        undone = f"{one.undone_at:%Y-%m-%d %H:%M}" if one.undone_at else ""
        given = f"{one.given_at:%Y-%m-%d %H:%M}"
        table.add_row(str(one.number), one.command.verb, _about(one, sealer), one.given_by, given, undone)
    show(table)


@identities.command()
def join(one: Identifier, other: Identifier, data: Data = USUAL_DATA) -> None:
    """Say that two identifiers are one person's."""
    settings = using_settings(data)
    _give(settings, _commanding(settings).on_pair(Verb.JOIN, _written(one), _written(other)))


@identities.command()
def split(one: Identifier, other: Identifier, data: Data = USUAL_DATA) -> None:
    """Say that two identifiers are not one person's."""
    settings = using_settings(data)
    _give(settings, _commanding(settings).on_pair(Verb.SPLIT, _written(one), _written(other)))


@identities.command()
def strike(source: Source, touchpoint: TouchpointId, identifier: Identifier, data: Data = USUAL_DATA) -> None:
    """Say that an identifier in a touchpoint is wrong."""
    settings = using_settings(data)
    _give(settings, _commanding(settings).on_touchpoint(source, touchpoint, _written(identifier)))


@identities.command()
def void(source: Source, touchpoint: TouchpointId, data: Data = USUAL_DATA) -> None:
    """Say that a touchpoint never was."""
    settings = using_settings(data)
    _give(settings, _commanding(settings).on_touchpoint(source, touchpoint))


@identities.command()
def undo(number: Annotated[int, typer.Argument(help="The command's number.")], data: Data = USUAL_DATA) -> None:
    """Take a command back."""
    if not asyncio.run(_undo(using_settings(data).database_url, number)):
        raise CallerFault(f"there is no command {number}")


def _written(identifier: str) -> Written:
    kind, colon, value = identifier.partition(":")
    if not (kind and colon and value):
        raise typer.BadParameter("an identifier is written KIND:VALUE")
    return Written(kind, value)


def _commanding(settings: Settings) -> Commanding:
    return Commanding(Sealer(settings.key), Kinds(parse_identity(identity_document())), settings.phone_region)


def _named(one: Named, sealer: Sealer) -> str:
    return f"{one.kind}:{sealer.unseal(one.sealed)}"


def _about(one: Given, sealer: Sealer) -> str:
    names = [f"{kind}:{sealer.unseal(sealed)}" for kind, sealed in zip(one.kinds, one.sealed, strict=True)]
    key = [] if isinstance(one.command, OnPair) else [one.command.source, one.command.id]
    return " ".join([*key, *names])


def _give(settings: Settings, ready: Ready) -> None:
    say(str(asyncio.run(_left(settings.database_url, ready))))
    note("a stager applies it within a second; `jalon identities undo` with this number takes it back")


async def _left(url: str, ready: Ready) -> int:
    async with opened(url) as engine:
        return await give(engine, ready, _BY)


async def _undo(url: str, number: int) -> bool:
    async with opened(url) as engine:
        return await undo_command(engine, number)


async def _conflicts(url: str, limit: int) -> list[Conflict]:
    async with opened(url) as engine, reading(engine) as connection:
        return await read_conflicts(connection, limit, None)


async def _commands(url: str, limit: int) -> list[Given]:
    async with opened(url) as engine, transaction(engine) as driver:
        return await stored.newest(driver, 2**63 - 1, limit)
