"""What a profile is measured against: the least that could be called a read by key.

`python -m tests.benchmarks.bare_reads PORT DATABASE_URL` serves on raw ASGI

- GET /hello: a constant answer;
- GET /N: the state of the customer with the number N, as it is stored, read by a pooled asyncpg connection.
  No token, no identity, no journey, no JSON.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import uvicorn

Message = dict[str, Any]


class Bare:
    """The ASGI application."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == "/hello":
            await _answer(send, b'{"hello":"world"}')
        else:
            customer = int(scope["path"][1:])
            await _answer(send, await self._pool.fetchval("SELECT state FROM customers WHERE customer = $1", customer))

    async def _lifespan(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        self._pool = await asyncpg.create_pool(self._database_url)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._pool.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Callable[[Message], Awaitable[None]], body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    port, database_url = sys.argv[1:]
    uvicorn.run(Bare(database_url), port=int(port), log_level="warning", access_log=False)
