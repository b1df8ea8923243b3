"""What ingest is measured against: the least that could be called the same on the same parts.

`python -m tests.benchmarks.bare_ingest PORT BOOTSTRAP TOPIC` serves on raw ASGI

- GET /hello: a constant answer;
- POST /bare: an array of events decoded and encoded by msgspec, sent as one batch, acknowledged when Kafka has it.
  No key, no source, no check of anything, no routing of a customer to a partition.
"""

import sys
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any

import msgspec
import uvicorn
from aiokafka import AIOKafkaProducer

Message = dict[str, Any]


class Event(msgspec.Struct):
    id: str
    type: str
    occurred_at: str
    channel: str
    identifiers: dict[str, str]
    properties: dict[str, Any]
    context: dict[str, Any]


class Bare:
    """The ASGI application."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._decode = msgspec.json.Decoder(list[Event]).decode
        self._encode = msgspec.json.Encoder().encode

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"] == "/hello":
            await _answer(send, 200, b'{"hello":"world"}')
        else:
            await self._take(await _body(receive))
            await _answer(send, 202, b'{"accepted":500}')

    async def _lifespan(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", enable_idempotence=True, max_batch_size=1_000_000
        )
        await self._producer.start()
        self._partitions = cycle(sorted(await self._producer.partitions_for(self._topic)))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._producer.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _take(self, body: bytes) -> None:
        batch = self._producer.create_batch()
        for event in self._decode(body):
            batch.append(key=None, value=self._encode(event), timestamp=None)
        await (await self._producer.send_batch(batch, self._topic, partition=next(self._partitions)))


async def _body(receive: Callable[[], Awaitable[Message]]) -> bytes:
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message["body"])
        more = message["more_body"]
    return b"".join(chunks)


async def _answer(send: Callable[[Message], Awaitable[None]], status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    port, bootstrap, topic = sys.argv[1:]
    uvicorn.run(Bare(bootstrap, topic), port=int(port), log_level="warning", access_log=False)
