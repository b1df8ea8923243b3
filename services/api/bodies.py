"""The body of a request, as far as it may be long."""

from fastapi import Request

from services.api.problem import BODY_TOO_LARGE, Refusal


async def body_of(request: Request, limit: int) -> bytes:
    """All of it. Raises `Refusal` (body-too-large) as soon as it is more than `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise Refusal(BODY_TOO_LARGE)
    return bytes(body)
