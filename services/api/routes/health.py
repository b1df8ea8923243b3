"""For whoever runs the service: is it alive, is it ready, how is it doing."""

from fastapi import APIRouter, Response

from journey.errors import StoreUnavailable
from plumbing.store.reading.connection import reading
from plumbing.store.reading.stages import reached_at
from plumbing.telemetry import render_metrics
from services.api.answers import Health
from services.api.documents import Responses, refusals, schema_of
from services.api.problem import INTERNAL, UNAVAILABLE, Refusal
from services.api.refusing import response_of
from services.api.routes.answering import TheParts, json

router = APIRouter(tags=["health"])

_OK: Responses = {200: {"description": "yes", "content": {"application/json": {"schema": schema_of(Health)}}}}


@router.get("/healthz", responses={**_OK, **refusals(INTERNAL)})
async def alive() -> Response:
    """Whether the process answers."""
    return json(Health(status="alive"))


@router.get("/readyz", responses={**_OK, **refusals(INTERNAL, UNAVAILABLE)})
async def ready(parts: TheParts) -> Response:
    """Whether it can answer what it is asked: the store is there, and so are definitions."""
    try:
        assert parts.catalogues.current.journeys
        async with reading(parts.engine) as connection:
            await reached_at(connection)
    except StoreUnavailable:
        return response_of(Refusal(UNAVAILABLE))  # asked again and again while it waits: not worth a line of the log
    if not parts.following():
        raise StoreUnavailable("a part of this process has ended")
    return json(Health(status="ready"))


@router.get(
    "/metrics",
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def metrics() -> Response:
    """What is counted and measured."""
    text, content_type = render_metrics()
    return Response(text, 200, media_type=content_type)
