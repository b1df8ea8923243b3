"""Touchpoints to ingest over HTTP, as any client sends them: in batches, compressed, again until they are taken."""

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import httpx
import msgspec

from journey.errors import Fault, NotAuthorised, OurFault
from plumbing.clock import monotonic

BATCH = 500
"""Touchpoints in one request."""

_LONGEST_WAIT = 10.0
_COMPRESSION = 3
"""Of gzip's nine levels: the one after which more work saves little."""


class Rejected(NamedTuple):
    """A line that ingest refused: its place in the batch (from 0) and why."""

    place: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends with one write key. `patience` is how long it tries the same batch while ingest cannot take it."""

    client: httpx.AsyncClient
    url: str
    write_key: str
    patience: timedelta = timedelta(seconds=60)

    async def send(self, lines: Sequence[bytes]) -> list[Rejected]:
        """Return when every line (one JSON object each) is durable in the log or refused: the refused ones.

        Raises `NotAuthorised` for a key that is not accepted, `OurFault` when ingest takes nothing or cannot be reached
        within the patience; then the lines may or may not be in the log. Sending them again does no harm.
        """
        body = gzip.compress(b"\n".join(lines), _COMPRESSION)
        until = monotonic() + self.patience.total_seconds()
        wait = 0.2
        while True:
            answer = await self._post(body)
            if isinstance(answer, httpx.Response) and answer.status_code not in {429, 500, 502, 503, 504}:
                return _rejected(answer)
            if monotonic() > until:
                raise OurFault(f"ingest at {self.url} took nothing for {self.patience.seconds} s: {_reason(answer)}")
            await asyncio.sleep(_retry_after(answer, wait))
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _post(self, body: bytes) -> httpx.Response | httpx.TransportError:
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        try:
            return await self.client.post(
                f"{self.url}/v1/touchpoints", content=body, headers=headers, auth=(self.write_key, "")
            )
        except httpx.TransportError as error:
            return error


def _retry_after(answer: httpx.Response | httpx.TransportError, wait: float) -> float:
    """Seconds to wait: what ingest asks for, if it asks in seconds."""
    asked = answer.headers.get("retry-after", "") if isinstance(answer, httpx.Response) else ""
    return max(wait, float(asked)) if asked.isdecimal() else wait


def _reason(answer: httpx.Response | httpx.TransportError) -> str:
    return f"it answers {answer.status_code}" if isinstance(answer, httpx.Response) else "it cannot be reached"


def _rejected(answer: httpx.Response) -> list[Rejected]:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise NotAuthorised("ingest does not know this write key (`jalon keys create --source … --channel …`)")
    try:
        told = msgspec.json.decode(answer.content)
        rejected = told["rejected"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise OurFault(f"{answer.url} answers {answer.status_code}: is this ingest?") from None
    return [
        Rejected(one["index"], tuple(Fault(fault["pointer"], fault["detail"]) for fault in one["errors"]))
        for one in rejected
    ]
