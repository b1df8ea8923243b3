"""From completed touchpoints to records of the log: the key, and the CloudEvents attributes as Kafka headers.

Binary content mode of the CloudEvents Kafka binding 1.0: `ce_` headers in UTF-8, the value is the touchpoint's JSON.
"""

from functools import lru_cache

import msgspec

from journey.touchpoint_checks import Admission
from plumbing.log.port import Record

_SPEC = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")
_instant = msgspec.json.Encoder().encode


def records_of(admission: Admission, source: str) -> list[Record]:
    """One record a touchpoint, under its routing key."""
    from_source = ("ce_source", source.encode())
    return [
        Record(
            key,
            value,
            (
                _SPEC,
                ("ce_id", touchpoint.id.encode()),
                from_source,
                _typed(touchpoint.type),
                ("ce_time", _instant(touchpoint.occurred_at)[1:-1]),
                _JSON,
            ),
        )
        for touchpoint, key, value in zip(admission.touchpoints, admission.keys, admission.values, strict=True)
    ]


@lru_cache(maxsize=4096)
def _typed(name: str) -> tuple[str, bytes]:
    return "ce_type", name.encode()
