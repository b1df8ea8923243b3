"""Reading, on both adapters: from the positions given, to an end that the log has confirmed, or a loud error."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from journey.errors import LogUnavailable, Misconfigured, OurFault, StoreUnavailable, WrongLog
from plumbing.log import open_reader
from plumbing.log.port import Extent, LogReader, Record
from tests.contracts.conftest import OpenLog, Server
from tests.contracts.log_reading import SOON, key_in, read_these, read_until, reading, records, values
from tests.support.waiting import eventually

AT_ONCE = timedelta(0)


async def test_reading_begins_at_the_positions_given(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url, partitions=1)
    await log.append(records(10))
    async with reading(log_url, topic, start={0: 7}) as reader:
        (read,) = await read_until(reader, 3)
    assert [(record.offset, record.value) for record in read.records] == [(7, b"7"), (8, b"8"), (9, b"9")]
    assert (read.partition, read.next_offset, read.end_offset, read.caught_up) == (0, 10, 10, True)


async def test_a_reader_goes_back_where_it_is_told_to(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url, partitions=1)
    await log.append(records(10))
    async with reading(log_url, topic) as reader:
        await read_until(reader, 10)
        await reader.seek(0, 4)
        assert values(await read_until(reader, 6)) == [b"4", b"5", b"6", b"7", b"8", b"9"]


async def test_no_more_is_returned_than_asked_for_and_the_rest_afterwards(
    log_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(log_url)
    await log.append(records(100))
    got: list[bytes] = []
    async with reading(log_url, topic) as reader:

        async def all_came() -> bool:
            reads = await reader.read(7, SOON)
            assert sum(len(read.records) for read in reads) <= 7
            assert all(read.end_offset > read.next_offset or read.caught_up for read in reads)
            got.extend(values(reads))
            return len(got) >= 100

        await eventually(all_came)
    assert sorted(got, key=int) == [record.value for record in records(100)]


async def test_the_end_of_a_partition_is_reached_when_the_log_says_so(
    log_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(log_url)
    await log.append(records(30))
    async with reading(log_url, topic) as reader:
        assert reader.at_end() == frozenset()
        await read_until(reader, 30)
        await eventually(lambda: _reaches_the_end(reader, {0, 1, 2}))
        await log.append([Record(key_in(1, 3), b"one more")])
        await eventually(lambda: reader.read(1, SOON))
        await eventually(lambda: _reaches_the_end(reader, {0, 1, 2}))


async def _reaches_the_end(reader: LogReader, partitions: set[int]) -> bool:
    assert await reader.read(1000, timedelta(seconds=0.5)) == []
    return reader.at_end() == partitions


async def test_the_extent_tells_what_the_log_holds(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url, partitions=2)
    await log.append([Record(key_in(1, 2), b"x")] * 5)
    async with reading(log_url, topic) as reader:
        assert await reader.extents(frozenset({0, 1})) == {0: Extent(0, 0), 1: Extent(0, 5)}


async def test_a_position_past_the_end_is_another_log(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url, partitions=1)
    await log.append(records(10))
    async with reading(log_url, topic, start={0: 11}) as reader:
        with pytest.raises(WrongLog, match=r"(?i)partition 0"):
            await eventually(lambda: reader.read(10, SOON))


async def test_a_position_that_the_log_no_longer_holds_is_an_error_but_a_first_reader_begins_where_it_can(
    log_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(log_url, partitions=1)
    await log.append(records(10))
    await _forget_before(log_url, topic, 6)
    async with reading(log_url, topic, start={0: 3}) as reader:
        with pytest.raises(WrongLog):
            await eventually(lambda: reader.read(10, SOON))
    async with reading(log_url, topic, group="another") as reader:
        assert values(await read_until(reader, 4)) == [b"6", b"7", b"8", b"9"]


async def test_a_topic_made_again_is_another_log(log_url: str, topic: str, opened: OpenLog) -> None:
    await opened(log_url)
    async with reading(log_url, topic) as reader:
        before = reader.log_id
    async with reading(log_url, topic) as reader:
        assert reader.log_id == before
    await _delete(log_url, topic)
    await eventually(lambda: _opens(log_url, opened))
    async with reading(log_url, topic) as reader:
        assert reader.log_id != before


async def test_a_topic_that_is_absent_cannot_be_read(log_url: str, topic: str) -> None:
    with pytest.raises(Misconfigured, match=topic):
        async with reading(log_url, topic):
            pass


async def test_what_the_assignment_raises_is_raised_by_read_and_tried_again_by_the_next(
    log_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(log_url)
    await log.append(records(10))
    faults = [StoreUnavailable(), StoreUnavailable()]

    async def assigned(partitions: frozenset[int]) -> Mapping[int, int]:
        if faults:
            raise faults.pop()
        return {}

    async def revoked(partitions: frozenset[int]) -> None:
        pass

    reader = open_reader(log_url, "test", "one", assigned, revoked, topic=topic)
    await reader.start()
    raised = 0
    read: list[bytes] = []

    async def all_came() -> bool:
        nonlocal raised
        try:
            read.extend(values(await reader.read(100, SOON)))
        except StoreUnavailable:
            raised += 1
        return len(read) == 10

    await eventually(all_came)
    assert raised == 2
    await reader.stop()


async def test_a_reader_can_be_started_again(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url)
    await log.append(records(10))
    async with reading(log_url, topic) as reader:
        assert len(values(await read_until(reader, 10))) == 10
        await reader.commit(dict.fromkeys(reader.assigned(), 1))
        await reader.stop()
        await reader.start()
        assert len(values(await read_until(reader, 10))) == 10


async def test_a_paused_server_is_not_taken_for_the_end_and_read_on_afterwards(
    own_server: Server, topic: str, opened: OpenLog
) -> None:
    log = await opened(own_server.url)
    await log.append([Record(b"k", b"before")])
    async with reading(own_server.url, topic) as reader:
        await read_these(reader, {b"before"})
        own_server.signal(signal.SIGSTOP)
        try:
            await _nothing_or_a_fault(reader)  # an answer may have been on its way
            await _nothing_or_a_fault(reader)
            assert reader.at_end() == frozenset()
        finally:
            own_server.signal(signal.SIGCONT)
        await eventually(log.healthy, timedelta(seconds=40))
        await log.append([Record(b"k", b"after")])
        await eventually(lambda: _reads_without_fault(reader), timedelta(seconds=40))


async def _nothing_or_a_fault(reader: LogReader) -> None:
    with suppress(LogUnavailable):
        assert await reader.read(10, SOON) == []


async def _reads_without_fault(reader: LogReader) -> bool:
    try:
        return b"after" in values(await reader.read(10, SOON))
    except LogUnavailable:
        return False


async def _opens(url: str, opened: OpenLog) -> bool:
    """Kafka deletes a topic by and by."""
    try:
        await opened(url)
    except OurFault:
        return False
    return True


async def _forget_before(url: str, topic: str, offset: int) -> None:
    """Have the log drop the records of partition 0 before `offset`, as retention does."""
    if url.startswith("kafka"):
        admin = AIOKafkaAdminClient(bootstrap_servers=url.removeprefix("kafka://"))
        await admin.start()
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
        await admin.close()
        return
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE log_heads SET first_offset = $1", offset)
    await connection.execute("DELETE FROM log_records WHERE log_offset < $1", offset)
    await connection.close()


async def _delete(url: str, topic: str) -> None:
    if url.startswith("kafka"):
        admin = AIOKafkaAdminClient(bootstrap_servers=url.removeprefix("kafka://"))
        await admin.start()
        await admin.delete_topics([topic])
        await admin.close()
        return
    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM log_topics WHERE name = $1", topic)
    await connection.close()
