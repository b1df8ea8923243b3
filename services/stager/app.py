"""The stager put together: what is built from the settings, and the tasks that run beside each other.

consumer    log → batches → store          (consume.py)
timers      what time alone causes         (timers.py)
commands    what people say of identities  (commanded.py)
sequencer   outbox → feed                  (sequencer.py)
builder     versions beside those in force (build.py)
health      GET /healthz /readyz /metrics  (health.py)
"""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from uvloop import new_event_loop

from journey.errors import Contended, LogUnavailable, Misconfigured, StoreUnavailable
from journey.identity import Kinds, parse_identity
from journey.machine import Journeys
from plumbing.clock import monotonic
from plumbing.log import open_log
from plumbing.settings import Settings
from plumbing.store import definitions
from plumbing.store.engine import Engine, make_engine
from plumbing.store.faults import store_faults
from plumbing.store.migrate import migrate
from plumbing.store.sealing import Sealer
from plumbing.telemetry import Action, configure, log
from schemas import identity_document, journey_documents
from services.serving.running import GC_THRESHOLD
from services.serving.server import listen
from services.stager.backoff import Backoff
from services.stager.build import Builder
from services.stager.commanded import Commander
from services.stager.consume import Consumer
from services.stager.health import serve_health
from services.stager.incoming import Reader
from services.stager.sequencer import sequence
from services.stager.stage_batch import Stage
from services.stager.timers import Timers

_TIMERS_EVERY = 0.25
_TIMERS_BEHIND_EVERY = 5.0
"""Seconds between looks at the timers: rarely in a backlog, as most of what is due then will be taken back."""

_COMMANDS_EVERY = 0.5
"""Seconds between looks at what people said about identities: somebody waits to see what it does."""

_SEQUENCER_EVERY = 1.0
"""Seconds; it is woken by each batch, so this is for what another stager left when it was killed."""

_BUILDS_EVERY = 1.0
"""Seconds between looks for a version to build."""

_BETWEEN_CHUNKS = 0.01
"""Seconds in which batches come before the next chunk of a build."""


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run a stager until `stop` is set.

    Raises `Misconfigured`, `InvalidDefinition`, `WrongLog`, `OurFault`.
    """
    settings = settings.require("database_url", "log_url")
    sealer = Sealer(settings.key)
    kinds = Kinds(parse_identity(identity_document()))
    documents = _documents(settings)
    listener = listen(settings.host, settings.stager_port)
    engine = make_engine(settings.database_url, connections=settings.database_connections, application="jalon-stager")
    try:
        journeys = await _prepare(settings, engine, documents, stop)
        if journeys is None:
            return
        staged = asyncio.Event()
        stage = Stage(engine, journeys, sealer, kinds)
        member = f"{socket.gethostname()}-{settings.stager_port}"
        consumer = Consumer(settings, member, engine, Reader(sealer, kinds), stage, staged)
        with _one_error():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_stop_all_when_done(consumer.run(stop), stop))
                tasks.create_task(_repeat(_Clockwork(Timers(engine, journeys, kinds), consumer, staged).look, stop))
                tasks.create_task(_obey(Commander(engine, journeys, sealer, kinds), staged, stop))
                tasks.create_task(_sequence(engine, staged, stop))
                tasks.create_task(_build(Builder(engine, kinds), staged, stop))
                tasks.create_task(serve_health(settings, listener, consumer, stop))
                log(Action.STARTED, service="stager", member=member, journeys=len(journeys.machines))
                await stop.wait()
                log(Action.STOPPING, service="stager")
        await sequence(engine)
    finally:
        listener.close()
        await engine.dispose()
        log(Action.STOPPED, service="stager")


def run(settings: Settings) -> None:
    """`jalon stager`: run until SIGTERM or SIGINT. Raises as `serve` does."""
    configure("stager", settings.log_level)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve_until_signal(settings))


async def _serve_until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop)


def _documents(settings: Settings) -> list[str]:
    documents = journey_documents(settings.journeys)
    if not documents:
        raise Misconfigured(f"JALON_JOURNEYS: there is no *.yaml in {settings.journeys}")
    return documents


async def _prepare(settings: Settings, engine: Engine, documents: list[str], stop: asyncio.Event) -> Journeys | None:
    """Make the tables, the topic and the definitions; waits for Postgres and the log. None: stopped before."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            await migrate(settings.database_url)
            await _make_topic(settings)
            with store_faults():
                await definitions.seed(engine, documents)
                return await definitions.load_active(engine)
        except (StoreUnavailable, LogUnavailable) as error:
            log(Action.FAILED, logging.WARNING, exc=error, reason="waiting for the store and the log")
            await backoff.wait(stop)
    return None


async def _make_topic(settings: Settings) -> None:
    appender = open_log(
        settings.log_url, settings.topic, partitions=settings.partitions, replication=settings.replication
    )
    await appender.start()
    await appender.stop()


@contextmanager
def _one_error() -> Iterator[None]:
    """Raises the first error of a group of tasks: the others ended because of it."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _stop_all_when_done(consumer: Awaitable[None], stop: asyncio.Event) -> None:
    try:
        await consumer
    finally:
        stop.set()


async def _repeat(step: Callable[[], Awaitable[float]], stop: asyncio.Event) -> None:
    """Do a step again and again, waiting as many seconds as it says; with growing waits while Postgres is away."""
    backoff = Backoff()
    while not stop.is_set():
        try:
            seconds = await step()
            backoff.reset()
        except (StoreUnavailable, Contended) as error:
            log(Action.FAILED, logging.WARNING, exc=error, reason="the store is away: trying again")
            await backoff.wait(stop)
            continue
        await _wait_for(stop, seconds)


class _Clockwork:
    """Looks at the timers: often, but rarely while a backlog is being read."""

    def __init__(self, timers: Timers, consumer: Consumer, staged: asyncio.Event) -> None:
        self._timers = timers
        self._consumer = consumer
        self._staged = staged
        self._looked_at = 0.0

    async def look(self) -> float:
        """Fire some timers; the seconds until the next look."""
        if not self._consumer.progress.caught_up and monotonic() - self._looked_at < _TIMERS_BEHIND_EVERY:
            return _TIMERS_EVERY
        self._looked_at = monotonic()
        fired = await self._timers.fire()
        if fired:
            self._staged.set()
        return 0.0 if fired else _TIMERS_EVERY


async def _obey(commander: Commander, staged: asyncio.Event, stop: asyncio.Event) -> None:
    async def step() -> float:
        if await commander.apply():
            staged.set()
        return _COMMANDS_EVERY

    await _repeat(step, stop)


async def _sequence(engine: Engine, staged: asyncio.Event, stop: asyncio.Event) -> None:
    async def step() -> float:
        await _wait_for(staged, _SEQUENCER_EVERY)
        staged.clear()
        while await sequence(engine):
            pass
        return 0.0

    await _repeat(step, stop)


async def _build(builder: Builder, staged: asyncio.Event, stop: asyncio.Event) -> None:
    async def step() -> float:
        if not await builder.look():
            return _BUILDS_EVERY
        staged.set()
        return _BETWEEN_CHUNKS

    await _repeat(step, stop)


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
