"""Appending, on both adapters: durable when acknowledged, in order, within a deadline, or an error that says so."""

import asyncio
import signal
from datetime import timedelta

import pytest

from journey.errors import InvalidTouchpoint, LogUnavailable, Misconfigured
from plumbing.log import open_log
from plumbing.log.port import MAX_RECORD_BYTES, EventLog, Record
from tests.contracts.conftest import OpenLog, Server
from tests.contracts.log_reading import (
    HEADERS,
    key_in,
    read_these,
    read_until,
    reading,
    records,
    values,
    values_by_partition,
)
from tests.support.waiting import eventually

SHORT = timedelta(seconds=2)


async def test_what_was_appended_is_read_with_key_value_and_headers(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url)
    sent = records(50)
    await log.append(sent)
    async with reading(log_url, topic) as reader:
        reads = await read_until(reader, 50)
    read = [Record(record.key, record.value, record.headers) for one in reads for record in one.records]
    assert sorted(read) == sorted(sent)


async def test_equal_keys_share_a_partition_and_records_of_one_caller_keep_their_order(
    log_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(log_url)

    async def caller(name: str) -> None:
        for number in range(30):
            await log.append([Record(name.encode(), f"{name} {number}".encode())])

    names = [f"user_id:{number}" for number in range(20)]
    await asyncio.gather(*(caller(name) for name in names))
    async with reading(log_url, topic) as reader:
        read = values_by_partition(await read_until(reader, 600))
    for name in names:
        of_caller = [[v for v in found if v.startswith(f"{name} ".encode())] for found in read.values()]
        assert [found for found in of_caller if found] == [[f"{name} {number}".encode() for number in range(30)]]


async def test_an_append_larger_than_one_batch_is_whole_and_in_order(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url)
    filler = b"x" * 50_000
    await log.append([Record(b"user_id:1", b"%04d %s" % (number, filler)) for number in range(100)])
    async with reading(log_url, topic) as reader:
        read = values(await read_until(reader, 100))
    assert [int(value[:4]) for value in read] == list(range(100))


async def test_a_record_of_the_greatest_size_passes_and_a_larger_one_is_the_callers_fault(
    log_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(log_url)
    largest = Record(b"k", b"x" * (MAX_RECORD_BYTES - 1 - sum(len(n) + len(v) for n, v in HEADERS)), HEADERS)
    with pytest.raises(InvalidTouchpoint, match="/1: is larger than"):
        await log.append([Record(b"k", b"beside it"), largest._replace(value=largest.value + b"x")])
    await log.append([largest])
    async with reading(log_url, topic) as reader:
        assert values(await read_until(reader, 1)) == [largest.value]


async def test_an_append_of_nothing_is_done_at_once(log_url: str, opened: OpenLog) -> None:
    await (await opened(log_url)).append([])


async def test_a_caller_that_goes_away_harms_no_other(log_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(log_url)
    gone = [asyncio.create_task(log.append(records(20))) for _ in range(20)]
    stays = asyncio.create_task(log.append([Record(b"k", b"stays")]))
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    await stays
    await log.append([Record(b"k", b"after")])
    async with reading(log_url, topic) as reader:
        await read_these(reader, {b"stays", b"after"})


async def test_a_topic_that_is_absent_is_an_error_where_it_may_not_be_made(log_url: str, topic: str) -> None:
    log = open_log(log_url, topic, make_topic=False)
    with pytest.raises(Misconfigured, match=topic):
        await log.start()


async def test_two_that_make_the_topic_at_once_agree(log_url: str, topic: str, opened: OpenLog) -> None:
    one, other = await asyncio.gather(opened(log_url, partitions=2), opened(log_url, partitions=2))
    await one.append(records(10))
    await other.append(records(10))
    async with reading(log_url, topic) as reader:
        assert len(values(await read_until(reader, 20))) == 20
        assert reader.assigned() == {0, 1}


@pytest.mark.parametrize("url", ["kafka://127.0.0.1:9", "postgresql://nobody@127.0.0.1:9/nothing"])
async def test_a_server_that_is_not_there_is_unavailable(url: str, topic: str) -> None:
    log = open_log(url, topic, deadline=SHORT)
    with pytest.raises(LogUnavailable):
        await log.start()


# --- a server of one's own --------------------------------------------------------------------------------------------


async def test_what_was_acknowledged_survives_kill_9_of_the_server(
    own_server: Server, topic: str, opened: OpenLog
) -> None:
    log = await opened(own_server.url, deadline=timedelta(seconds=30))
    acknowledged: list[bytes] = []
    unknown: list[bytes] = []
    killed = asyncio.Event()

    async def caller(name: int) -> None:
        number = 0
        while not killed.is_set() or number < 50:
            value = f"{name} {number}".encode()
            try:
                await log.append([Record(f"user_id:{name}".encode(), value)])
                acknowledged.append(value)
            except LogUnavailable:
                unknown.append(value)
            number += 1

    callers = [asyncio.create_task(caller(name)) for name in range(8)]
    await eventually(lambda: len(acknowledged) > 200)
    await own_server.kill_and_start()
    killed.set()
    await asyncio.gather(*callers)
    await eventually(log.healthy)
    await log.append([Record(b"user_id:0", b"after")])
    async with reading(own_server.url, topic) as reader:
        read = values(await read_until(reader, len(acknowledged) + 1))
    assert set(acknowledged) <= set(read) <= {*acknowledged, *unknown, b"after"}


async def test_a_paused_server_is_told_within_the_deadline_and_used_again_afterwards(
    own_server: Server, topic: str, opened: OpenLog
) -> None:
    log = await opened(own_server.url, deadline=SHORT)
    await log.append([Record(b"k", b"before")])
    own_server.signal(signal.SIGSTOP)
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(LogUnavailable):
            await log.append([Record(b"k", b"paused")])
        assert loop.time() - began < 2 * SHORT.total_seconds()
        assert not await log.healthy()
    finally:
        own_server.signal(signal.SIGCONT)
    await eventually(log.healthy, timedelta(seconds=40))
    await eventually(lambda: _appended(log, b"after"), timedelta(seconds=40))
    async with reading(own_server.url, topic) as reader:
        await read_these(reader, {b"before", b"after"})


async def _appended(log: EventLog, value: bytes) -> bool:
    try:
        await log.append([Record(b"k", value)])
    except LogUnavailable:
        return False
    return True


async def test_more_than_fits_is_refused_at_once_while_the_server_hangs(own_server: Server, opened: OpenLog) -> None:
    log = await opened(own_server.url, deadline=SHORT)
    await log.append([Record(b"k", b"before")])
    own_server.signal(signal.SIGSTOP)
    try:
        block = [Record(key_in(number % 3, 3), b"x" * 800_000) for number in range(20)]
        waiting = [asyncio.create_task(log.append(block)) for _ in range(6)]  # 96 MB
        done, _ = await asyncio.wait(waiting, timeout=SHORT.total_seconds() / 4)
        assert [str(task.exception()) for task in done] == [
            "The event log is slower than what comes in; nothing of this was sent"
        ] * 2
        await asyncio.wait(waiting)
    finally:
        own_server.signal(signal.SIGCONT)
    assert all(isinstance(task.exception(), LogUnavailable) for task in waiting)
    await eventually(lambda: _appended(log, b"after"), timedelta(seconds=40))
