"""The OpenAPI document of this service, made from its routes; `python -m services.api.openapi` prints it."""

import sys
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.api import answers as to
from services.api.documents import REFERENCES
from services.api.problem import ProblemDetails
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


def document() -> dict[str, Any]:
    """The document, the same for every deployment."""
    routes = [route for router in ROUTERS for route in router.routes]
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
        to.PublishedVersion,
        to.Build,
        to.DryRun,
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
