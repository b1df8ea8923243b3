"""Dead letters: records that could not become touchpoints, with their bytes and the reason."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from plumbing.store.engine import Driver
from plumbing.store.rows import put


class DeadLetter(NamedTuple):
    """A record as it was read, in the order of the columns. `headers` is a MessagePack list of [name, bytes]."""

    topic: str
    partition: int
    log_offset: int
    source: str | None
    reason: str
    key: bytes
    value: bytes
    headers: bytes
    rejected_at: datetime


async def keep(driver: Driver, letters: Sequence[DeadLetter]) -> None:
    """Write dead letters, as part of the batch that read them."""
    await put(driver, "dead_letters", DeadLetter._fields, letters)
