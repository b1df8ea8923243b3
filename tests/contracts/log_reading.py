"""Records to append, and readers that remember."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from plumbing.log import open_reader
from plumbing.log.partitioner import partition_of
from plumbing.log.port import LogReader, Read, Record
from tests.support.waiting import eventually

SOON = timedelta(seconds=1)
HEADERS = (("ce_id", b"1"), ("content-type", b"application/json"))


def records(count: int, key: str = "email:customer") -> list[Record]:
    """Different keys, so that all partitions get some; the value tells the place in the list."""
    return [Record(f"{key}{number}".encode(), f"{number}".encode(), HEADERS) for number in range(count)]


def key_in(partition: int, partitions: int) -> bytes:
    """Some key that belongs to this partition."""
    return next(key for n in range(1000) if partition_of(key := f"user_id:{n}".encode(), partitions) == partition)


@asynccontextmanager
async def reading(
    url: str, topic: str, *, group: str = "test", member: str = "one", start: Mapping[int, int] | None = None
) -> AsyncIterator[LogReader]:
    """A reader that begins at `start` (default: at the beginning)."""

    async def on_assigned(partitions: frozenset[int]) -> Mapping[int, int]:
        return {partition: (start or {}).get(partition, 0) for partition in partitions}

    async def on_revoked(_: frozenset[int]) -> None:
        pass

    reader = open_reader(url, group, member, on_assigned, on_revoked, topic=topic)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def read_until(reader: LogReader, count: int, rounds: int = 60) -> list[Read]:
    """At least `count` records, or whatever came within so many rounds of a second."""
    reads: list[Read] = []
    for _ in range(rounds):
        reads += await reader.read(1000, SOON)
        if sum(len(read.records) for read in reads) >= count:
            break
    return reads


async def read_these(reader: LogReader, wanted: set[bytes]) -> None:
    """Read until all `wanted` values have come. Raises `AssertionError` when they don't."""
    seen: set[bytes] = set()

    async def all_came() -> bool:
        seen.update(values(await reader.read(1000, SOON)))
        return wanted <= seen

    await eventually(all_came, timedelta(seconds=40))


def values(reads: list[Read]) -> list[bytes]:
    return [record.value for read in reads for record in read.records]


def values_by_partition(reads: list[Read]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for read in reads:
        found.setdefault(read.partition, []).extend(record.value for record in read.records)
    return found
