"""`jalon load`: touchpoints from a file through ingest."""

import asyncio
import gzip
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO, Annotated, NamedTuple, cast

import httpx
import typer

from jalon.local.folder import Folder
from jalon.local.settings import USUAL_DATA, Data
from jalon.sending import BATCH, Rejected, Sender
from jalon.terminal import err, note, progress
from journey.errors import CallerFault, Misconfigured
from plumbing.settings import load as load_settings

cli = typer.Typer()

IN_FLIGHT = 4
"""Requests at once. What overtakes another on the way costs the stager a little, and changes nothing."""

_BATCH_BYTES = 1_000_000
_GZIP = b"\x1f\x8b"


@cli.command()
def load(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="JSON Lines, plain or gzip.")
    ],
    key: Annotated[
        str | None,
        typer.Option(envvar="JALON_WRITE_KEY", help="Write key; its source is the touchpoints'.  [that of `jalon up`]"),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Ingest's address.  [this machine's]")] = None,
    patience: Annotated[int, typer.Option(min=0, help="Seconds to go on while ingest takes nothing.")] = 60,
    data: Data = USUAL_DATA,
) -> None:
    """Send the touchpoints of a file (one JSON object a line) through ingest; exits 1 when it refuses any."""
    folder = Folder(data)
    url, write_key = to or _local_url(folder), key or _local_key(folder)
    rejected = asyncio.run(_load(file, url.rstrip("/"), write_key, timedelta(seconds=patience)))
    sys.exit(1 if rejected else 0)


def _local_url(folder: Folder) -> str:
    running, settings = folder.running(), load_settings()
    return running.ingest if running else f"http://{settings.host}:{settings.ingest_port}"


def _local_key(folder: Folder) -> str:
    secrets = folder.known_secrets()
    if secrets is None:
        raise Misconfigured("a write key is needed: --key or JALON_WRITE_KEY (`jalon keys create` makes one)")
    return secrets.write_key


async def _load(file: Path, url: str, key: str, patience: timedelta) -> int:
    """Send the file; the number of lines that were refused."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        sender = Sender(client, url, key, patience)
        with progress("bytes") as bar:
            task = bar.add_task(file.name, total=_size(file))
            sent, rejected = await _send_all(
                sender, batches(file), lambda batch: bar.update(task, completed=batch.position)
            )
    note(f"{sent - rejected} touchpoints accepted, {rejected} refused")
    return rejected


def _size(file: Path) -> int:
    return file.stat().st_size


class Batch(NamedTuple):
    """Some lines of the file, each with its number (from 1), and how many of its bytes are read after them."""

    numbers: list[int]
    lines: list[bytes]
    position: int


def batches(file: Path) -> Iterator[Batch]:
    """The lines that are not blank, in order. Raises `CallerFault` when the file cannot be read."""
    with file.open("rb") as raw, _plain(raw) as lines:
        batch, size = Batch([], [], 0), 0
        try:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                if batch.lines and (len(batch.lines) == BATCH or size + len(line) > _BATCH_BYTES):
                    yield batch._replace(position=raw.tell())
                    batch, size = Batch([], [], 0), 0
                batch.numbers.append(number)
                batch.lines.append(line.strip())
                size += len(line)
        except (OSError, EOFError, zlib.error) as error:
            raise CallerFault(f"{file} cannot be read to its end: {error}") from error
        if batch.lines:
            yield batch._replace(position=raw.tell())


def _plain(raw: IO[bytes]) -> IO[bytes]:
    """The file without its compression; known by its first bytes, whatever its name."""
    compressed = raw.read(2) == _GZIP
    raw.seek(0)
    return cast("IO[bytes]", gzip.open(raw)) if compressed else raw


async def _send_all(sender: Sender, found: Iterator[Batch], done: Callable[[Batch], None]) -> tuple[int, int]:
    """Send batches in order, a few at once; how many lines were sent and how many of them refused."""
    sent = rejected = 0
    flying: deque[tuple[Batch, asyncio.Task[list[Rejected]]]] = deque()
    try:
        for batch in found:
            flying.append((batch, asyncio.create_task(sender.send(batch.lines))))
            await asyncio.sleep(0)  # let it set out
            if len(flying) == IN_FLIGHT:
                rejected += await _settle(*flying.popleft(), done)
            sent += len(batch.lines)
        while flying:
            rejected += await _settle(*flying.popleft(), done)
    finally:
        for _, task in flying:
            task.cancel()
        await asyncio.gather(*(task for _, task in flying), return_exceptions=True)
    return sent, rejected


async def _settle(batch: Batch, task: asyncio.Task[list[Rejected]], done: Callable[[Batch], None]) -> int:
    rejected = await task
    for one in rejected:
        why = "; ".join(map(str, one.faults))
        err.print(f"line {batch.numbers[one.place]}: {why}", markup=False)
    done(batch)
    return len(rejected)
