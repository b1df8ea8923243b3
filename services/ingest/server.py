"""uvicorn as ingest runs it: with time limits that it does not have, and an end that is no failure.

uvicorn closes a connection that is idle between requests, but never one that sends nothing at all or stops half-way
through a request. `TimedProtocol` notes since when each connection owes the rest of a request; a sweep closes those
that owe it for too long. So slow senders cost a file descriptor for a bounded time, and no request a timer.
"""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from journey.errors import Misconfigured
from plumbing.clock import monotonic

HEAD_LIMIT = 65_536
"""Bytes of a request's head; the parser has no limit of its own."""

_BACKLOG = 2_048
_KEEP_ALIVE_SECONDS = 30
_SWEEP_SECONDS = 1.0

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class TimedProtocol(HttpToolsProtocol):
    """A connection that knows since when it owes us the rest of a request."""

    owing_since: float | None = None
    """By the monotonic clock; None while nothing is owed."""

    _head_bytes: int | None = 0
    """Received of a head that is not complete; None once it is."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.owing_since = monotonic()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.owing_since is not None and self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT:
                self.refuse(_HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.owing_since = monotonic()
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head_bytes = None

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.owing_since = None

    def refuse(self, answer: bytes) -> None:
        """End the connection, with this answer unless another one has begun."""
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(answer)
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn that closes slow connections and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, time_limit: timedelta) -> None:
        super().__init__(config)
        self._time_limit = time_limit.total_seconds()
        self._sweep_due = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def stop(self) -> None:
        """Accept nothing more, finish what has begun, and let `serve` return."""
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if (now := monotonic()) >= self._sweep_due:
            self._sweep_due = now + _SWEEP_SECONDS
            for connection in list(self.server_state.connections):
                since = getattr(connection, "owing_since", None)
                if since is not None and now - since > self._time_limit:
                    connection.refuse(_TOO_SLOW)  # type: ignore[union-attr]
        return await super().on_tick(counter)


def make_server(app: Any, time_limit: timedelta, drain_limit: timedelta) -> Server:
    """A server for an ASGI application without lifespan.

    A request must be in within `time_limit`; a stop waits at most `drain_limit` for those that are.
    """
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(drain_limit.total_seconds())),
    )
    return Server(config, time_limit)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `port` 0 takes a free one. Raises `Misconfigured` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from None
