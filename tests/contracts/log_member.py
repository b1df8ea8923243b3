"""A small stager as a process of its own, to be killed and stopped: `python -m tests.contracts.log_member …`.

It claims the partitions it is given, reads, and writes each record into the table `effects` in the transaction that
moves the position. It says what happens as words on standard output, one line each. With `hold` as its last argument it
says `holding` when it has read its first records, and goes on when it gets a line on standard input.
"""

import asyncio
import sys
from collections.abc import Mapping
from datetime import timedelta

from journey.errors import Fenced
from plumbing.clock import now
from plumbing.log import open_reader
from plumbing.log.port import LogReader, Read
from plumbing.store import positions
from plumbing.store.engine import make_engine, transaction

EFFECTS = "CREATE TABLE effects (partition int, log_offset bigint, value text, member text)"


class Member:
    def __init__(self, url: str, topic: str, database_url: str, name: str, *, hold: bool) -> None:
        self._topic = topic
        self._name = name
        self._hold = hold
        self._engine = make_engine(database_url)
        self._claims: dict[int, positions.Claim] = {}
        self._reader: LogReader = open_reader(url, "test", name, self._assigned, self._revoked, topic=topic)

    async def run(self) -> None:
        await self._reader.start()
        while True:
            reads = await self._reader.read(1000, timedelta(seconds=0.5))
            if reads and self._hold:
                self._hold = False
                say("holding")
                await asyncio.to_thread(sys.stdin.readline)
            try:
                await self._write(reads)
            except Fenced:
                say("fenced")
                await self._reader.stop()
                await self._reader.start()

    async def _assigned(self, partitions: frozenset[int]) -> Mapping[int, int]:
        async with transaction(self._engine) as driver:
            claims = await positions.claim(driver, self._reader.log_id, self._topic, partitions, self._name)
        self._claims.update(claims)
        say(f"assigned {sorted(partitions)}")
        return {partition: claim.next_offset for partition, claim in claims.items()}

    async def _revoked(self, partitions: frozenset[int]) -> None:
        say(f"revoked {sorted(partitions)}")

    async def _write(self, reads: list[Read]) -> None:
        if not reads:
            return
        held = {read.partition: self._claims[read.partition] for read in reads}
        moved = {read.partition: (read.next_offset, now()) for read in reads}
        rows = [(read.partition, r.offset, r.value.decode(), self._name) for read in reads for r in read.records]
        async with transaction(self._engine) as driver:
            await positions.lock(driver, self._topic, held)
            await driver.copy_records_to_table("effects", records=rows)
            await positions.advance(driver, self._topic, moved)
        for partition, (next_offset, _) in moved.items():
            self._claims[partition] = held[partition]._replace(next_offset=next_offset)


def say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - this is how the test hears of it


if __name__ == "__main__":
    asyncio.run(Member(*sys.argv[1:5], hold="hold" in sys.argv[5:]).run())
