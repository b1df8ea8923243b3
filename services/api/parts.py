"""What the routes work with; `app.py` builds and connects it."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from journey.identity import Kinds
from plumbing.settings import Settings
from plumbing.store.commanding import Commanding
from plumbing.store.engine import Engine
from plumbing.store.keys import Scope
from services.api.auth import Gate, Reader
from services.api.catalogue import Catalogues
from services.api.cursors import Cursors
from services.api.lookup import Lookup
from services.api.past import Past
from services.api.profile import Profiles
from services.api.stream import Stream


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one process of the API."""

    settings: Settings
    engine: Engine
    gate: Gate
    catalogues: Catalogues
    lookup: Lookup
    profiles: Profiles
    past: Past
    commanding: Commanding
    cursors: Cursors
    stream: Stream
    kinds: Kinds
    kind_names: tuple[str, ...]
    """The kinds of identifiers, strongest first."""
    following: Callable[[], bool]
    """Whether everything that must run beside the requests does."""


def parts_of(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


def reader_of(request: Request) -> Reader:
    """Who asks, when they may read. Raises `Refusal` (no-token, unknown-token, missing-scope)."""
    headers = request.headers
    reader = parts_of(request).gate.reader(headers.get("authorization"), headers.get("cookie"))
    return reader.require(Scope.READ)
