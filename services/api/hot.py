"""The hottest reads, without a framework in the way: a profile by id, and by identifier.

GET /v1/customers/{id} and GET /v1/customers/by/{kind}/{value}, as customers are now. `routes/customers.py` documents
them, and answers those that ask for another instant.
"""

import logging
from urllib.parse import parse_qs

from journey.errors import OurFault
from plumbing.clock import monotonic
from plumbing.store.keys import Scope
from plumbing.store.reading.customers import Found
from plumbing.telemetry import API_REQUESTS, API_SECONDS, Action, log
from services.api.auth import Gate
from services.api.catalogue import Catalogues
from services.api.lookup import Lookup
from services.api.problem import INTERNAL, UNAVAILABLE, Refusal
from services.api.profile import Profiles
from services.serving import asgi

_PREFIX = "/v1/customers/"
_BY = "by/"
_ROUTE = "/v1/customers"

_FIXED_HEADERS = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"authorization, cookie"),
]


class HotReads:
    """An ASGI application that answers the hot reads itself and hands everything else on to `others`."""

    def __init__(
        self, others: asgi.App, *, gate: Gate, lookup: Lookup, profiles: Profiles, catalogues: Catalogues
    ) -> None:
        self._others = others
        self._gate = gate
        self._lookup = lookup
        self._profiles = profiles
        self._catalogues = catalogues
        self._seconds = API_SECONDS.labels(_ROUTE)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if _is_hot(scope):
            name = scope["path"][len(_PREFIX) :]
            if name.startswith(_BY) or (name and "/" not in name):
                await self._answer(scope, name, send)
                return
        await self._others(scope, receive, send)

    async def _answer(self, scope: asgi.Scope, name: str, send: asgi.Send) -> None:
        began = monotonic()
        try:
            status, headers, body = await self._profile(scope, name)
        except Refusal as refusal:
            status, headers, body = _refused(refusal)
        except OurFault:
            status, headers, body = _refused(Refusal(UNAVAILABLE))
        except Exception as error:  # noqa: BLE001 (whatever it was, the caller is told that it was ours)
            log(Action.REQUEST_FAILED, logging.ERROR, exc=error)
            status, headers, body = _refused(Refusal(INTERNAL))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        API_REQUESTS.labels(_ROUTE, status).inc()
        self._seconds.observe(monotonic() - began)

    async def _profile(self, scope: asgi.Scope, name: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        headers = {key: value.decode("latin-1") for key, value in scope["headers"]}
        reader = self._gate.reader(headers.get(b"authorization"), headers.get(b"cookie")).require(Scope.READ)
        query = scope["query_string"]
        found, catalogue = await self._catalogues.for_customer(lambda: self._find(name, query))
        personal = reader.sees_personal_data
        etag = self._profiles.etag(found, catalogue, personal)
        tagged = [*_FIXED_HEADERS, (b"etag", etag.encode())]
        if b"if-none-match" in headers and matches(headers[b"if-none-match"], etag):
            return 304, tagged, b""
        body = self._profiles.encode(found, catalogue, personal)
        return 200, [*tagged, (b"content-length", b"%d" % len(body))], body

    async def _find(self, name: str, query: bytes) -> Found:
        if not name.startswith(_BY):
            return await self._lookup.by_id(name)
        kind, _, value = name[len(_BY) :].partition("/")
        source = parse_qs(query.decode("latin-1")).get("source", [""])[0] if query else ""
        return await self._lookup.by_identifier(kind, value, source)


def _is_hot(scope: asgi.Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and scope["path"].startswith(_PREFIX)
        and b"at=" not in scope["query_string"]
    )


def matches(if_none_match: str, etag: str) -> bool:
    """Whether a caller has this version already, by the weak comparison of RFC 9110."""
    if if_none_match.strip() == "*":
        return True
    return any(one.strip().removeprefix("W/") == etag.removeprefix("W/") for one in if_none_match.split(","))


def _refused(refusal: Refusal) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    body = refusal.body
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    return refusal.problem.status, [*headers, (b"content-length", b"%d" % len(body))], body
