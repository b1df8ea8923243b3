"""What a definition compiles to: for each persona and stage, everything that can happen there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from journey.conditions import Predicate
from journey.grammar import AtLeast, Since
from journey.outcomes import Kind

DEAD_TIME = "dead_time"
"""The name of the timer that finds a silence too long."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition that a touchpoint may cause in one stage."""

    rule: str
    to: str
    holds: Predicate
    at_least: AtLeast | None
    denied: bool
    opens_run: bool


@dataclass(frozen=True, slots=True)
class Window:
    """What a stage remembers for a rule that counts: the latest `keep.count` matches within `keep.within`.

    It keeps what the most demanding persona needs, since a customer's persona may change in the middle of a stay.
    """

    rule: str
    holds: Predicate
    keep: AtLeast


@dataclass(frozen=True, slots=True)
class Timer:
    """What time causes in one stage: a transition, or (`to` is None) the fact that the silence is too long."""

    rule: str
    to: str | None
    after: timedelta
    of: Since
    opens_run: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action that a stage and persona allow, and what it waits for: one of these concerns, too long a silence."""

    name: str
    pains: frozenset[str]
    objections: frozenset[str]
    dead_time: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """All that can happen in one stage to customers of one persona.

    `edges` and `windows` are looked up by touchpoint type; `heeds` has the types that mean anything at all here.
    `silence` and `stay` are the shortest of the timers that count from either: within them no timer is due.
    """

    edges: Mapping[str, tuple[Edge, ...]]
    windows: Mapping[str, tuple[Window, ...]]
    timers: tuple[Timer, ...]
    proposals: tuple[Proposal, ...]
    heeds: frozenset[str]
    silence: timedelta | None
    stay: timedelta | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A named thing that a touchpoint may mean, and the fact it then becomes."""

    name: str
    kind: Kind
    holds: Predicate
    at_least: AtLeast | None = None


@dataclass(frozen=True, slots=True)
class Marks:
    """All that touchpoints of one type may mean besides a transition."""

    moments: tuple[Mark, ...]
    closes: tuple[Mark, ...]
    opens: tuple[Mark, ...]
    stops: tuple[Mark, ...]
    starts: tuple[Mark, ...]
