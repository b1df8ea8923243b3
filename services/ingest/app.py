"""Ingest, put together: the only place of this service that builds and connects its parts.

uvicorn ─► Edge ─► WriteKeys ─► Format.read ─► admit ─► PatientLog.append ─► Format.answer
"""

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from journey.identifiers import IdentifierReader
from journey.identity import parse_identity
from journey.vocabulary import company_types
from plumbing.log import open_log
from plumbing.log.port import EventLog
from plumbing.settings import Settings
from plumbing.store.engine import make_engine
from plumbing.telemetry import render_metrics
from schemas import identity_document, vocabulary_document
from services.ingest.edge import Body, Edge, Handler, Room, Route
from services.ingest.formats import Format
from services.ingest.formats.native import NATIVE
from services.ingest.http import Head, Response
from services.ingest.intake import Intake
from services.ingest.keys import WriteKeys
from services.ingest.patient_log import PatientLog
from services.ingest.problem import LOG_UNAVAILABLE, Refusal
from services.serving import running
from services.serving.asgi import Receive, Scope, Send

FORMATS: Mapping[str, Format] = {
    "/v1/touchpoints": NATIVE,
}
"""Every path that takes touchpoints, and what it speaks."""

IN_FLIGHT_BYTES = 64 * 1024 * 1024
"""Of bodies in hand, each at its decompressed size, before ingest answers that it has too much to do."""


class Ingest:
    """The ASGI application. `start` it before it is called, `stop` it after the last call."""

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        """Raises `Misconfigured`. Connects to nothing yet."""
        self._engine = make_engine(settings.database_url, connections=1, application="jalon-ingest")
        self.keys = WriteKeys(
            settings.bootstrap_keys.get_secret_value(), settings.lateness_limit, company_types(vocabulary_document())
        )
        self._log = event_log
        identity = parse_identity(identity_document())
        self._intake = Intake(event_log, IdentifierReader(identity.priority, settings.phone_region))
        self._edge = Edge(self._routes(), settings.body_limit, Room(IN_FLIGHT_BYTES))
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect. A log or a database that is away is waited for in the background. Raises `Misconfigured`."""
        await self._log.start()
        self._following = asyncio.create_task(self.keys.follow(self._engine))

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._log.stop()
        await self._engine.dispose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)

    def _routes(self) -> Mapping[str, Route]:
        watching = {"/healthz": _alive, "/readyz": self._ready, "/metrics": _metrics}
        return {
            **{path: Route({"POST": self._take(wire)}, browsers=True) for path, wire in FORMATS.items()},
            **{path: Route({"GET": handler, "HEAD": handler}) for path, handler in watching.items()},
        }

    def _take(self, wire: Format) -> Handler:
        async def take(head: Head, body: Body) -> Response:
            source = self.keys.source_of(head)
            return await self._intake.take(head, await body.read(), source, wire)

        return take

    async def _ready(self, _head: Head, _body: Body) -> Response:
        if await self._log.healthy():
            return Response(200, b'{"status":"ready"}')
        raise Refusal(LOG_UNAVAILABLE, "the event log cannot be reached")


async def _alive(_head: Head, _body: Body) -> Response:
    return Response(200, b'{"status":"alive"}')


async def _metrics(_head: Head, _body: Body) -> Response:
    text, content_type = render_metrics()
    return Response(200, text, content_type.encode())


async def serve(settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve on `listener` until `stop` is set; then answer what has come in already. For any event loop.

    Raises `Misconfigured`.
    """
    settings.require("database_url", "log_url")
    opener = partial(
        open_log,
        settings.log_url,
        settings.topic,
        partitions=settings.partitions,
        replication=settings.replication,
        deadline=settings.log_deadline,
    )
    await running.serve_application("ingest", Ingest(settings, PatientLog(opener)), settings, listener, stop)


def run(settings: Settings) -> None:
    """`jalon ingest`: serve until SIGTERM or SIGINT. Raises `Misconfigured`, `OurFault`."""
    running.run(running.Service("ingest", settings, serve), settings.ingest_port)
