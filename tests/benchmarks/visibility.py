"""How long after its POST a touchpoint can be seen in the store, at a steady rate of single POSTs.

The row of a touchpoint is committed with its customer's state, in our chain as in the bare one: who sees one sees the
other. Both are watched by the same loop, over one connection to Postgres that asks again and again.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from statistics import quantiles
from typing import NamedTuple

import asyncpg

from plumbing.clock import monotonic

RATE = 200
_CONNECTIONS = 16
_LOOK_EVERY = 0.001
_PATIENCE = 30


class Latency(NamedTuple):
    """In seconds."""

    p50: float
    p99: float


class Chain(NamedTuple):
    """Where a chain takes touchpoints and where they can be seen: `body` makes the request's body for an id."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: Callable[[str], bytes]
    database_url: str
    table: str

    def request(self, id_: str) -> bytes:
        body = self.body(id_)
        given = {"host": "localhost", "content-type": "application/json", **self.headers}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


async def measure(chain: Chain, prefix: str, number: int) -> Latency:
    """POST `number` touchpoints whose ids begin with `prefix`, `RATE` a second; how long each took to be seen."""
    watching = _Watch(chain)
    async with asyncio.timeout(number / RATE + _PATIENCE), asyncio.TaskGroup() as tasks:
        tasks.create_task(watching.look(number))
        free: asyncio.Queue[_Connection] = asyncio.Queue()
        for _ in range(_CONNECTIONS):
            free.put_nowait(_Connection(*await asyncio.open_connection("127.0.0.1", chain.port)))
        began = monotonic()
        for index in range(number):
            await asyncio.sleep(max(0.0, began + index / RATE - monotonic()))
            id_, connection = f"{prefix}-{index}", await free.get()
            watching.sent[id_] = monotonic()
            tasks.create_task(_post(connection, chain.request(id_), free))
    while not free.empty():
        await free.get_nowait().close()
    cuts = quantiles(watching.took, n=100)
    return Latency(cuts[49], cuts[98])


class _Watch:
    """Looks for touchpoints that were sent until all are seen."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._query = f"SELECT id FROM {chain.table} WHERE source = 'shop' AND id = ANY($1)"  # noqa: S608 - our names
        self.sent: dict[str, float] = {}
        self.took: list[float] = []

    async def look(self, number: int) -> None:
        connection = await asyncpg.connect(self._chain.database_url)
        while len(self.took) < number:
            if self.sent:
                rows = await connection.fetch(self._query, list(self.sent))
                seen = monotonic()
                self.took += [seen - self.sent.pop(row["id"]) for row in rows]
            await asyncio.sleep(_LOOK_EVERY)
        await connection.close()


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


async def _post(connection: _Connection, request: bytes, free: "asyncio.Queue[_Connection]") -> None:
    connection.writer.write(request)
    head = (await connection.reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 202"), head
    await connection.reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
    free.put_nowait(connection)
