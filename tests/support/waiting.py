"""Waiting for something to become true, instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from inspect import isawaitable
from typing import Any, TypeVar, overload

from plumbing.clock import monotonic

Value = TypeVar("Value")
A_WHILE = timedelta(seconds=20)


@overload
async def eventually(look: Callable[[], Awaitable[Value]], within: timedelta = ...) -> Value: ...
@overload
async def eventually(look: Callable[[], Value], within: timedelta = ...) -> Value: ...


async def eventually(look: Callable[[], Any], within: timedelta = A_WHILE) -> Any:
    """The first true value that `look` gives.

    `look` may be async. An `AssertionError` that it raises counts as not yet; the last one is raised when time is up.
    Raises `AssertionError` when no true value came within the deadline.
    """
    until = monotonic() + within.total_seconds()
    pause = 0.01
    while True:
        late = monotonic() > until
        try:
            seen = look()
            value = await seen if isawaitable(seen) else seen
        except AssertionError:
            if late:
                raise
        else:
            if value:
                return value
            assert not late, f"not within {within.total_seconds():g} s; last seen: {value!r}"
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)
