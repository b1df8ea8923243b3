"""Text that every store and every reader can hold."""

from re import compile as pattern

_control = pattern(r"[\x00-\x1f\x7f-\x9f]").search


def fits(text: str, limit: int) -> bool:
    """Whether text has 1 to `limit` bytes of UTF-8 and no control character."""
    return 0 < len(text) <= limit and len(text.encode()) <= limit and not _control(text)
