"""What people see of a command: answers on standard output, everything else on standard error.

A terminal gets colours; a pipe or a file gets the same words plainly, one line a line, nothing cut or wrapped.
"""

import sys

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from journey.errors import CallerFault, JalonError

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def say(*parts: str | tuple[str, str]) -> None:
    """One line of the answer; a part is text, or text with its style."""
    out.print(Text.assemble(*parts))


def note(*parts: str | tuple[str, str]) -> None:
    """One line on what goes on, beside the answer."""
    err.print(Text.assemble(*parts))


def show(what: RenderableType) -> None:
    """A table or the like."""
    out.print(what)


def tell_error(error: JalonError) -> None:
    """One line; and one for each fault, when an input has several."""
    faults = error.faults if isinstance(error, CallerFault) else ()
    if len(faults) < 2:
        note(("error: ", "bold red"), str(error))
        return
    note(("error: ", "bold red"), f"{len(faults)} faults")
    for fault in faults:
        note("  ", str(fault))


def progress(unit: str) -> Progress:
    """A bar on standard error for long work counted in `unit`; nothing where nobody watches."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    )
