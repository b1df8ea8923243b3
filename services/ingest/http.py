"""What passes between the edge and the formats: a request's head, and an answer. ASGI shows in `edge.py` only."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

Headers = tuple[tuple[bytes, bytes], ...]


class Head(NamedTuple):
    """A request without its body. Header names are lower case; of a header that came twice the last counts."""

    method: str
    path: str
    query: bytes
    headers: Mapping[bytes, bytes]

    @property
    def content_type(self) -> bytes:
        """The media type, lower case, without parameters; empty when not given."""
        return _media_type(self.headers.get(b"content-type", b""))


@lru_cache(maxsize=256)  # clients write it in the same few ways
def _media_type(value: bytes) -> bytes:
    return value.partition(b";")[0].strip().lower()


class Response(NamedTuple):
    """An answer: status, body, its media type, and headers besides those of the body."""

    status: int
    body: bytes = b""
    content_type: bytes = b"application/json"
    headers: Headers = ()
