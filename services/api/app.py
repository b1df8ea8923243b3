"""The API, put together: the only place of this service that builds and connects its parts.

uvicorn ─► HotReads ─► Lookup ─► Customers (one query for all who wait) ─► Profiles
              └─► Counted ─► FastAPI ─► routes/… ─► plumbing/store/reading/…
"""

import asyncio
import logging
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack

from fastapi import FastAPI

from journey.identity import Class, IdentityConfig, Kinds, parse_identity
from plumbing.settings import Settings
from plumbing.store.commanding import Commanding
from plumbing.store.engine import make_engine
from plumbing.store.keys import KeyKind, Keyring, parse_bootstrap_keys
from plumbing.store.reading.connection import make_pool
from plumbing.store.reading.customers import Customers
from plumbing.store.reading.feed import FeedBell
from plumbing.store.sealing import Sealer
from plumbing.telemetry import Action, log
from schemas import identity_document
from services.api.auth import Gate
from services.api.catalogue import Catalogues
from services.api.counting import Counted
from services.api.cursors import Cursors
from services.api.dashboard import mount_dashboard
from services.api.hot import HotReads
from services.api.lookup import Lookup
from services.api.openapi import serve_document
from services.api.parts import Parts
from services.api.past import Past
from services.api.profile import Profiles
from services.api.refusing import refuse_as_problems
from services.api.routes import ROUTERS
from services.api.stream import Stream
from services.serving import running
from services.serving.asgi import Receive, Scope, Send

_POOL = 3
"""Connections for the hot reads: two queries under way at most, and one to spare when a connection is renewed."""


class Api:
    """The ASGI application. `start` it before it is called, `stop` it after the last call."""

    def __init__(self, settings: Settings) -> None:
        """Raises `Misconfigured`. Connects to nothing yet."""
        identity = parse_identity(identity_document())
        sealer, kinds = Sealer(settings.key), Kinds(identity)
        self._keyring = Keyring(KeyKind.API, parse_bootstrap_keys(settings.bootstrap_keys.get_secret_value()))
        self._bell = FeedBell(settings.database_url)
        self._pool = make_pool(settings.database_url, _POOL)
        engine = make_engine(settings.database_url, connections=settings.database_connections, application="jalon-api")
        catalogues = Catalogues(engine)
        self.parts = Parts(
            settings=settings,
            engine=engine,
            gate=Gate(self._keyring, settings.key),
            catalogues=catalogues,
            lookup=Lookup(Customers(self._pool, _references(identity)), kinds, sealer, settings.phone_region),
            profiles=Profiles(kinds, sealer),
            past=Past(engine, catalogues, kinds),
            commanding=Commanding(sealer, kinds, settings.phone_region),
            cursors=Cursors(sealer),
            stream=Stream(engine, self._bell),
            kinds=kinds,
            kind_names=identity.priority,
            following=self._is_following,
        )
        self._following: tuple[asyncio.Task[None], ...] = ()
        self._closing = AsyncExitStack()
        self._app = HotReads(
            Counted(make_fastapi(self.parts)),
            gate=self.parts.gate,
            lookup=self.parts.lookup,
            profiles=self.parts.profiles,
            catalogues=self.parts.catalogues,
        )

    async def start(self) -> None:
        """Begin to follow keys, definitions and the feed. A database that is away is waited for in the background."""
        self._pool = await self._closing.enter_async_context(self._pool)
        engine = self.parts.engine
        self._closing.push_async_callback(engine.dispose)
        self._closing.push_async_callback(self._bell.close)
        self._following = tuple(
            self._follow(work)
            for work in (
                self._keyring.follow(engine),
                self.parts.catalogues.follow(),
                self.parts.stream.follow(),
            )
        )

    async def stop(self) -> None:
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._closing.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _follow(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(_tell_if_failed)
        return task

    def _is_following(self) -> bool:
        return not any(task.done() for task in self._following)


def _tell_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log(Action.FAILED, logging.ERROR, exc=task.exception(), service="api")


def _references(identity: IdentityConfig) -> list[str]:
    return [kind.kind for kind in identity.kinds if kind.class_ is Class.REFERENCE]


def make_fastapi(parts: Parts) -> FastAPI:
    """All routes but the hot ones, on these parts."""
    app = FastAPI(title="Jalon", docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.parts = parts
    for router in ROUTERS:
        app.include_router(router)
    serve_document(app)
    refuse_as_problems(app)
    mount_dashboard(app)
    return app


async def serve(settings: Settings, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve on `listener` until `stop` is set; then answer what has come in already. For any event loop.

    Raises `Misconfigured`.
    """
    app = Api(settings.require("database_url", "secret_key"))
    await running.serve_application("api", app, settings, listener, stop, hang_up=app.parts.stream.close)


def run(settings: Settings) -> None:
    """`jalon api`: serve until SIGTERM or SIGINT. Raises `Misconfigured`, `OurFault`."""
    running.run(running.Service("api", settings, serve), settings.api_port)
