"""A service as a child process: started, watched until it answers, stopped."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx

from journey.errors import OurFault
from plumbing.clock import monotonic
from plumbing.processes import die_with_parent

_LOOK_EVERY = 0.05
_LAST_BYTES = 16_384


class Child:
    """`jalon SERVICE` with an environment of its own; what it writes goes to `output` (that of the start before: `.1`).

    It ends when we do, even when we are killed (on Linux), and does not see the Ctrl-C that is meant for us.
    """

    def __init__(self, service: str, url: str, environment: Mapping[str, str], output: Path) -> None:
        self.service = service
        self.url = url
        self._environment = {**os.environ, **environment}
        self._output = output
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; it is not `ready` yet. To be called in the main thread."""
        if self._output.exists():
            self._output.replace(self._output.with_suffix(".log.1"))
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "jalon",
                self.service,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )

    async def ready(self, within: timedelta) -> None:
        """Return when /readyz answers 200. Raises `OurFault` when the process ends before, or time runs out."""
        until = monotonic() + within.total_seconds()
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            while not await _answers(client, f"{self.url}/readyz"):
                if self.process.returncode is not None:
                    raise OurFault(f"{self.service} could not start: {self.last_words()}")
                if monotonic() > until:
                    raise OurFault(f"{self.service} is not ready after {within.seconds} s: {self.last_words()}")
                await asyncio.sleep(_LOOK_EVERY)

    async def ended(self) -> int:
        """Wait for the process to end: its exit code, or minus the signal that killed it."""
        return await self.process.wait()

    async def stop(self, grace: timedelta) -> None:
        """End it: SIGTERM, and SIGKILL for one that has not finished within `grace`."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "it was not started"
        return self._process

    def last_words(self) -> str:
        """Why it says that it ended: the reason in the last line of its log that gives one, and where to read more."""
        lines = self._output.read_bytes()[-_LAST_BYTES:].decode(errors="replace").splitlines()
        reasons = (reason for line in reversed(lines) if (reason := _reason(line)))
        return f"{next(reasons, None) or (lines or ['it gave no reason'])[-1]} ({self._output})"


def _reason(line: str) -> str | None:
    try:
        told = json.loads(line)
    except ValueError:
        return line.removeprefix("error: ") if line.startswith("error: ") else None
    reason = told.get("reason") or told.get("error") if isinstance(told, dict) else None
    return str(reason) if reason else None


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
