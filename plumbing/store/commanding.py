"""Identity commands as people write them, made into what the store keeps."""

from collections.abc import Sequence
from typing import NamedTuple

from journey.commands import Command, OnPair, OnTouchpoint, Verb, pair
from journey.errors import Fault, InvalidCommand
from journey.identity import Class, Kinds
from journey.normalise import normalise
from plumbing.store import commands
from plumbing.store.engine import Engine, transaction
from plumbing.store.sealing import Sealer


class Written(NamedTuple):
    """An identifier as somebody writes it. Its value is spelled as ingest spells it."""

    kind: str
    value: str


class Ready(NamedTuple):
    """A command, and the kinds and sealed values of the identifiers that it names."""

    command: Command
    kinds: Sequence[str]
    sealed: Sequence[bytes]


class Commanding:
    """Reads commands under one secret and one identity configuration."""

    def __init__(self, sealer: Sealer, kinds: Kinds, region: str | None = None) -> None:
        self._sealer = sealer
        self._kinds = kinds
        self._region = region

    def on_pair(self, verb: Verb, one: Written, other: Written) -> Ready:
        """A `join` or `split`. Raises `InvalidCommand` unless they are two strong identifiers."""
        faults = [
            Fault(f"/identifiers/{index}/kind", "must be one that names a person")
            for index, written in enumerate((one, other))
            if self._kinds.class_of(written.kind) is not Class.STRONG
        ]
        if faults:
            raise InvalidCommand(faults=tuple(faults))
        found = {self._digest(written, ""): written for written in (one, other)}
        if len(found) < 2:
            raise InvalidCommand(faults=(Fault("/identifiers", "must be two that differ"),))
        ordered = pair(*found)
        return self._ready(OnPair(verb, ordered), [found[digest] for digest in ordered])

    def on_touchpoint(self, source: str, id_: str, struck: Written | None = None) -> Ready:
        """A `void`, or the `strike` of one of its identifiers."""
        if struck is None:
            return Ready(OnTouchpoint(Verb.VOID, source, id_), (), ())
        return self._ready(OnTouchpoint(Verb.STRIKE, source, id_, self._digest(struck, source)), [struck])

    def _digest(self, written: Written, source: str) -> bytes:
        scope = self._kinds.identify(written.kind, written.value, source).scope
        return self._sealer.digest(written.kind, self._spelled(written), scope)

    def _spelled(self, written: Written) -> str:
        value = normalise(written.kind, written.value, self._region)
        if value is None:
            raise InvalidCommand(faults=(Fault("/identifiers", "must name somebody"),))
        return value

    def _ready(self, command: Command, named: Sequence[Written]) -> Ready:
        return Ready(command, [one.kind for one in named], [self._sealer.seal(self._spelled(one)) for one in named])


async def give(engine: Engine, ready: Ready, by: str) -> int:
    """Leave a command to the stagers, in the name of `by`. Returns its number. Raises `StoreUnavailable`."""
    async with transaction(engine) as driver:
        return await commands.give(driver, *ready, by)


async def undo(engine: Engine, number: int) -> bool:
    """Take a command back; False when there never was one of this number. Raises `StoreUnavailable`."""
    async with transaction(engine) as driver:
        return await commands.undo(driver, number)
