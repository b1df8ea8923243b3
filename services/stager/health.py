"""GET /healthz (the process lives), /readyz (it has claimed partitions and gets on) and /metrics, for operators."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from journey.errors import Misconfigured
from plumbing.settings import Settings
from plumbing.telemetry import render_metrics
from services.stager.consume import Progress

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


async def serve_health(settings: Settings, progress: Progress, stop: asyncio.Event) -> None:
    """Answer on the stager's port until `stop` is set. Raises `Misconfigured` when the port is taken."""

    async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        status, content_type, body = _answer(scope["path"], progress)
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listener = _listen(settings.host, settings.stager_port)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve([listener]))  # noqa: SLF001 - `serve` would take the signals
    await stop.wait()
    server.should_exit = True
    await serving


def _answer(path: str, progress: Progress) -> tuple[int, str, bytes]:
    match path:
        case "/healthz":
            return 200, "text/plain", b"ok\n"
        case "/readyz" if progress.joined:
            return 200, "text/plain", b"ok\n"
        case "/readyz":
            return 503, "text/plain", b"not a member of the group yet\n"
        case "/metrics":
            body, content_type = render_metrics()
            return 200, content_type, body
        case _:
            return 404, "text/plain", b"there is /healthz, /readyz and /metrics\n"


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Misconfigured(f"port {port} of {host} cannot be had ({error.strerror}): set JALON_STAGER_PORT") from None
