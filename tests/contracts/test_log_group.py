"""Groups of readers, on both adapters: every partition has one owner, whoever joins, leaves, dies or comes back."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from journey.errors import Fenced, LogUnavailable
from plumbing.log import open_reader
from plumbing.log.port import LogReader, Record
from tests.contracts.conftest import OpenLog
from tests.contracts.log_member import EFFECTS
from tests.contracts.log_reading import SOON, key_in
from tests.support.waiting import eventually

TAKEOVER = timedelta(seconds=15)
ROOT = Path(__file__).parents[2]


class Owners:
    """Which member has which partition, as their callbacks tell; two at a time are an error."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}
        self.shared: list[str] = []

    @asynccontextmanager
    async def member(self, url: str, topic: str, name: str) -> AsyncIterator[LogReader]:
        """A member that reads all the time."""

        async def assigned(partitions: frozenset[int]) -> Mapping[int, int]:
            for partition in partitions:
                if partition in self.of:
                    self.shared.append(f"{partition} of {self.of[partition]} was given to {name}")
                self.of[partition] = name
            return {}

        async def revoked(partitions: frozenset[int]) -> None:
            await asyncio.sleep(0.2)  # finishing what is in hand takes a while
            for partition in partitions:
                del self.of[partition]

        async def read_on() -> None:
            while True:
                await reader.read(100, timedelta(seconds=0.2))

        reader = open_reader(url, "test", name, assigned, revoked, topic=topic)
        await reader.start()
        task = asyncio.create_task(read_on())
        try:
            yield reader
        finally:
            task.cancel()
            await asyncio.wait([task])
            await reader.stop()

    def share(self, name: str) -> int:
        return sum(owner == name for owner in self.of.values())


async def test_partitions_are_divided_fairly_and_never_shared(log_url: str, topic: str, opened: OpenLog) -> None:
    await opened(log_url, partitions=6)
    owners = Owners()
    async with owners.member(log_url, topic, "a"), AsyncExitStack() as others:
        await eventually(lambda: owners.share("a") == 6)
        await others.enter_async_context(owners.member(log_url, topic, "b"))
        await eventually(lambda: (owners.share("a"), owners.share("b")) == (3, 3), TAKEOVER)
        await others.enter_async_context(owners.member(log_url, topic, "c"))
        await eventually(lambda: [owners.share(name) for name in "abc"] == [2, 2, 2], TAKEOVER)
        await others.aclose()
        await eventually(lambda: owners.share("a") == 6, TAKEOVER)
    assert owners.shared == []
    assert owners.of == {}


async def test_groups_do_not_disturb_each_other(log_url: str, topic: str, opened: OpenLog) -> None:
    await opened(log_url)
    one, other = Owners(), Owners()
    async with one.member(log_url, topic, "a"):
        await eventually(lambda: one.share("a") == 3)
        reader = open_reader(log_url, "other", "a", _from_the_start, _let_go, topic=topic)
        await reader.start()
        await eventually(lambda: _has_all(reader, 3))
        assert one.share("a") == 3
        await reader.stop()
    assert other.of == {}


async def test_a_partition_that_was_taken_away_cannot_be_sought(log_url: str, topic: str, opened: OpenLog) -> None:
    await opened(log_url)
    reader = open_reader(log_url, "test", "a", _from_the_start, _let_go, topic=topic)
    await reader.start()
    await eventually(lambda: _has_all(reader, 3))
    await reader.stop()
    with pytest.raises(Fenced):
        await reader.seek(0, 0)
    with pytest.raises(LogUnavailable):
        await reader.read(1, SOON)


async def _from_the_start(partitions: frozenset[int]) -> Mapping[int, int]:
    return dict.fromkeys(partitions, 0)


async def _let_go(partitions: frozenset[int]) -> None:
    pass


async def _has_all(reader: LogReader, count: int) -> bool:
    await reader.read(1, timedelta(seconds=0.2))
    return len(reader.assigned()) == count


# --- members that are processes ---------------------------------------------------------------------------------------


