"""Appends that wait: settled once, by their last part, their first fault or their deadline."""

import asyncio
from datetime import timedelta

import pytest

from journey.errors import LogUnavailable
from plumbing.log.acknowledgement import Outstanding

LONG = timedelta(minutes=1)


async def test_an_append_is_settled_by_its_last_part() -> None:
    acknowledgement = Outstanding(LONG).open(200, parts=2)
    acknowledgement.part_done()
    assert not acknowledgement.settled
    acknowledgement.part_done()
    await acknowledgement.waiter


async def test_one_part_that_fails_leaves_the_whole_unknown() -> None:
    acknowledgement = Outstanding(LONG).open(200, parts=2)
    acknowledgement.fail("why")
    acknowledgement.part_done()
    with pytest.raises(LogUnavailable, match="why"):
        await acknowledgement.waiter


async def test_without_an_answer_the_deadline_settles_it() -> None:
    acknowledgement = Outstanding(timedelta(milliseconds=50)).open(100, parts=1)
    with pytest.raises(LogUnavailable):
        await acknowledgement.waiter
    acknowledgement.part_done()  # too late: it was told as unknown


async def test_what_waits_is_bounded_and_room_comes_back_when_it_is_settled() -> None:
    outstanding = Outstanding(LONG, limit_bytes=250)
    first = outstanding.open(200, parts=1)
    with pytest.raises(LogUnavailable, match="nothing of this was sent"):
        outstanding.open(100, parts=1)
    first.part_done()
    outstanding.open(200, parts=1).part_done()


async def test_one_append_larger_than_the_bound_still_passes_alone() -> None:
    Outstanding(LONG, limit_bytes=10).open(100, parts=1).part_done()


async def test_closing_waits_for_what_is_outstanding() -> None:
    outstanding = Outstanding(LONG)
    acknowledgement = outstanding.open(100, parts=1)
    closing = asyncio.create_task(outstanding.settled())
    await asyncio.sleep(0)
    assert not closing.done()
    acknowledgement.part_done()
    await closing
