"""`jalon export`: every customer's state and history as JSON Lines."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from jalon.local.settings import USUAL_DATA, Data, using_settings
from jalon.terminal import note, progress
from journey.errors import CallerFault
from plumbing.settings import Settings
from plumbing.store.exporting import Exported, Exporter, encode

cli = typer.Typer()


@cli.command()
def export(
    to: Annotated[Path | None, typer.Option(help="Write to this file.  [standard output]", show_default=False)] = None,
    as_of: Annotated[
        str | None, typer.Option(help="As it was at this instant (RFC 3339), by what is known now.", show_default=False)
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Fold every customer again and compare; exits 1 if any differs."),
    ] = False,
    data: Data = USUAL_DATA,
) -> None:
    """Write every customer's state and history as JSON Lines, in canonical order."""
    settings = using_settings(data)
    if verify:
        sys.exit(1 if asyncio.run(_verify(settings)) else 0)
    until = _instant(as_of) if as_of else None
    try:
        with to.open("wb") if to else os.fdopen(os.dup(sys.stdout.fileno()), "wb") as file:
            asyncio.run(_write(settings, until, file))
    except BrokenPipeError:
        sys.exit(0)  # whoever read has seen enough
    except OSError as error:
        raise CallerFault(f"cannot write the export: {error.strerror}") from error


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise CallerFault(f"--as-of: {text!r} is no RFC 3339 instant, such as 2026-03-01T09:30:00Z") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


async def _write(settings: Settings, until: datetime | None, file: IO[bytes]) -> None:
    exporter = Exporter(settings.database_url, settings.key)
    try:
        lines = exporter.stored() if until is None else exporter.as_of(until)
        await _write_lines(lines, await exporter.count(), file)
        if until is None and (behind := await exporter.behind()):
            note(f"the stager has something to do for {behind} customers up to the horizon: they may be behind")
    finally:
        await exporter.close()


async def _write_lines(lines: AsyncIterator[Exported], total: int, file: IO[bytes]) -> None:
    with progress("customers") as bar:
        task = bar.add_task("export", total=total)
        async for exported in lines:
            file.write(encode(exported) + b"\n")
            bar.advance(task)


async def _verify(settings: Settings) -> int:
    """How many customers differ from a fold of their touchpoints; each is named by its id."""
    exporter = Exporter(settings.database_url, settings.key)
    checked = different = 0
    try:
        with progress("customers") as bar:
            task = bar.add_task("verify", total=await exporter.count())
            async for difference in exporter.differences():
                checked += 1
                bar.advance(task)
                if difference is not None:
                    different += 1
                    note(f"{difference.customer}: another fold gives other {', '.join(difference.parts)}")
        behind = await exporter.behind()
    finally:
        await exporter.close()
    note(f"{checked} customers folded again, {different} differ, {behind} may be behind the horizon")
    return different
