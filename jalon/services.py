"""`jalon ingest`, `jalon stager`, `jalon api`: one service, as containers run it."""

from importlib import import_module
from typing import Annotated

import typer

from plumbing.settings import Settings, load

cli = typer.Typer()

Host = Annotated[str | None, typer.Option(help="Address to listen on.  [JALON_HOST]", show_default=False)]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.", show_default=False)]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes.  [JALON_WORKERS]", show_default=False)]


@cli.command()
def ingest(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Take touchpoints over HTTP and put them into the log durably."""
    _run("ingest", load(host=host, ingest_port=port, workers=workers))


@cli.command()
def stager(host: Host = None, port: Port = None) -> None:
    """Make the tables, read the log and advance each customer through the stages."""
    _run("stager", load(host=host, stager_port=port))


@cli.command()
def api(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Answer where customers are, and why."""
    _run("api", load(host=host, api_port=port, workers=workers))


def _run(service: str, settings: Settings) -> None:
    """Run until told to stop. Raises `Misconfigured` for what the service needs and has not."""
    import_module(f"services.{service}.app").run(settings)
