"""The edge to the outside, on raw ASGI: finds the handler of a path, reads bodies within bounds, says why not.

A framework would cost more here than all the rest of ingest. Nothing that is received may lead to an unanswered request
or to an answer above 499, but for a log or keys that are away, or too much at once.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from plumbing.clock import monotonic
from plumbing.telemetry import INGEST_SECONDS, Action, log
from services.ingest.body import decompress, too_large
from services.ingest.cors import cors_headers, preflight
from services.ingest.http import Head, Response
from services.ingest.problem import INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, OVERLOADED, Refusal
from services.serving.asgi import Receive, Scope, Send

Handler = Callable[[Head, "Body"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """What a path does for each method, and whether pages of other origins may call it."""

    methods: Mapping[str, Handler]
    browsers: bool = False


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Edge:
    """The ASGI application of the HTTP side: `routes` by path, exact."""

    def __init__(self, routes: Mapping[str, Route], body_limit: int, room: "Room") -> None:
        """`body_limit`: bytes of one body, decompressed; `room`: for all those in hand at once."""
        self._routes = routes
        self._body_limit = body_limit
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = monotonic()
        head = Head(scope["method"], scope["path"], scope["query_string"], dict(scope["headers"]))
        route = self._routes.get(head.path)
        body = Body(receive, head, self._body_limit, self._room)
        try:
            response = await _answer(route, head, body)
        except ClientGoneError:
            return
        finally:
            body.forget()
        headers = [(b"content-type", response.content_type), (b"content-length", b"%d" % len(response.body))]
        headers += response.headers
        if route is not None and route.browsers and b"origin" in head.headers:
            headers += cors_headers(head)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})
        _observe(head.path if route else "none", response.status)(monotonic() - began)


async def _answer(route: Route | None, head: Head, body: "Body") -> Response:
    try:
        return await _handle(route, head, body)
    except Refusal as refusal:
        return refusal.response()
    except ClientGoneError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge is where whatever was not foreseen becomes an answer
        log(Action.REQUEST_FAILED, logging.ERROR, exc=error)
        return Refusal(INTERNAL).response()


async def _handle(route: Route | None, head: Head, body: "Body") -> Response:
    if route is None:
        raise Refusal(NOT_FOUND)
    handler = route.methods.get(head.method)
    if handler is not None:
        return await handler(head, body)
    if head.method == "OPTIONS" and route.browsers:
        return preflight(head, route.methods)
    raise Refusal(METHOD_NOT_ALLOWED, headers=((b"allow", ", ".join(route.methods).encode()),))


@lru_cache  # finding the series of some labels costs more than counting
def _observe(route: str, status: int) -> Callable[[float], None]:
    return INGEST_SECONDS.labels(route, str(status)).observe


class Room:
    """The bytes of bodies that are in hand: bounded, so that a flood is answered with 503 while there is memory."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    def take(self, size: int) -> None:
        """Raises `Refusal` (overloaded), and takes nothing then."""
        if self._taken + size > self._limit:
            raise Refusal(OVERLOADED)
        self._taken += size

    def give_back(self, size: int) -> None:
        self._taken -= size


class Body:
    """The body of one request, not read yet."""

    __slots__ = ("_head", "_held", "_limit", "_receive", "_room")

    def __init__(self, receive: Receive, head: Head, limit: int, room: Room) -> None:
        self._receive = receive
        self._head = head
        self._limit = limit
        self._room = room
        self._held = 0

    async def read(self) -> bytes:
        """All of it, decompressed. Its room is kept until `forget`.

        Raises `Refusal`: body-too-large, bad-encoding, unsupported-content-encoding, overloaded; `ClientGoneError`.
        """
        declared = self._head.headers.get(b"content-length", b"0")
        if len(declared) > 18 or int(declared) > self._limit:
            raise too_large(self._limit)
        chunk, more = await self._next()
        if more:
            chunk = await self._rest(bytearray(chunk))
        encoding = self._head.headers.get(b"content-encoding")
        if not encoding:
            return chunk
        plain = decompress(chunk, encoding, self._limit)
        self._hold(len(plain))
        return plain

    def forget(self) -> None:
        """Give the room back."""
        self._room.give_back(self._held)
        self._held = 0

    async def _rest(self, whole: bytearray) -> bytes:
        more = True
        while more:
            chunk, more = await self._next()
            whole += chunk
            if len(whole) > self._limit:
                raise too_large(self._limit)
        return bytes(whole)

    async def _next(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        self._hold(len(chunk))
        return chunk, message.get("more_body", False)

    def _hold(self, size: int) -> None:
        self._room.take(size)
        self._held += size
