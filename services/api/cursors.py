"""Cursors: where a page ended, encrypted, so that nobody reads what is in one or makes one up.

A cursor belongs to the list that gave it: the same path with the same order.
"""

import base64
import binascii
from typing import TypeVar

import msgspec

from journey.errors import Misconfigured
from plumbing.store.sealing import Sealer
from services.api.problem import BAD_CURSOR, Refusal

Position = TypeVar("Position")


class Cursors:
    """Writes and reads cursors under the secret of the store."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def write(self, of: str, position: object) -> str:
        """The cursor of a place in the list `of`; `position` is a tuple of plain values."""
        text = msgspec.json.encode((of, position)).decode()
        return base64.urlsafe_b64encode(self._sealer.seal(text)).decode().rstrip("=")

    def read(self, of: str, cursor: str | None, form: type[Position]) -> Position | None:
        """The position in a cursor of the list `of`; None without a cursor. Raises `Refusal` (bad-cursor)."""
        if cursor is None:
            return None
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            name, position = msgspec.json.decode(self._sealer.unseal(sealed), type=tuple[str, form])  # type: ignore[valid-type]
        except (binascii.Error, ValueError, Misconfigured, msgspec.DecodeError):
            raise Refusal(BAD_CURSOR) from None
        if name != of:
            raise Refusal(BAD_CURSOR)
        return position
