"""The log, also while it is away: ingest answers 503 until it is there, rather than not at all."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from journey.errors import JalonError, LogUnavailable
from plumbing.log.port import EventLog, Record
from plumbing.telemetry import Action, log

PATIENCE = timedelta(seconds=2)
"""How long `start` waits for the log before ingest serves without it."""

TRIED_EVERY = timedelta(seconds=1)


class PatientLog:
    """An `EventLog` that may come later. What is appended before is refused, as nothing of it would be durable."""

    def __init__(self, open_log: Callable[[], EventLog]) -> None:
        """`open_log` makes the log anew for each try to start it. Raises what it raises (`Misconfigured`)."""
        self._open = open_log
        self._opened = open_log()
        self._log: EventLog | None = None
        self._coming: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the log is there, or soon in any case. Raises `Misconfigured` when it can be told so soon."""
        self._coming = asyncio.create_task(self._first_try())
        done, _ = await asyncio.wait({self._coming}, timeout=PATIENCE.total_seconds())
        for task in done:
            if error := task.exception():
                raise error

    async def stop(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            with suppress(asyncio.CancelledError, JalonError):
                await self._coming
        if self._log is not None:
            await self._log.stop()

    async def append(self, records: Sequence[Record]) -> None:
        """See `EventLog`."""
        if self._log is None:
            raise LogUnavailable
        await self._log.append(records)

    async def healthy(self) -> bool:
        """See `EventLog`."""
        return self._log is not None and await self._log.healthy()

    async def _first_try(self) -> None:
        try:
            await self._opened.start()
            self._log = self._opened
        except LogUnavailable as error:
            log(Action.LOG_UNAVAILABLE, logging.WARNING, exc=error)
            self._coming = asyncio.create_task(self._try_until_there())

    async def _try_until_there(self) -> None:
        while self._log is None:
            await asyncio.sleep(TRIED_EVERY.total_seconds())
            opened = self._open()
            try:
                await opened.start()
                self._log = opened
            except JalonError as error:
                log(Action.LOG_UNAVAILABLE, logging.WARNING, exc=error)
