"""Every refusal as RFC 9457 problem details. The codes are part of the contract: never rename one.

`type` is `urn:jalon:problem:CODE`; `code` and `message` repeat it and `detail`, as ingest's answers do. Nothing that
was sent is ever echoed: it may be personal, and it may be what no JSON can say.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from journey.errors import Fault, JalonError


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal: stable code, HTTP status, and a sentence that is true of every case."""

    code: str
    status: int
    title: str


INVALID = Problem("invalid-request", 400, "The request does not have the form that this path takes.")
BAD_CURSOR = Problem("bad-cursor", 400, "The cursor is not one that this list gave.")
NO_TOKEN = Problem("no-token", 401, "A token is needed: `Authorization: Bearer …`.")
UNKNOWN_TOKEN = Problem("unknown-token", 401, "The token is unknown or revoked.")
MISSING_SCOPE = Problem("missing-scope", 403, "The token lacks the scope for this.")
NOT_FOUND = Problem("not-found", 404, "There is nothing at this path.")
CUSTOMER_NOT_FOUND = Problem("customer-not-found", 404, "Nobody is known by this.")
JOURNEY_NOT_FOUND = Problem("journey-not-found", 404, "There is no such journey.")
STAGE_NOT_FOUND = Problem("stage-not-found", 404, "This journey has no such stage.")
COMMAND_NOT_FOUND = Problem("command-not-found", 404, "There is no command of this number.")
VERSION_NOT_FOUND = Problem("version-not-found", 404, "This journey has no such version.")
NOT_BUILT = Problem("not-built", 404, "Nobody has asked for a dry run of this version.")
ALREADY_PUBLISHED = Problem("already-published", 409, "This version is published with other rules.")
ALREADY_IN_FORCE = Problem("already-in-force", 409, "This version is in force.")
METHOD_NOT_ALLOWED = Problem("method-not-allowed", 405, "This path does not take that method.")
BODY_TOO_LARGE = Problem("body-too-large", 413, "The body is larger than this path takes.")
TOO_MUCH = Problem("too-much-history", 422, "More people and devices hang together here than one answer can look at.")
INTERNAL = Problem("internal", 500, "Jalon failed at this.")
UNAVAILABLE = Problem("store-unavailable", 503, "The store does not answer; ask again in a moment.")

PROBLEMS = tuple(value for value in list(globals().values()) if isinstance(value, Problem))

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = "1"
"""In seconds, with every 503."""


class Refusal(JalonError):
    """The request is answered with this problem."""

    def __init__(self, problem: Problem, detail: str | None = None, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail or problem.title)
        self.problem = problem
        self.faults = faults

    @property
    def body(self) -> bytes:
        detail = str(self)
        members: dict[str, Any] = {
            "type": f"urn:jalon:problem:{self.problem.code}",
            "title": self.problem.title,
            "status": self.problem.status,
            "detail": detail,
            "code": self.problem.code,
            "message": detail,
        }
        if self.faults:
            members["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in self.faults]
        return msgspec.json.encode(members)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
        if self.problem.status == 401:
            headers["www-authenticate"] = 'Bearer realm="jalon"'
        if self.problem.status == 503:
            headers["retry-after"] = RETRY_AFTER
        return headers


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 9457. `errors` names each fault by a JSON pointer into the body, or by the parameter."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    message: str
    errors: list[dict[str, str]] = []
