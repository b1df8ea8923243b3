"""Answers to browsers: which pages may call, and what their scripts may see of the answer.

The origin is echoed, never `*`: trackers that send credentials are blocked by `*` altogether. That gives nothing away,
since what lets a request in is its write key, and no browser adds that by itself.
"""

from collections.abc import Iterable
from re import compile as pattern

from services.ingest.http import Head, Headers, Response

_MAX_AGE = b"7200"
"""Seconds that a browser may remember a preflight: the most that Chromium does."""

_header_names = pattern(rb"[\w-]+(?:\s*,\s*[\w-]+){0,31}").fullmatch


def cors_headers(head: Head) -> Headers:
    return (
        (b"access-control-allow-origin", head.headers[b"origin"]),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    )


def preflight(head: Head, methods: Iterable[str]) -> Response:
    """What a script of another origin may send: any header that it asks for, as none of them lets anyone in."""
    asked = head.headers.get(b"access-control-request-headers", b"")
    headers = [(b"access-control-allow-methods", ", ".join(methods).encode()), (b"access-control-max-age", _MAX_AGE)]
    if _header_names(asked):
        headers.append((b"access-control-allow-headers", asked))
    return Response(204, headers=tuple(headers))
