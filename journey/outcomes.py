"""What a step of the fold says: which transitions it made, which facts it found, and why.

    Outcome = Advanced | Ignored | Late | Rejected

Only `Advanced` carries a new state. The other three leave the state as it was, byte for byte.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from journey.state import Cause, CustomerState


class Kind(StrEnum):
    """What a fact can be."""

    DENIED = "denied"
    MOMENT = "moment"
    PAIN_OPENED = "pain_opened"
    PAIN_RESOLVED = "pain_resolved"
    OBJECTION_RAISED = "objection_raised"
    OBJECTION_ANSWERED = "objection_answered"
    MEASURED = "measured"
    DEAD_TIME = "dead_time"
    PERSONA = "persona"
    ACTION_PROPOSED = "action_proposed"
    ACTION_WITHDRAWN = "action_withdrawn"


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A customer moved from one stage to another, when it happened and why.

    `from_stage` is None where the journey begins. `place` counts the transitions of this journey at the same instant.
    """

    journey: str
    version: int
    run: int
    from_stage: str | None
    to_stage: str
    occurred_at: datetime
    place: int
    rule: str
    cause: Cause

    @property
    def id(self) -> bytes:
        """16 bytes that say the same as the transition: two that are equal have the same id."""
        return sha256(_encoder.encode(self)).digest()[:16]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """Something a fold found besides a transition; `name` is the definition's word for it."""

    journey: str
    run: int
    kind: Kind
    name: str
    stage: str
    occurred_at: datetime
    cause: Cause
    detail: Mapping[str, Any] = {}


_encoder = msgspec.json.Encoder(order="sorted")


class Advanced(msgspec.Struct, frozen=True):
    """The state moved on."""

    state: CustomerState
    transitions: tuple[Transition, ...] = ()
    facts: tuple[Fact, ...] = ()


class Ignored(msgspec.Struct, frozen=True):
    """The touchpoint is the last one again."""

    reason: str = "this touchpoint is the last one again"


class Late(msgspec.Struct, frozen=True):
    """The touchpoint belongs before what was folded already: the customer must be folded again."""

    reason: str


class Rejected(msgspec.Struct, frozen=True):
    """The touchpoint lies beyond the horizon and waits."""

    by: timedelta
    reason: str = "this touchpoint lies beyond the horizon"


Outcome = Advanced | Ignored | Late | Rejected
