"""The feed as server-sent events: one reader a process, and a bounded queue for each client.

A client gets first what it missed, from the store, and then what the reader finds. One that does not keep up is cut
off; it connects again with the number of the last event it saw, and misses and repeats nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import msgspec

from journey.errors import StoreUnavailable
from plumbing.store.engine import Engine
from plumbing.store.reading.connection import reading
from plumbing.store.reading.feed import FeedBell, Message, kept, messages_after
from plumbing.telemetry import STREAM_SUBSCRIBERS, Action, log
from services.api.answers import Change
from services.serving.asgi import Receive, Send

HEARTBEAT_EVERY = timedelta(seconds=15)
"""A comment keeps proxies from closing a stream on which nothing happens."""

SENT_WITHIN = timedelta(seconds=30)
"""A client that takes longer to read is gone."""

RETRY_MILLISECONDS = 2_000
QUEUED_AT_MOST = 1_000
READ_AT_ONCE = 500

_HEARTBEAT = b": still here\n\n"


class Subscriber:
    """A client's queue. It begins behind the message `joined_at`."""

    def __init__(self, joined_at: int) -> None:
        self.joined_at = joined_at
        self._queue: deque[bytes] = deque()
        self._woken = asyncio.Event()
        self._ended = False

    def put(self, event: bytes) -> None:
        if len(self._queue) >= QUEUED_AT_MOST:
            self.end()
        else:
            self._queue.append(event)
            self._woken.set()

    def end(self) -> None:
        """Let `take` return None from now on."""
        self._ended = True
        self._woken.set()

    @property
    def ended(self) -> bool:
        return self._ended

    async def take(self) -> bytes | None:
        """What is to be sent next, at the latest after `HEARTBEAT_EVERY`; None when it has ended."""
        if not self._queue and not self._ended:
            try:
                await asyncio.wait_for(self._woken.wait(), HEARTBEAT_EVERY.total_seconds())
            except TimeoutError:
                return _HEARTBEAT
        self._woken.clear()
        if self._ended:
            return None
        events = b"".join(self._queue)
        self._queue.clear()
        return events


class Stream:
    """Reads the feed and tells it to whoever subscribed. `follow` must run meanwhile."""

    def __init__(self, engine: Engine, bell: FeedBell) -> None:
        self._engine = engine
        self._bell = bell
        self._position: int | None = None
        self._subscribers: set[Subscriber] = set()
        self._closed = False

    async def follow(self) -> None:
        """Read until cancelled. While Postgres is away the streams stand still, and that is logged once."""
        away = False
        while True:
            try:
                await self._read()
                away = False
            except StoreUnavailable as error:
                if not away:
                    log(Action.FEED_NOT_READ, logging.WARNING, exc=error)
                away = True
            await self._bell.wait()

    def close(self) -> None:
        """End every stream, and each that would begin: the process stops. Clients connect to another one."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.end()

    async def serve(self, receive: Receive, send: Send, after: int | None, allowed: Callable[[], bool]) -> None:
        """Answer a request with the events behind number `after` (None: with new ones only), for as long as it lasts.

        It ends when the client goes or is too slow, when it is no longer `allowed`, and at `close`. Raises
        `StoreUnavailable` before anything was sent.
        """
        subscriber = self._subscribe()
        leaving = asyncio.create_task(_until_gone(receive, subscriber))
        STREAM_SUBSCRIBERS.inc()
        try:
            missed = self._missed(subscriber, after)
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _send_all(send, subscriber, missed, allowed)
        finally:
            STREAM_SUBSCRIBERS.dec()
            self._subscribers.discard(subscriber)
            leaving.cancel()

    def _subscribe(self) -> Subscriber:
        if self._position is None:
            raise StoreUnavailable("the feed was not read yet")
        subscriber = Subscriber(self._position)
        if self._closed:
            subscriber.end()
        self._subscribers.add(subscriber)
        return subscriber

    async def _read(self) -> None:
        async with reading(self._engine) as connection:
            if self._position is None:
                self._position = (await kept(connection)).last
            more = True
            while more:
                messages = await messages_after(connection, self._position, READ_AT_ONCE)
                for message in messages:
                    self._position = message.feed_seq
                    self._tell(event_of(message))
                more = len(messages) == READ_AT_ONCE

    def _tell(self, event: bytes) -> None:
        for subscriber in self._subscribers:
            subscriber.put(event)

    async def _missed(self, subscriber: Subscriber, after: int | None) -> AsyncIterator[bytes]:
        """What a client asks for and the reader had told before it came."""
        yield b"retry: %d\n\n" % RETRY_MILLISECONDS
        if after is None:
            return
        async with reading(self._engine) as connection:
            there = await kept(connection)
        if not there.before <= after <= there.last:
            yield b'id: %d\nevent: reset\ndata: {"next":%d}\n\n' % (subscriber.joined_at, subscriber.joined_at)
            return
        while after < subscriber.joined_at:
            async with reading(self._engine) as connection:
                messages = await messages_after(connection, after, READ_AT_ONCE)
            if not messages:
                return
            after = messages[-1].feed_seq
            yield b"".join(event_of(message) for message in messages if message.feed_seq <= subscriber.joined_at)


_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would gather events instead of passing them on
]

_encode = msgspec.json.Encoder().encode


def change_of(message: Message) -> Change:
    """A message as it is answered; its `data` is JSON already."""
    data: Any = msgspec.Raw(message.body)
    return Change(
        feed_seq=message.feed_seq,
        id=message.message.hex(),
        journey=message.journey,
        written_at=message.written_at,
        data=data,
    )


def event_of(message: Message) -> bytes:
    return b"id: %d\nevent: change\ndata: %b\n\n" % (message.feed_seq, _encode(change_of(message)))


async def _until_gone(receive: Receive, subscriber: Subscriber) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscriber.end()


async def _send_all(
    send: Send, subscriber: Subscriber, missed: AsyncIterator[bytes], allowed: Callable[[], bool]
) -> None:
    async def forward(events: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(SENT_WITHIN.total_seconds()):
            await send({"type": "http.response.body", "body": events, "more_body": more})

    async for events in missed:
        if subscriber.ended:
            break
        await forward(events)
    while allowed() and (chunk := await subscriber.take()) is not None:
        await forward(chunk)
    await forward(b"", more=False)
