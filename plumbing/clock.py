"""The clock and the makers of names: the only place that asks the machine for the time or for chance."""

import os
import secrets
import time
from datetime import UTC, datetime
from uuid import UUID


def now() -> datetime:
    """This instant, aware, UTC, to the microsecond."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds from some fixed point; never goes back. For deadlines and durations, not for dates."""
    return time.monotonic()


def new_id() -> str:
    """A UUID version 7 (RFC 9562) as 32 hexadecimal digits: unique, and sorts roughly by when it was made."""
    milliseconds = time.time_ns() // 1_000_000
    chance = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | chance
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    return UUID(int=value).hex


def new_secret() -> str:
    """A secret of 256 bits, in URL-safe letters: for keys and tokens."""
    return secrets.token_urlsafe(32)
