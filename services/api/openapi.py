"""The OpenAPI document of this service, made from its routes; `python -m services.api.openapi` prints it."""

import sys
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, FastAPI, Path, Query
from fastapi.openapi.utils import get_openapi

from services.api import answers as to
from services.api.documents import IF_NONE_MATCH, REFERENCES, answers
from services.api.problem import CUSTOMER_NOT_FOUND, ProblemDetails
from services.api.routes import ROUTERS
from services.api.routes.customers import Wanted
from services.api.routes.identities import WantedCommand

_ABOUT = (
    "Where every customer is on their journeys, why, and what may come next. Every refusal is a problem of RFC 9457 "
    "with a stable `code`. Lists are pages: ask again with `cursor` set to `next` until that is null."
)

_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "a token with the scope `read`; `pii` unmasks, `admin` gives commands",
    },
    "session": {"type": "apiKey", "in": "cookie", "name": "jalon_session", "description": "of the signed-in page"},
}

_OPEN = {"/healthz", "/readyz", "/metrics"}

hot = APIRouter(tags=["customers"])
"""What `hot.py` answers before any router is asked: it is here to be documented, not to be called."""

_PROFILE = answers(to.Profile, "where the customer is, why, and what may come next", CUSTOMER_NOT_FOUND, tagged=True)


@hot.get("/v1/customers/{id}", responses=_PROFILE, openapi_extra=IF_NONE_MATCH)
def profile(
    id: Annotated[str, Path(description="Any id that the customer ever had: 32 hexadecimal digits.")],  # noqa: A002
) -> None:
    """The customer of this id: stage in every journey, since when, why, and what may come next."""


@hot.get("/v1/customers/by/{kind}/{value}", responses=_PROFILE, openapi_extra=IF_NONE_MATCH)
def profile_by_identifier(
    kind: Annotated[str, Path(description="`email`, `phone`, `loyalty_card`, `anonymous_id`, `order_id` …")],
    value: Annotated[str, Path(description="However it is spelled.")],
    source: Annotated[str, Query(description="Who sent it, where values count within one source only.")] = "",
) -> None:
    """The same of whom this identifier names now. `lookup` keeps it out of logs of URLs."""


def document() -> dict[str, Any]:
    """The document, the same for every deployment."""
    routes = [route for router in (hot, *ROUTERS) for route in router.routes]
    made = get_openapi(title="Jalon", version="1", description=_ABOUT, routes=routes)
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of a refusal, which we do not use
            if path not in _OPEN:
                operation["security"] = [{"token": []}, {"session": []}]
    words = {name: schema for name, schema in made["components"]["schemas"].items() if "enum" in schema}
    made["components"] = {"schemas": {**words, **_schemas()}, "securitySchemes": _SECURITY}
    return made


def _schemas() -> dict[str, Any]:
    """The bodies; what parameters may say FastAPI knows."""
    bodies = (
        to.Profile,
        to.Page[to.TouchpointItem | to.TransitionItem | to.FactItem],
        to.Page[to.TransitionItem],
        to.Page[to.JourneySummary],
        to.PageAsOf[to.CustomerInStage],
        to.JourneyDetail,
        to.Counts,
        to.Changes,
        to.Page[to.Conflict],
        to.Page[to.Command],
        to.CommandGiven,
        to.Health,
        Wanted,
        WantedCommand,
        ProblemDetails,
    )
    _, schemas = msgspec.json.schema_components(bodies, ref_template=REFERENCES)
    return dict(sorted(schemas.items()))


def text() -> str:
    """The document as `schemas/openapi-api.json` has it."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


def serve_document(app: FastAPI) -> None:
    """Let the application answer GET /openapi.json with it."""
    app.openapi = document  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.stdout.write(text())
