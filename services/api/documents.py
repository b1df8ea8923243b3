"""What a route may answer, in the words of OpenAPI."""

from typing import Any

import msgspec

from services.api.problem import (
    CONTENT_TYPE,
    INTERNAL,
    MISSING_SCOPE,
    NO_TOKEN,
    UNAVAILABLE,
    UNKNOWN_TOKEN,
    Problem,
    ProblemDetails,
)

REFERENCES = "#/components/schemas/{name}"

Responses = dict[int | str, dict[str, Any]]

_ALWAYS = (INTERNAL, UNAVAILABLE)
_OF_READERS = (NO_TOKEN, UNKNOWN_TOKEN, MISSING_SCOPE, *_ALWAYS)

ETAG_HEADER = {"ETag": {"description": "for If-None-Match", "schema": {"type": "string"}}}
IF_NONE_MATCH = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "pattern": "^[!-~]*$"},
        }
    ]
}


def schema_of(answer: Any) -> dict[str, Any]:
    """A reference to the schema of a type of `answers.py`."""
    (schema,), _ = msgspec.json.schema_components([answer], ref_template=REFERENCES)
    return schema


def answers(body: Any, description: str, *problems: Problem, tagged: bool = False) -> Responses:
    """The answers of a route that readers ask: this body, or one of these problems; `tagged` with an ETag."""
    ok: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": schema_of(body)}}}
    documented: Responses = {200: ok}
    if tagged:
        ok["headers"] = ETAG_HEADER
        documented[304] = {"description": "nothing changed since the answer of this ETag"}
    return documented | refusals_of_readers(*problems)


def refusals_of_readers(*problems: Problem) -> Responses:
    """These problems, and those of every route that readers ask."""
    return refusals(*problems, *_OF_READERS)


def refusals(*problems: Problem) -> Responses:
    """These problems, one entry for each status."""
    documented: Responses = {}
    for problem in problems:
        before = documented.get(problem.status)
        codes = f"{before['description']}, `{problem.code}`" if before else f"`{problem.code}`"
        documented[problem.status] = {
            "description": codes,
            "content": {CONTENT_TYPE: {"schema": schema_of(ProblemDetails)}},
        }
    return documented
