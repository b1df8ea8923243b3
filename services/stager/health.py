"""GET /healthz (the process lives), /readyz (it has claimed partitions and gets on) and /metrics, for operators."""

import asyncio
import socket

from plumbing.settings import Settings
from plumbing.telemetry import render_metrics
from services.serving.asgi import Receive, Scope, Send
from services.serving.server import make_server
from services.stager.consume import Consumer


async def serve_health(settings: Settings, listener: socket.socket, consumer: Consumer, stop: asyncio.Event) -> None:
    """Answer on `listener` until `stop` is set."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        status, content_type, body = _answer(scope["path"], consumer)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    server = make_server(app, settings.body_timeout, settings.drain_timeout)
    serving = asyncio.create_task(server.serve([listener]))
    await stop.wait()
    server.stop()
    await serving


def _answer(path: str, consumer: Consumer) -> tuple[int, str, bytes]:
    match path:
        case "/healthz":
            return 200, "text/plain", b"ok\n"
        case "/readyz" if consumer.progress.joined:
            return 200, "text/plain", f"{consumer.horizon.complaint or 'ok'}\n".encode()
        case "/readyz":
            return 503, "text/plain", b"not a member of the group yet\n"
        case "/metrics":
            body, content_type = render_metrics()
            return 200, content_type, body
        case _:
            return 404, "text/plain", b"there is /healthz, /readyz and /metrics\n"
