"""What the routes share: how an answer is sent, and the parameters of lists."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, BeforeValidator

from plumbing.store.reading.customers import Found
from services.api.auth import Reader
from services.api.parts import Parts, parts_of, reader_of

encode = msgspec.json.Encoder().encode

TheParts = Annotated[Parts, Depends(parts_of)]
TheReader = Annotated[Reader, Depends(reader_of)]

CustomerId = Annotated[str, Path(description="Any id that the customer ever had: 32 hexadecimal digits.")]


def _spelled_out(sent: object) -> object:
    """Only what RFC 3339 writes: pydantic would take numbers as well, and guess their unit."""
    return sent if isinstance(sent, str) and "T" in sent.upper() else "not an instant"


_Instant = Annotated[AwareDatetime | None, BeforeValidator(_spelled_out)]


@dataclass(frozen=True, slots=True)
class When:
    """The two times of a question: when it was so, and when it was known. None: now."""

    at: datetime | None
    known_at: datetime | None

    @property
    def now(self) -> bool:
        return self.at is None and self.known_at is None


def _when(
    at: Annotated[_Instant, Query(description="As it was at this instant (RFC 3339, with its offset).")] = None,
    known_at: Annotated[
        _Instant, Query(description="By what had been received and said at this instant, instead of all of today.")
    ] = None,
) -> When:
    return When(at, known_at)


TheTime = Annotated[When, Depends(_when)]

LIMIT = 50
Limit = Annotated[int, Query(ge=1, le=500, description="Items of a page at most.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next` of the page before.")]


class Order(StrEnum):
    """Oldest first, or newest first."""

    ASC = "asc"
    DESC = "desc"


def json(body: Any, headers: dict[str, str] | None = None) -> Response:
    """An answer of `answers.py`."""
    return encoded(encode(body), headers)


def encoded(body: bytes, headers: dict[str, str] | None = None) -> Response:
    """JSON that only its reader may keep, and must ask again about."""
    fixed = {"cache-control": "private, no-cache", "vary": "authorization, cookie"}
    return Response(body, 200, {**fixed, **(headers or {})}, "application/json")


def list_of(request: Request, *parameters: object) -> str:
    """The name of the list that this request reads, which its cursors belong to."""
    return " ".join((request.url.path, *map(str, parameters)))


def etag_of(parts: Parts, found: Found, reader: Reader, request: Request) -> str:
    """What stays the same as long as this request about a customer has the same answer."""
    profile = parts.profiles.etag(found, parts.catalogues.current, reader.sees_personal_data)
    return f'W/"{blake2b(f"{profile} {request.url}".encode(), digest_size=12).hexdigest()}"'
