"""The words in which a company writes a journey, as frozen types.

The grammar is `schemas/journey.schema.json`; `docs/journeys.md` explains it to the people who write it.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec


class Phase(StrEnum):
    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Aim(StrEnum):
    """What a moment of truth wins or loses."""

    TRUST = "trust"
    RECOGNITION = "recognition"
    EFFORT = "effort"
    TRANSPARENCY = "transparency"
    PROACTIVITY = "proactivity"


class Since(StrEnum):
    """What a delayed transition counts from."""

    SILENCE = "silence"
    STAGE = "stage"


class Backward(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class Run(StrEnum):
    NEXT = "next"


class Duration(timedelta):
    """A fixed length of time, written in ISO 8601."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A part of a definition: unknown words are refused."""


class Label(_Part, frozen=True, kw_only=True):
    en: str
    fr: str


class Synonyms(_Part, frozen=True, kw_only=True):
    en: tuple[str, ...] = ()
    fr: tuple[str, ...] = ()


class AtLeast(_Part, frozen=True, kw_only=True):
    count: int
    within: Duration


Where = Mapping[str, Any]
Types = str | tuple[str, ...]


class Match(_Part, frozen=True, kw_only=True):
    """Touchpoints of certain types for which certain conditions hold."""

    on: Types
    where: Where = {}

    @property
    def types(self) -> tuple[str, ...]:
        return (self.on,) if isinstance(self.on, str) else self.on


class Stage(_Part, frozen=True, kw_only=True):
    name: str
    phase: Phase
    label: Label
    synonyms: Synonyms = Synonyms()
    description: Label | None = None
    dead_time: Duration | None = None


class Rule(_Part, frozen=True, kw_only=True):
    """A transition: caused by a touchpoint (`on`) or by time (`after`)."""

    rule: str
    label: Label
    from_: str | tuple[str, ...] = msgspec.field(name="from")
    to: str
    on: Types | None = None
    where: Where = {}
    at_least: AtLeast | None = None
    after: Duration | None = None
    of: Since = Since.SILENCE
    backward: Backward | None = None
    reason: Label | None = None
    run: Run | None = None

    @property
    def types(self) -> tuple[str, ...]:
        return () if self.on is None else (self.on,) if isinstance(self.on, str) else self.on


class Override(_Part, frozen=True, kw_only=True):
    """What is different about a rule for one persona."""

    after: Duration | None = None
    at_least: AtLeast | None = None
    disabled: bool = False


class Persona(_Part, frozen=True, kw_only=True):
    name: str
    label: Label
    where: Where
    description: Label | None = None
    dead_time: Mapping[str, Duration] = {}
    transitions: Mapping[str, Override] = {}


class Moment(_Part, frozen=True, kw_only=True):
    name: str
    label: Label
    on: Types
    where: Where = {}
    aim: Aim
    measure: Label


class Pain(_Part, frozen=True, kw_only=True):
    name: str
    label: Label
    on: Types
    where: Where = {}
    at_least: AtLeast | None = None
    severity: int
    resolved_by: Match
    cause: Label | None = None


class Objection(_Part, frozen=True, kw_only=True):
    name: str
    label: Label
    on: Types
    where: Where = {}
    at_least: AtLeast | None = None
    answered_by: Match


class Measure(_Part, frozen=True, kw_only=True):
    """The time between two touchpoints of a run, or the sum of such times, with its budget."""

    name: str
    label: Label
    starts: Match | None = None
    stops: Match | None = None
    sum_of: tuple[str, ...] = ()
    budget: Duration


class Content(_Part, frozen=True, kw_only=True):
    item: str
    label: Label
    kind: str
    stages: tuple[str, ...]
    where: Where
    call_to_action: Label


class When(_Part, frozen=True, kw_only=True):
    """The circumstances of an action; those that are given must hold together."""

    stages: tuple[str, ...] = ()
    personas: tuple[str, ...] = ()
    pains: tuple[str, ...] = ()
    objections: tuple[str, ...] = ()
    dead_time: bool = False


class Action(_Part, frozen=True, kw_only=True):
    name: str
    label: Label
    priority: int
    when: When


class Incoherence(_Part, frozen=True, kw_only=True):
    with_: str = msgspec.field(name="with")
    pairs: tuple[tuple[str, str], ...]
    reason: Label


class Definition(_Part, frozen=True, kw_only=True):
    """One version of one journey."""

    journey: str
    version: int
    label: Label
    description: Label | None = None
    initial: str
    begins: Match | None = None
    stages: tuple[Stage, ...]
    transitions: tuple[Rule, ...]
    personas: tuple[Persona, ...] = ()
    moments: tuple[Moment, ...] = ()
    pains: tuple[Pain, ...] = ()
    objections: tuple[Objection, ...] = ()
    measures: tuple[Measure, ...] = ()
    content: tuple[Content, ...] = ()
    actions: tuple[Action, ...] = ()
    incoherent: tuple[Incoherence, ...] = ()

    def stage(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def position(self, name: str) -> int:
        """Where a stage stands in the forward order, from 0."""
        return next(index for index, stage in enumerate(self.stages) if stage.name == name)

    def departures(self, rule: Rule) -> Iterator[str]:
        """The stages from which a rule leaves.

        `any` is every stage but the rule's own target; without a backward policy, only those before the target. A rule
        that opens the next run leaves from everywhere that it names.
        """
        if rule.from_ != "any":
            yield from (rule.from_,) if isinstance(rule.from_, str) else rule.from_
            return
        for stage in self.stages:
            if rule.run or (stage.name != rule.to and (rule.backward or not self.is_backward(stage.name, rule))):
                yield stage.name

    def is_backward(self, stage: str, rule: Rule) -> bool:
        """Whether following `rule` from `stage` would move the customer back within a run."""
        return rule.run is None and self.position(rule.to) < self.position(stage)
