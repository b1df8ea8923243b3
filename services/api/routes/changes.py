"""The feed: for those who listen, and for those who ask now and then."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.types import Receive, Scope, Send

from plumbing.store.reading.connection import reading
from plumbing.store.reading.feed import kept, messages_after
from services.api import answers as to
from services.api.documents import Responses, answers, refusals_of_readers
from services.api.parts import Parts, reader_of
from services.api.problem import INVALID, Refusal
from services.api.routes.answering import LIMIT, Limit, TheParts, TheReader, json
from services.api.stream import change_of

router = APIRouter(tags=["changes"])

_LARGEST = 2**63 - 1
After = Annotated[int | None, Query(ge=0, le=_LARGEST, description="The number of the last message that you have.")]

_EVENTS: Responses = {
    200: {
        "description": (
            "server-sent events: `change` (its `id` is `feed_seq`, its data a Change) and `reset` (`next`: what was "
            "asked for is no longer kept; read the customers anew)"
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_LAST_EVENT_ID = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
        }
    ]
}


class Events(Response):
    """The answer of a request that goes on for as long as it likes to listen."""

    def __init__(self, parts: Parts, request: Request, after: int | None) -> None:
        super().__init__()
        self._parts = parts
        self._request = request
        self._after = after

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await self._parts.stream.serve(receive, send, self._after, self._allowed)

    def _allowed(self) -> bool:
        try:
            reader_of(self._request)
        except Refusal:
            return False
        return True


@router.get("/v1/stream", responses={**_EVENTS, **refusals_of_readers(INVALID)}, openapi_extra=_LAST_EVENT_ID)
async def stream(parts: TheParts, _reader: TheReader, request: Request, after: After = None) -> Response:
    """Every change of any customer's stage, as it becomes known. Resumes behind `Last-Event-ID`, or `after`."""
    return Events(parts, request, _last_event(request.headers.get("last-event-id"), after))


def _last_event(header: str | None, after: int | None) -> int | None:
    if not header:
        return after
    digits = header.isascii() and header.isdigit() and len(header) <= len(str(_LARGEST))
    if not digits or int(header) > _LARGEST:
        raise Refusal(INVALID, "Last-Event-ID must be the id of an event of this stream.")
    return int(header)


@router.get("/v1/changes", responses=answers(to.Changes, "the messages behind a number", INVALID))
async def changes(parts: TheParts, _reader: TheReader, after: After = 0, limit: Limit = LIMIT) -> Response:
    """The same for those who poll: ask again behind `next`."""
    since = after or 0
    async with reading(parts.engine) as connection:
        there = await kept(connection)
        if not there.before <= since <= there.last:
            return json(to.Changes(items=(), next=there.last, reset=True))
        messages = await messages_after(connection, since, limit)
    last = messages[-1].feed_seq if messages else since
    return json(to.Changes(items=tuple(change_of(message) for message in messages), next=last, reset=False))
