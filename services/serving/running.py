"""Runs a service until it is told to stop: in this process, or in several behind one listening socket."""

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from uvloop import new_event_loop

from journey.errors import JalonError
from plumbing.settings import Settings
from plumbing.telemetry import Action, configure, log
from services.serving.asgi import Application
from services.serving.server import listen, make_server
from services.serving.workers import Workers

Serve = Callable[[Settings, socket.socket, asyncio.Event], Awaitable[None]]
"""Serves on a listening socket until the event is set; then answers what has come in already."""

GC_THRESHOLD = 50_000
"""Allocations between two looks of the garbage collector: what a request leaves behind has no cycles."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service by name; `serve` must be a function of a module, so that other processes find it."""

    name: str
    settings: Settings
    serve: Serve


def run(service: Service, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises `Misconfigured`, `OurFault`."""
    listener = listen(service.settings.host, port)
    if service.settings.workers == 1:
        _work(service, listener)
    else:
        Workers(service.settings.workers, _work_or_exit, service, listener).run()


def _work(service: Service, listener: socket.socket) -> None:
    configure(service.name, service.settings.log_level)
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve_until_signal(service, listener))


def _work_or_exit(service: Service, listener: socket.socket) -> None:
    """In a process of its own there is nobody to raise to."""
    try:
        _work(service, listener)
    except JalonError as error:
        log(Action.FAILED, logging.ERROR, exc=error, service=service.name)
        sys.exit(1)


async def _serve_until_signal(service: Service, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await service.serve(service.settings, listener, stop)


async def serve_application(
    name: str,
    app: Application,
    settings: Settings,
    listener: socket.socket,
    stop: asyncio.Event,
    hang_up: Callable[[], None] | None = None,
) -> None:
    """Start `app`, serve it on `listener` until `stop` is set, answer what has come in already, stop it.

    `hang_up` ends the answers that would go on for ever. Raises `Misconfigured`.
    """
    server = make_server(app, settings.body_timeout, settings.drain_timeout)

    async def stop_when_told() -> None:
        await stop.wait()
        log(Action.STOPPING, service=name)
        if hang_up:
            hang_up()
        server.stop()

    try:
        await app.start()
        stopping = asyncio.create_task(stop_when_told())
        host, port = listener.getsockname()[:2]
        log(Action.STARTED, service=name, host=host, port=port)
        await server.serve([listener])
        stopping.cancel()
    finally:
        await app.stop()
        log(Action.STOPPED, service=name)
