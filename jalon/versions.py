"""`jalon journeys publish | list | dry-run | activate`: changing a definition without losing anybody's history."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from jalon.building import finish
from jalon.documents import doubts_about, read
from jalon.local.settings import USUAL_DATA, Data, using_settings
from jalon.terminal import note, say, show
from journey.identity import Kinds, parse_identity
from journey.state import ByTouchpoint, JourneyState
from plumbing.store import definitions
from plumbing.store.build_requests import request
from plumbing.store.builds import Build
from plumbing.store.definitions import Published, Version
from plumbing.store.engine import transaction
from plumbing.store.opening import opened
from plumbing.store.reading.dry_runs import Foretold, foretold
from schemas import identity_document

Journey = Annotated[str, typer.Argument(help="A journey's name, such as customer-journey.")]
Number = Annotated[int, typer.Argument(help="One of its published versions.")]


def publish(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A definition in YAML.")],
    data: Data = USUAL_DATA,
) -> None:
    """Publish a version: checked, never changed again, and not in force before it is activated."""
    document = read(file)
    published = asyncio.run(_publish(_url(data), document))
    for doubt in doubts_about(published.definition):
        note((str(file), "bold"), ": ", ("look ", "yellow"), str(doubt))
    name = f"{published.definition.journey} version {published.definition.version}"
    if published.new:
        say(
            f"{name}: ",
            ("published", "green"),
            f"; see whom it moves: jalon journeys dry-run {name.replace('version ', '')}",
        )
    else:
        say(f"{name}: was published before, with the same rules")


def list_all(data: Data = USUAL_DATA) -> None:
    """Show every version of every journey, and since when it is in force."""
    table = Table("journey", "version", "published", "in force since", box=None, header_style="dim")
    for version in asyncio.run(_versions(_url(data))):
        since = f"{version.since:%Y-%m-%d %H:%M}" if version.since else ""
        table.add_row(version.journey, str(version.version), f"{version.published_at:%Y-%m-%d %H:%M}", since)
    show(table)


def dry_run(
    journey: Journey,
    version: Number,
    samples: Annotated[int, typer.Option(min=0, max=20, help="Customers to show of each pair of stages.")] = 3,
    data: Data = USUAL_DATA,
) -> None:
    """Fold every customer under a version beside the one in force, and say who would be elsewhere and why.

    Nobody is touched. What it has built is kept for `activate`; a run that was interrupted goes on where it was.
    """
    build, found = asyncio.run(_dry_run(_url(data), journey, version, samples))
    _tell_matrix(found)
    moved = sum(one.cell.customers for one in found if one.cell.before != one.cell.now)
    say(f"{moved} of {sum(one.cell.customers for one in found)} customers would be in another stage of {journey}")
    for one in found:
        if one.cell.before != one.cell.now:
            _tell_samples(one)
    note(f"switch with: jalon journeys activate {build.journey} {build.version}")


def activate(journey: Journey, version: Number, data: Data = USUAL_DATA) -> None:
    """Put a version in force, all at once; services need no restart. The earlier version can be activated again."""
    build = asyncio.run(_activate(_url(data), journey, version))
    cells = build.outcome["matrix"]
    moved = sum(number for before, now, number in cells if before != now)
    say(f"{journey} version {version}: ", ("in force", "green"), f"; {moved} customers are in another stage now")


async def _publish(url: str, document: str) -> Published:
    async with opened(url) as engine:
        return await definitions.publish(engine, document)


async def _versions(url: str) -> list[Version]:
    async with opened(url) as engine, transaction(engine) as driver:
        return await definitions.versions(driver)


async def _dry_run(url: str, journey: str, version: int, samples: int) -> tuple[Build, list[Foretold]]:
    strong = Kinds(parse_identity(identity_document())).strong
    async with opened(url) as engine:
        build = await finish(engine, await request(engine, journey, version, activate=False), "dry run")
        async with transaction(engine) as driver:
            return build, await foretold(driver, build, strong, samples)


async def _activate(url: str, journey: str, version: int) -> Build:
    async with opened(url) as engine:
        return await finish(engine, await request(engine, journey, version, activate=True), "activate")


def _tell_matrix(found: Sequence[Foretold]) -> None:
    table = Table("from", "to", "customers", box=None, header_style="dim")
    for one in found:
        style = "" if one.cell.before == one.cell.now else "bold"
        table.add_row(one.cell.before or "-", one.cell.now or "-", str(one.cell.customers), style=style)
    show(table)


def _tell_samples(one: Foretold) -> None:
    for sample in one.samples:
        say((sample.customer, "bold"), f": {_explained(sample.before)}; then {_explained(sample.now)}")


def _explained(here: JourneyState | None) -> str:
    """Where and why, without anything personal."""
    if here is None:
        return "not in this journey"
    cause = here.cause
    by = f"{cause.type} {cause.id} of {cause.source}" if isinstance(cause, ByTouchpoint) else f"time since {cause.of}"
    return f"{here.stage} since {here.entered_at:%Y-%m-%d %H:%M} by {here.rule} ({by})"


def _url(data: Path) -> str:
    return using_settings(data).database_url
