"""What happened to a customer: the timeline, and the transitions with their reasons."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from plumbing.store.reading.connection import reading
from plumbing.store.reading.timeline import Item, Page, Place, history, moves
from services.api import answers as to
from services.api.documents import IF_NONE_MATCH, answers
from services.api.history import items, transition
from services.api.hot import matches
from services.api.problem import BAD_CURSOR, CUSTOMER_NOT_FOUND, INVALID, TOO_MUCH
from services.api.relived import history_of, transitions_of
from services.api.routes.answering import (
    LIMIT,
    Cursor,
    CustomerId,
    Limit,
    Order,
    TheParts,
    TheReader,
    TheTime,
    etag_of,
    json,
    list_of,
)

router = APIRouter(tags=["customers"])

Retracted = Annotated[bool, Query(description="With transitions that were told and no longer hold.")]
Facts = Annotated[bool, Query(description="With facts: pains, moments of truth, measures, dead time, actions.")]

_PROBLEMS = (CUSTOMER_NOT_FOUND, BAD_CURSOR, INVALID, TOO_MUCH)


@router.get(
    "/v1/customers/{id}/timeline",
    responses=answers(
        to.Page[to.TouchpointItem | to.TransitionItem | to.FactItem], "a page of what happened", *_PROBLEMS, tagged=True
    ),
    openapi_extra=IF_NONE_MATCH,
)
async def timeline(  # noqa: PLR0913, PLR0917 (each is a parameter of the query)
    parts: TheParts,
    reader: TheReader,
    request: Request,
    when: TheTime,
    id: CustomerId,  # noqa: A002
    facts: Facts = False,
    retracted: Retracted = False,
    order: Order = Order.ASC,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Touchpoints and transitions in the order in which they came about."""
    name = list_of(request, order, facts, retracted, when)
    after = parts.cursors.read(name, cursor, Place)
    page, headers = Page(limit + 1, after, order is Order.DESC, when.at), {}
    catalogue = parts.catalogues.current
    if when.known_at is not None:
        remembered = await parts.past.known_at(parts.lookup.id(id), when.known_at, when.at)
        rows, catalogue = page.of(history_of(remembered, with_facts=facts)), remembered.catalogue
    else:
        found = await parts.lookup.by_id(id)
        headers = {"etag": etag_of(parts, found, reader, request)}
        if matches(request.headers.get("if-none-match", ""), headers["etag"]):
            return Response(status_code=304, headers=headers)
        async with reading(parts.engine) as connection:
            rows = await history(connection, found.customer, page, with_facts=facts, with_retracted=retracted)
    shown = items(rows[:limit], catalogue, parts.kinds, personal=reader.sees_personal_data)
    return json(to.Page(items=shown, next=_next(parts, name, rows, limit)), headers)


@router.get(
    "/v1/customers/{id}/transitions",
    responses=answers(to.Page[to.TransitionItem], "a page of the transitions", *_PROBLEMS, tagged=True),
    openapi_extra=IF_NONE_MATCH,
)
async def transitions(  # noqa: PLR0913, PLR0917 (each is a parameter of the query)
    parts: TheParts,
    reader: TheReader,
    request: Request,
    when: TheTime,
    id: CustomerId,  # noqa: A002
    retracted: Retracted = False,
    order: Order = Order.ASC,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Response:
    """How the customer came to where they are: each transition with its rule and its cause."""
    name = list_of(request, order, retracted, when)
    after = parts.cursors.read(name, cursor, Place)
    page, headers = Page(limit + 1, after, order is Order.DESC, when.at), {}
    catalogue = parts.catalogues.current
    if when.known_at is not None:
        remembered = await parts.past.known_at(parts.lookup.id(id), when.known_at, when.at)
        rows, catalogue = page.of(transitions_of(remembered)), remembered.catalogue
    else:
        found = await parts.lookup.by_id(id)
        headers = {"etag": etag_of(parts, found, reader, request)}
        if matches(request.headers.get("if-none-match", ""), headers["etag"]):
            return Response(status_code=304, headers=headers)
        async with reading(parts.engine) as connection:
            rows = await moves(connection, found.customer, page, with_retracted=retracted)
    shown = tuple(transition(row, catalogue) for row in rows[:limit])
    return json(to.Page(items=shown, next=_next(parts, name, rows, limit)), headers)


def _next(parts: TheParts, name: str, rows: Sequence[Item], limit: int) -> str | None:
    """The cursor of the page behind, when more rows were found than are shown."""
    return parts.cursors.write(name, rows[limit - 1].place) if len(rows) > limit else None
