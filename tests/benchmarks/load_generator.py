"""A load generator for HTTP/1.1 in a process of its own: `python -m tests.benchmarks.load_generator` reads one JSON
object from standard input (see `Load`) and prints one with what it counted.

Each connection sends its next request as soon as it has the answer to the last. It understands what our servers answer:
a status line and a body of known length.
"""

import asyncio
import selectors
import socket
import sys
from asyncio.subprocess import PIPE
from itertools import cycle

import msgspec

from plumbing.clock import monotonic


class Load(msgspec.Struct):
    """What to send: the `bodies` by turns to `path` (or to each of `paths`), on `connections`, for `seconds`."""

    port: int
    path: str
    connections: int
    seconds: float
    bodies: list[str] = []
    headers: dict[str, str] = {}
    paths: list[str] = []


class Counted(msgspec.Struct):
    """Answers of status 2xx, all others, and for how long."""

    good: int
    bad: int
    seconds: float

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.good / self.seconds


class _Connection:
    """One connection: a request under way, or the answer to it."""

    def __init__(self, port: int, requests: "cycle[bytes]") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._requests = requests
        self._unsent = memoryview(b"")
        self._received = b""

    def begin(self) -> None:
        self._unsent = memoryview(next(self._requests))

    def send(self) -> bool:
        """Send what the socket takes; whether that was all."""
        self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return not self._unsent

    def receive(self) -> bool | None:
        """Whether the answer was 2xx; None while it is not complete. Raises `ConnectionError` when there is none."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("the server closed a connection")
        received = self._received = self._received + data
        head = received.find(b"\r\n\r\n")
        if head < 0 or len(received) < head + 4 + _content_length(received[:head]):
            return None
        self._received = b""
        return received[9:10] == b"2"


def _content_length(head: bytes) -> int:
    _, _, rest = head.partition(b"content-length: ")
    return int(rest.partition(b"\r")[0])


def _request(load: Load, path: str, body: str) -> bytes:
    data = body.encode()
    method = "POST" if data else "GET"
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"content-length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in load.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def _send_all(load: Load) -> Counted:
    paths, bodies = load.paths or [load.path], load.bodies or [""]
    requests = cycle([_request(load, path, body) for path in paths for body in bodies])
    counted = Counted(0, 0, 0.0)
    selector = selectors.DefaultSelector()
    began = monotonic()
    for connection in [_Connection(load.port, requests) for _ in range(load.connections)]:
        connection.begin()
        selector.register(connection.socket, selectors.EVENT_WRITE, connection)
    while selector.get_map():
        for key, _ in selector.select():
            _advance(selector, key, counted, began + load.seconds)
    counted.seconds = monotonic() - began
    return counted


def _advance(selector: selectors.BaseSelector, key: selectors.SelectorKey, counted: Counted, until: float) -> None:
    connection: _Connection = key.data
    if key.events == selectors.EVENT_READ:
        good = connection.receive()
        if good is None:
            return
        counted.good += good
        counted.bad += not good
        if monotonic() >= until:
            selector.unregister(connection.socket)
            connection.socket.close()
            return
        connection.begin()
    wanted = selectors.EVENT_READ if connection.send() else selectors.EVENT_WRITE
    if wanted != key.events:
        selector.modify(connection.socket, wanted, connection)


async def generate(load: Load) -> Counted:
    """Run `load` in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.benchmarks.load_generator", stdin=PIPE, stdout=PIPE
    )
    out, _ = await process.communicate(msgspec.json.encode(load))
    assert process.returncode == 0
    return msgspec.json.decode(out, type=Counted)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(_send_all(given)))
