"""The wire formats: each maps bytes to touchpoints as their source tells them, and says how to answer. Nothing else."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from journey.touchpoint_checks import Refused, SentTouchpoint
from services.ingest.http import Head, Response

MAX_BATCH = 5_000
"""Touchpoints in one request."""


class Reading(NamedTuple):
    """What a body said: touchpoints with their place in it, and what could not even be read as one."""

    sent: Sequence[tuple[int, SentTouchpoint]]
    refused: Sequence[Refused] = ()


class Format(Protocol):
    """One wire format, under one or more paths."""

    def read(self, head: Head, body: bytes) -> Reading:
        """Raises `Refusal` when the body as a whole is not of this format."""

    def answer(self, accepted: int, refused: Sequence[Refused]) -> Response:
        """The answer when `accepted` touchpoints are durable and `refused`, in order of their place, are not taken.

        May raise `Refusal` instead.
        """
