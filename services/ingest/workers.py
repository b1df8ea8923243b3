"""Several processes behind one listening socket: one that ends unasked is replaced, all end when they are told to."""

import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

from journey.errors import OurFault
from plumbing.clock import monotonic

_LOOK_SECONDS = 0.5
_TOO_SOON_SECONDS = 5.0
"""A worker that ends before has not got going: another one would not either."""

Work = Callable[[Any, socket.socket], None]


@dataclass
class Workers:
    """`count` processes that each run `work(argument, listener)`, until SIGTERM or SIGINT."""

    count: int
    work: Work
    argument: Any
    listener: socket.socket
    _stopping: bool = False
    _running: dict[BaseProcess, float] = field(default_factory=dict)

    def run(self) -> None:
        """Raises `OurFault` when a worker ends as soon as it was started."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for _ in range(self.count):
            self._start_one()
        try:
            while not self._stopping:
                self._replace_ended()
        finally:
            self._end_all()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _start_one(self) -> None:
        process = get_context("spawn").Process(target=self.work, args=(self.argument, self.listener), daemon=True)
        process.start()
        self._running[process] = monotonic()

    def _replace_ended(self) -> None:
        wait([process.sentinel for process in self._running], timeout=_LOOK_SECONDS)
        for process, started in list(self._running.items()):
            if process.is_alive() or self._stopping:
                continue
            del self._running[process]
            if monotonic() - started < _TOO_SOON_SECONDS:
                raise OurFault("a worker ended as soon as it was started; its log says why")
            self._start_one()

    def _end_all(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.join()
