"""Ingest called in this process, as an ASGI server would, on a log in memory."""

import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from journey.errors import LogUnavailable
from plumbing.log.port import Record
from plumbing.settings import Settings
from services.ingest.app import Ingest

WEB_KEY = "a-secret"

SETTINGS = Settings(
    database_url="postgresql://nobody@127.0.0.1:1/nothing",
    log_url="kafka://127.0.0.1:1",
    bootstrap_keys=f"write:web:website:{WEB_KEY},write:till:store:another-secret",
    body_limit=1_000_000,
)


class MemoryLog:
    """An `EventLog` that keeps what it is given, or is away."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.away = False

    async def start(self) -> None:
        """Nothing to connect to."""

    async def stop(self) -> None:
        """Nothing to disconnect from."""

    async def append(self, records: Sequence[Record]) -> None:
        if self.away:
            raise LogUnavailable
        self.records += records

    async def healthy(self) -> bool:
        return not self.away


class Answer(NamedTuple):
    """What ingest answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class IngestInProcess:
    """Ingest and its log."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.log = MemoryLog()
        self.app = Ingest(settings, self.log)
        self.app.keys.loaded = True  # as after the first look into Postgres

    async def post(
        self,
        body: object,
        headers: Mapping[str, str] | None = None,
        path: str = "/v1/touchpoints",
        key: str | None = WEB_KEY,
    ) -> Answer:
        """POST bytes as they are, or anything else as JSON, with the key of the source `web`."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}
        if key is not None:
            given.setdefault("authorization", f"Bearer {key}")
        return await self.request("POST", path, given, [data])

    async def get(self, path: str) -> Answer:
        return await self.request("GET", path)

    async def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, chunks: Iterable[bytes] = (b"",)
    ) -> Answer:
        """One request, its body in these pieces."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
        }
        pieces = list(chunks)
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, object]:
            if not pieces:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        if not sent:
            return Answer(0, {}, b"")
        given = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], given, b"".join(message["body"] for message in sent[1:]))
