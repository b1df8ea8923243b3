"""Counts what the framework answers, by route and status; the hot reads count themselves."""

from plumbing.clock import monotonic
from plumbing.telemetry import API_REQUESTS, API_SECONDS
from services.serving import asgi

_NO_ROUTE = "none"
"""What was asked for in vain is counted together: a label must be one of few words, and never what somebody sent."""


class Counted:
    """An ASGI application whose answers are counted and timed as they begin: a stream has no end to wait for."""

    def __init__(self, app: asgi.App) -> None:
        self._app = app

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        began = monotonic()

        async def counting(message: asgi.Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", _NO_ROUTE)
                API_REQUESTS.labels(route, message["status"]).inc()
                API_SECONDS.labels(route).observe(monotonic() - began)
            await send(message)

        await self._app(scope, receive, counting)
