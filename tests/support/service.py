"""A service of Jalon as a process of its own, as production runs it."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.waiting import eventually

JALON = Path(sys.executable).with_name("jalon")
SECRET_KEY = "5a" * 32


class Service:
    """`jalon COMMAND …` with these settings. Enter it to start it and wait until /readyz answers 200.

    Leaving it ends the process (SIGTERM, and SIGKILL for one that does not end), whatever state it is in.
    """

    def __init__(self, *command: str, port: int, environment: Mapping[str, str]) -> None:
        self.command = [str(JALON), *command]
        self.url = f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JALON_")}
        self._environment = {**inherited, "JALON_SECRET_KEY": SECRET_KEY, **environment}
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 (it lives as long as the service)
        self._process: subprocess.Popen[str] | None = None

    async def __aenter__(self) -> Self:
        self.spawn()
        try:
            await self.ready()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process and forget its output. The loop goes on meanwhile: it may carry what the process needs."""
        await asyncio.to_thread(self.terminate)
        self._output.close()

    def spawn(self) -> None:
        """Start the process, without waiting for it to be ready."""
        self._process = subprocess.Popen(
            self.command, env=self._environment, stdout=self._output, stderr=subprocess.STDOUT, text=True
        )

    async def ready(self, within: timedelta = timedelta(seconds=90)) -> None:
        """Return when /readyz answers 200. Raises `AssertionError` with the output of a process that has ended."""

        async def look() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.command} ended with {self.process.returncode}:\n{self.output()}")
            try:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        async with httpx.AsyncClient(timeout=5) as client:
            try:
                await eventually(look, within)
            except AssertionError as late:
                raise AssertionError(f"{self.command} is not ready:\n{self.output()}") from late

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "it was not started"
        return self._process

    def output(self) -> str:
        """All it has written so far to standard output and error."""
        self._output.flush()
        position = self._output.tell()
        self._output.seek(0)
        text = self._output.read()
        self._output.seek(position)
        return text

    def kill(self) -> None:
        """SIGKILL: it has no chance to finish anything."""
        self.process.kill()
        self.process.wait(10)

    def pause(self) -> None:
        """SIGSTOP: it stands still, as behind a very long pause of the machine."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self, within: timedelta = timedelta(seconds=15)) -> int:
        """SIGTERM, and SIGKILL when it has not ended within the time. Returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(within.total_seconds())
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode
