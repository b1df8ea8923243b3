"""Every answer that is a refusal, as RFC 9457 problem details. The codes are part of the contract: never rename one.

`type` is `urn:jalon:problem:CODE`. `code` and `message` repeat what `type` and `detail` say because some clients
(RudderStack's for Python) send again, for ever, what was refused without them.
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from journey.errors import JalonError
from services.ingest.http import Headers, Response


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal: stable code, HTTP status, and a sentence that is true of every case."""

    code: str
    status: int
    title: str


BAD_JSON = Problem("bad-json", 400, "The body is not the JSON that this path takes.")
BAD_ENCODING = Problem("bad-encoding", 400, "The body could not be decompressed.")
NO_KEY = Problem("no-key", 401, "A write key is needed: as Basic user name, Bearer token or ?write_key=.")
UNKNOWN_KEY = Problem("unknown-key", 401, "The write key is unknown or revoked.")
NOT_FOUND = Problem("not-found", 404, "There is nothing at this path.")
METHOD_NOT_ALLOWED = Problem("method-not-allowed", 405, "This path does not take that method.")
BODY_TOO_LARGE = Problem("body-too-large", 413, "The body is larger than this service takes.")
BATCH_TOO_LONG = Problem("batch-too-long", 413, "The body holds more touchpoints than this service takes at once.")
UNSUPPORTED_TYPE = Problem("unsupported-content-type", 415, "This path does not take that content type.")
UNSUPPORTED_ENCODING = Problem("unsupported-content-encoding", 415, "This service does not know that content encoding.")
INVALID_TOUCHPOINT = Problem("invalid-touchpoint", 422, "No touchpoint of the body has the canonical form.")
INTERNAL = Problem("internal", 500, "Jalon failed at this; the touchpoints may be sent again.")
LOG_UNAVAILABLE = Problem("log-unavailable", 503, "The event log did not confirm the touchpoints; send them again.")
KEYS_UNAVAILABLE = Problem("keys-unavailable", 503, "The write keys are not loaded yet; send it again.")
OVERLOADED = Problem("overloaded", 503, "Too much is being received at this moment; send it again.")

RETRY_AFTER: tuple[bytes, bytes] = (b"retry-after", b"1")
"""In seconds. What can be sent again is sent again soon: ingest recovers within a moment of its log."""


@dataclass(eq=False)
class Refusal(JalonError):
    """The request is answered with this problem."""

    problem: Problem
    detail: str = ""
    members: dict[str, Any] = field(default_factory=dict)
    headers: Headers = ()

    def __post_init__(self) -> None:
        super().__init__(self.detail or self.problem.title)

    def response(self) -> Response:
        problem, detail = self.problem, self.detail or self.problem.title
        body = {
            "type": f"urn:jalon:problem:{problem.code}",
            "title": problem.title,
            "status": problem.status,
            "detail": detail,
            "code": problem.code,
            "message": detail,
            **self.members,
        }
        retry = (RETRY_AFTER,) if problem.status == 503 else ()
        return Response(problem.status, msgspec.json.encode(body), b"application/problem+json", (*retry, *self.headers))
