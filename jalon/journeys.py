"""`jalon journeys`: check definitions, draw them, and bring their versions into force (`versions.py`)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from jalon import versions
from jalon.documents import doubts_about, read
from jalon.terminal import note, say
from journey.definition import parse
from journey.diagram import Format, Language
from journey.diagram import diagram as drawn
from journey.errors import CallerFault, Fault, InvalidDefinition
from journey.grammar import Definition
from journey.machine import compile_journeys
from plumbing.settings import load
from schemas import journey_documents

cli = typer.Typer()
journeys = typer.Typer(
    help="Check journey definitions, draw them, bring new versions into force.", no_args_is_help=True
)
cli.add_typer(journeys, name="journeys")
journeys.command()(versions.publish)
journeys.command("list")(versions.list_all)
journeys.command("dry-run")(versions.dry_run)
journeys.command()(versions.activate)


@journeys.command()
def check(paths: Annotated[list[Path], typer.Argument(exists=True, help="YAML files, or folders of them.")]) -> None:
    """Say all that is wrong with definitions, each fault with its file and JSON pointer; exits 1 if there is any.

    What is not wrong but deserves a second look is told too.
    """
    found: list[Definition] = []
    doubts: list[tuple[Path, Fault]] = []
    faults = 0
    for path in _documents(paths):
        try:
            found.append(parse(read(path)))
            doubts += [(path, doubt) for doubt in doubts_about(found[-1])]
        except InvalidDefinition as error:
            faults += _tell(str(path), error)
    if not faults:
        faults += _check_together(found)
    for path, doubt in doubts:
        note((str(path), "bold"), ": ", ("look ", "yellow"), str(doubt))
    if faults:
        note(f"{faults} faults")
        sys.exit(1)
    for definition in found:
        say(f"{definition.journey} version {definition.version}: ", ("holds together", "green"))


def _documents(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        documents = sorted((*path.glob("*.yaml"), *path.glob("*.yml"))) if path.is_dir() else [path]
        if not documents:
            raise CallerFault(f"{path} has no .yaml files")
        yield from documents


def _check_together(definitions: list[Definition]) -> int:
    """Whether definitions that are all in force get along; how many faults were told."""
    try:
        compile_journeys(definitions)
    except InvalidDefinition as error:
        return _tell("together", error)
    return 0


def _tell(where: str, error: InvalidDefinition) -> int:
    lines = [str(fault) for fault in error.faults] or [str(error)]
    for line in lines:
        note((where, "bold"), f": {line}")
    return len(lines)


@journeys.command()
def diagram(
    name: Annotated[str, typer.Argument(help="A journey's name, or the file of a definition.")],
    form: Annotated[Format, typer.Option("--format", help="Mermaid for documents, SVG for eyes.")] = Format.MERMAID,
    language: Annotated[Language, typer.Option("--lang", help="Of the labels.")] = Language.EN,
) -> None:
    """Draw a journey's stages and transitions."""
    print(drawn(_find(name), form, language), end="")  # noqa: T201 (exactly the drawing, whatever the terminal)


def _find(name: str) -> Definition:
    path = Path(name)
    if path.is_file():
        return parse(read(path))
    known = {definition.journey: definition for definition in map(parse, journey_documents(load().journeys))}
    if name not in known:
        raise CallerFault(f"{name} is neither a file nor one of {', '.join(sorted(known))}")
    return known[name]
