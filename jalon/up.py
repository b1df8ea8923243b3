"""`jalon up`: everything on this machine, until Ctrl-C."""

import asyncio
import sys
from typing import Annotated

import typer

from jalon.local.folder import FIRST_SOURCE, SCOPES, Folder, Running, Secrets
from jalon.local.machine import KAFKA_EMBEDDED, machine
from jalon.local.settings import USUAL_DATA, Data, serving_settings
from jalon.local.signals import run_until_stopped
from jalon.terminal import note, say
from plumbing.settings import Settings

cli = typer.Typer()

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one.", show_default=False)]


@cli.command()
def up(
    data: Data = USUAL_DATA,
    database_url: Annotated[str | None, typer.Option(help="Use this Postgres, not one of our own.")] = None,
    log_url: Annotated[
        str | None,
        typer.Option(help=f"kafka://host:port, postgresql://…, or {KAFKA_EMBEDDED} for a broker of our own."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = None,
    api_port: Port = None,
    ingest_port: Port = None,
    stager_port: Port = None,
) -> None:
    """Run everything on this machine: Postgres, the log, ingest, stager and API."""
    folder = Folder(data)
    folder.make()
    secrets = folder.secrets()
    settings = serving_settings(
        secrets,
        database_url=database_url,
        log_url=log_url,
        host=host,
        api_port=api_port,
        ingest_port=ingest_port,
        stager_port=stager_port,
    )
    sys.exit(run_until_stopped(_serve(settings, folder, secrets)))


async def _serve(settings: Settings, folder: Folder, secrets: Secrets) -> int:
    async with machine(settings, folder, note) as running:
        welcome(running, secrets)
        note("ready; Ctrl-C stops it")
        try:
            await asyncio.Event().wait()
        finally:
            note("stopping")
    return 0


def welcome(running: Running, secrets: Secrets) -> None:
    """What a newcomer needs to go on."""
    rows = [
        ("API and page", running.api, ""),
        ("ingest", running.ingest, ""),
        ("metrics", f"{running.stager}/metrics", ""),
        ("write key", secrets.write_key, f"source {FIRST_SOURCE}"),
        ("API token", secrets.api_token, SCOPES.replace("+", ", ")),
    ]
    for name, value, remark in rows:
        say((f"  {name:<14}", "dim"), (value, "bold"), (f"  {remark}" if remark else "", "dim"))
    body = '{"id": "1", "type": "order_completed", "identifiers": {"email": "ada@example.com"}}'
    say("")
    say(("  Try it:", "dim"))
    send = f"curl -u {secrets.write_key}: {running.ingest}/v1/touchpoints"
    say(f"  {send} -H 'Content-Type: application/json' -d '{body}'")
    say(f"  curl -H 'Authorization: Bearer {secrets.api_token}' {running.api}/v1/customers/by/email/ada@example.com")
    say("")
