"""The body of a request, as far as it may be long."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from fastapi import Request

from journey.errors import Fault
from services.api.problem import BODY_TOO_LARGE, INVALID, Refusal

Body = TypeVar("Body")


async def body_of(request: Request, limit: int) -> bytes:
    """All of it. Raises `Refusal` (body-too-large) as soon as it is more than `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(BODY_TOO_LARGE)
    return bytes(body)


async def json_of(request: Request, limit: int, decode: Callable[[bytes], Body], expected: str) -> Body:
    """The JSON of a body. Raises `Refusal`: body-too-large; invalid-request, with what was `expected`."""
    body = await body_of(request, limit)
    try:
        return decode(body)
    except msgspec.ValidationError:
        raise Refusal(INVALID, faults=(Fault("", f"expected {expected}"),)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Refusal(INVALID, "The body is not JSON.") from None