class Process:
    """`tests.contracts.log_member` as a process, and what it has said."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.log_member", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._listener = asyncio.create_task(asyncio.to_thread(self._listen))

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.strip())

    def has_said(self, words: str) -> bool:
        return any(line.startswith(words) for line in self.said)

    def owns(self) -> set[int]:
        """The partitions it was assigned and has not given back."""
        owned: set[int] = set()
        for line in list(self.said):
            event, _, partitions = line.partition(" ")
            if event == "assigned":
                owned |= set(json.loads(partitions))
            elif event == "revoked":
                owned -= set(json.loads(partitions))
        return owned

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def go_on(self) -> None:
        """Let a member that holds write what it has read."""
        assert self._process.stdin is not None
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()

    async def end(self) -> None:
        self._process.kill()
        await self._listener
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


Spawn = Callable[..., Process]


@pytest.fixture
async def spawn(log_url: str, topic: str, database_url: str) -> AsyncIterator[Spawn]:
    """Starts members by name; all are killed in the end."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(EFFECTS)
    await connection.close()
    started: list[Process] = []

    def start(name: str, *arguments: str) -> Process:
        process = Process(log_url, topic, database_url, name, *arguments)
        started.append(process)
        return process

    yield start
    for process in started:
        await process.end()


async def _effects(database_url: str) -> list[tuple[str, str]]:
    """(value, member) of each, in order."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT value, member FROM effects ORDER BY value")
    await connection.close()
    return [(row["value"], row["member"]) for row in rows]


def _one_for_each(partitions: int, name: str) -> list[Record]:
    return [Record(key_in(partition, partitions), f"{name} {partition}".encode()) for partition in range(partitions)]


async def test_the_partitions_of_a_killed_member_are_taken_over_within_15_seconds(
    log_url: str, topic: str, database_url: str, opened: OpenLog, spawn: Spawn
) -> None:
    log = await opened(log_url, partitions=2)
    one, other = spawn("one"), spawn("other")
    await eventually(lambda: sorted([one.owns(), other.owns()], key=sum) == [{0}, {1}], timedelta(seconds=40))
    await log.append(_one_for_each(2, "before"))
    await eventually(lambda: _count(database_url, 2))

    one.signal(signal.SIGKILL)
    await log.append(_one_for_each(2, "after"))
    await eventually(lambda: _count(database_url, 4), TAKEOVER)
    effects = await _effects(database_url)
    assert [value for value, _ in effects] == ["after 0", "after 1", "before 0", "before 1"]
    assert [member for _, member in effects[:2]] == ["other", "other"]


async def test_a_member_that_was_stopped_in_the_middle_of_a_batch_and_goes_on_is_fenced(
    log_url: str, topic: str, database_url: str, opened: OpenLog, spawn: Spawn
) -> None:
    log = await opened(log_url, partitions=1)
    zombie = spawn("zombie", "hold")
    await eventually(lambda: zombie.owns() == {0})
    await log.append(_one_for_each(1, "first"))
    await eventually(lambda: zombie.has_said("holding"))
    zombie.signal(signal.SIGSTOP)

    heir = spawn("heir")
    await eventually(lambda: heir.owns() == {0}, timedelta(seconds=40))
    await eventually(lambda: _count(database_url, 1))
    zombie.go_on()
    zombie.signal(signal.SIGCONT)
    await eventually(lambda: zombie.has_said("fenced"))
    await log.append(_one_for_each(1, "second"))
    await eventually(lambda: _count(database_url, 2))
    assert await _effects(database_url) in (
        [("first 0", "heir"), ("second 0", "heir")],
        [("first 0", "heir"), ("second 0", "zombie")],  # it has joined again and got its share
    )


async def test_a_member_restarted_under_its_name_goes_on_where_it_was_killed(
    log_url: str, topic: str, database_url: str, opened: OpenLog, spawn: Spawn
) -> None:
    log = await opened(log_url, partitions=2)
    first = spawn("one")
    await eventually(lambda: first.owns() == {0, 1}, timedelta(seconds=40))
    await log.append(_one_for_each(2, "before"))
    await eventually(lambda: _count(database_url, 2))
    first.signal(signal.SIGKILL)
    again = spawn("one")
    await log.append(_one_for_each(2, "later"))
    await eventually(lambda: _count(database_url, 4), TAKEOVER)
    assert again.owns() == {0, 1}
    assert [value for value, _ in await _effects(database_url)] == ["before 0", "before 1", "later 0", "later 1"]


async def _count(database_url: str, count: int) -> bool:
    return len(await _effects(database_url)) >= count
