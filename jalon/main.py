"""The composition of the `jalon` command: which module answers to which word, and how an error is told.

Exit codes: 0 done, 1 it could not be done (one line on standard error says why), 2 wrongly called.
"""

import os
import sys
from importlib import import_module

import typer

from jalon.terminal import tell_error
from journey.errors import JalonError

COMMANDS = {
    "up": "jalon.up",
    "demo": "jalon.demo.command",
    "ingest": "jalon.services",
    "stager": "jalon.services",
    "api": "jalon.services",
    "load": "jalon.load",
    "export": "jalon.export",
    "keys": "jalon.keys",
    "journeys": "jalon.journeys",
    "identities": "jalon.identities",
    "replay": "jalon.replay",
    "doctor": "jalon.doctor",
}
"""Each module has a Typer app named `cli` with the commands it answers to."""


def build(asked: str | None) -> typer.Typer:
    """The command line. Only the module of the command that is asked for is imported: a service starts sooner."""
    cli = typer.Typer(
        help="Jalon tracks every customer's journey, exactly and with its reasons.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    names = [COMMANDS[asked]] if asked in COMMANDS else list(dict.fromkeys(COMMANDS.values()))
    for name in names:
        cli.add_typer(import_module(name).cli)
    cli.callback()(_nothing)
    return cli


def _nothing() -> None:
    """Makes Typer keep the command's name even where only one command was imported."""


def app() -> None:
    """Run the command line of this process and exit."""
    asked = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        build(asked)()
    except JalonError as error:
        if os.environ.get("JALON_LOG_LEVEL") == "DEBUG":
            raise
        tell_error(error)
        sys.exit(1)
