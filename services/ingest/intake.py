"""What happens to a body: read by its format, admitted, appended to the log, answered. The one way in."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from journey.errors import LogUnavailable
from journey.identifiers import IdentifierReader
from journey.touchpoint_checks import Refused, SentTouchpoint, Source, admit
from plumbing.clock import now
from plumbing.log.port import Record
from plumbing.telemetry import TOUCHPOINTS_ACCEPTED, TOUCHPOINTS_REJECTED
from services.ingest.formats import Format
from services.ingest.http import Head, Response
from services.ingest.problem import LOG_UNAVAILABLE, Refusal
from services.ingest.records import records_of


class Appender(Protocol):
    """What the intake needs of an `EventLog`."""

    async def append(self, records: Sequence[Record]) -> None: ...


class Intake:
    """Takes bodies in for any format."""

    def __init__(self, log: Appender, identifiers: IdentifierReader) -> None:
        self._log = log
        self._identifiers = identifiers

    async def take(self, head: Head, body: bytes, source: Source, wire: Format) -> Response:
        """The answer, once everything that it calls accepted is durable.

        Raises `Refusal`: whatever the format refuses; log-unavailable when it is not known whether the log has them.
        """
        reading = wire.read(head, body)
        admission = admit(reading.sent, source, self._identifiers, now())
        if admission.touchpoints:
            try:
                await self._log.append(records_of(admission, source.name))
            except LogUnavailable:
                raise Refusal(LOG_UNAVAILABLE) from None
            _accepted(source.name).inc(len(admission.touchpoints))
        refused = _in_order(reading.refused, admission.refused)
        return wire.answer(len(admission.touchpoints), refused)


_accepted = lru_cache(TOUCHPOINTS_ACCEPTED.labels)  # finding the series of a label costs more than counting


def _in_order(unread: Sequence[Refused], unfit: Sequence[Refused]) -> Sequence[Refused]:
    if not unread and not unfit:
        return ()
    refused = sorted((*unread, *unfit), key=lambda one: one.index)
    for one in refused:
        TOUCHPOINTS_REJECTED.labels(_reason(one)).inc()
    return refused


def _reason(refused: Refused) -> str:
    """The member at fault: a label must be one of few words, and never what somebody sent."""
    member = f"{refused.faults[0].pointer}/".split("/")[1]
    return member if member in SentTouchpoint.__struct_fields__ else "shape"
