"""The `jalon` command as its users run it."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.service import JALON
from tests.support.waiting import eventually


def clean_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting of Jalon, and with these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JALON_")}
    return {**inherited, **(environment or {})}


def run_jalon(
    *arguments: str, environment: Mapping[str, str] | None = None, within: timedelta = timedelta(seconds=60)
) -> subprocess.CompletedProcess[str]:
    """Run `jalon ARGUMENTS` to its end."""
    return subprocess.run(
        [str(JALON), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(environment),
        timeout=within.total_seconds(),
    )


class Session:
    """`jalon ARGUMENTS` that goes on until it is told to stop. Leaving it stops it, whatever state it is in."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._output = tempfile.NamedTemporaryFile("w+")  # noqa: SIM115 (it lives as long as the session)
        self.process = subprocess.Popen(
            [str(JALON), *arguments],
            env=clean_environment(environment),
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.stop()
        self._output.close()

    def output(self) -> str:
        """All it has said so far, answers and remarks."""
        return Path(self._output.name).read_text()

    async def says(self, pattern: str, within: timedelta = timedelta(seconds=90)) -> re.Match[str]:
        """The first place in the output where `pattern` is found, once it is. Fails when the command ends before."""

        def look() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.output(), re.MULTILINE)
            if ended and not found:
                raise RuntimeError(f"it ended with {self.process.returncode}:\n{self.output()}")
            return found

        try:
            found = await eventually(look, within)
        except AssertionError as late:
            raise AssertionError(f"it did not say {pattern!r}:\n{self.output()}") from late
        assert found is not None
        return found

    def children(self) -> dict[str, int]:
        """The services that it runs: name → process id."""
        pid = self.process.pid
        found = {}
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            if "jalon" in words:
                found[words[words.index("jalon") + 1]] = int(child)
        return found

    def stop(self, by: signal.Signals = signal.SIGTERM, within: timedelta = timedelta(seconds=40)) -> int:
        """Send the signal and wait for the end (SIGKILL when it does not come); the exit code."""
        self.process.send_signal(by)
        try:
            return self.process.wait(within.total_seconds())
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def is_alive(pid: int) -> bool:
    """Whether a process of this id runs (one that has ended and waits to be noticed does not)."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
