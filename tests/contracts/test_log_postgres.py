"""What the log in Postgres owes beyond the contract: no late commit is skipped, and nothing is promised undurably."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from journey.errors import LogUnavailable, Misconfigured
from plumbing.log import open_log
from plumbing.log.port import Record
from plumbing.log.postgres import APPEND, arguments
from plumbing.log.postgres_session import find_topic
from tests.contracts.conftest import OpenLog
from tests.contracts.log_reading import SOON, key_in, read_these, read_until, reading, records, values
from tests.support.waiting import eventually


async def test_a_record_that_commits_late_is_never_skipped(database_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(database_url, partitions=2)
    await log.append([Record(key_in(0, 2), b"first")])
    late = await asyncpg.connect(database_url)
    async with reading(database_url, topic) as reader:
        await read_these(reader, {b"first"})

        transaction = late.transaction()
        await transaction.start()
        await late.execute(APPEND, *arguments(await find_topic(late, topic), [Record(key_in(0, 2), b"late")]))
        behind = asyncio.create_task(log.append([Record(key_in(0, 2), b"behind")]))
        await eventually(lambda: _waits_for_a_lock(database_url))
        assert await reader.read(10, SOON) == []
        assert not behind.done()

        await transaction.commit()
        await behind
        assert values(await read_until(reader, 2)) == [b"late", b"behind"]
    await late.close()


async def test_a_rollback_leaves_no_gap(database_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(database_url, partitions=1)
    await log.append([Record(b"k", b"first")])
    connection = await asyncpg.connect(database_url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(APPEND, *arguments(await find_topic(connection, topic), [Record(b"k", b"never")]))
    await transaction.rollback()
    await connection.close()
    await log.append([Record(b"k", b"second")])
    async with reading(database_url, topic) as reader:
        (read,) = await read_until(reader, 2)
    assert [(record.offset, record.value) for record in read.records] == [(0, b"first"), (1, b"second")]


async def test_several_appenders_give_every_offset_once_and_never_lock_each_other_out(
    database_url: str, topic: str, opened: OpenLog
) -> None:
    logs = [await opened(database_url, partitions=6) for _ in range(4)]
    batches = [records(25, f"caller{number}:") for number in range(40)]
    await asyncio.gather(*(logs[n % 4].append(batch[::-1] if n % 2 else batch) for n, batch in enumerate(batches)))
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "SELECT count(*), count(DISTINCT log_offset), min(log_offset), max(log_offset), max(next_offset) AS head "
        "FROM log_records JOIN log_heads USING (topic, partition) GROUP BY partition"
    )
    await connection.close()
    assert sum(row["count"] for row in rows) == 1000
    for row in rows:
        assert tuple(row) == (row["head"], row["head"], 0, row["head"] - 1, row["head"])


async def test_an_append_behind_a_lock_is_unknown_after_the_deadline_and_the_log_recovers(
    database_url: str, topic: str, opened: OpenLog
) -> None:
    log = await opened(database_url, partitions=1, deadline=timedelta(seconds=1))
    holder = await asyncpg.connect(database_url)
    transaction = holder.transaction()
    await transaction.start()
    await holder.fetch("SELECT * FROM log_heads FOR UPDATE")
    with pytest.raises(LogUnavailable):
        await log.append([Record(b"k", b"unknown")])
    await transaction.rollback()
    await holder.close()
    await log.append([Record(b"k", b"after")])
    assert await log.healthy()


@pytest.mark.parametrize("setting", ["synchronous_commit"])
async def test_a_server_that_could_lose_a_commit_is_refused(database_url: str, topic: str, setting: str) -> None:
    connection = await asyncpg.connect(database_url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET {setting} = off')
    await connection.close()
    log = open_log(database_url, topic)
    with pytest.raises(Misconfigured, match=setting):
        await log.start()
    await log.stop()


async def test_a_database_without_the_tables_is_told(postgres: object, database_url: str, topic: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP TABLE log_topics CASCADE")
    await connection.close()
    log = open_log(database_url, topic)
    with pytest.raises(Misconfigured, match="tables"):
        await log.start()
    await log.stop()


async def test_a_reader_is_woken_by_an_append_and_needs_not_be(database_url: str, topic: str, opened: OpenLog) -> None:
    log = await opened(database_url)
    async with reading(database_url, topic) as reader:
        await eventually(lambda: _places(reader))
        connection = await asyncpg.connect(database_url)
        number = await find_topic(connection, topic)
        await connection.execute(APPEND, *arguments(number, [Record(b"k", b"nobody notifies")]))
        await connection.close()
        await read_these(reader, {b"nobody notifies"})
        await log.append([Record(b"k", b"notified")])
        await read_these(reader, {b"notified"})


async def _places(reader: object) -> bool:
    await reader.read(1, timedelta(0))  # type: ignore[attr-defined]
    return bool(reader.assigned())  # type: ignore[attr-defined]


async def _waits_for_a_lock(database_url: str) -> bool:
    connection = await asyncpg.connect(database_url)
    waiting = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    await connection.close()
    return bool(waiting)
