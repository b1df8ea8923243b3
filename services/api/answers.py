"""The bodies of all answers, as types: what is encoded, and what `schemas/openapi-api.json` promises."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from journey.grammar import Label

Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$", description="an id of the customer; all their ids answer")]
Cause = Annotated[
    Mapping[str, Any],
    msgspec.Meta(description="a touchpoint (`source`, `id`, `type`, `channel`) or a timer (`of`, `since`, `after`)"),
]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Every member is always there, null where there is nothing to say."""


class Identifier(Answer, frozen=True, kw_only=True):
    """`value` is masked (`masked` is true) for those who may not see personal data."""

    kind: str
    value: str
    masked: bool


class NamedIdentifier(Answer, frozen=True, kw_only=True):
    """An identifier and the customer id that it mints."""

    id: Id
    kind: str
    value: str
    masked: bool


class TouchpointKey(Answer, frozen=True, kw_only=True):
    source: str
    id: str


class Stage(Answer, frozen=True, kw_only=True):
    name: str
    label: Label
    phase: str


class Named(Answer, frozen=True, kw_only=True):
    name: str
    label: Label


class Why(Answer, frozen=True, kw_only=True):
    """The rule that moved the customer, in the version of the definition that is in force, and what made it hold."""

    rule: str
    label: Label
    version: int
    cause: Cause


class AtLeast(Answer, frozen=True, kw_only=True):
    count: int
    within: str


class Next(Answer, frozen=True, kw_only=True):
    """A rule that leads out of the stage.

    By a touchpoint: one of the types `on` for which `where` holds, when it is `at_least` the n-th of them. By time:
    `after` so long of silence or in the stage (`of`), hence at `due_at` if nothing happens before.
    """

    rule: str
    label: Label
    to: Stage
    opens_run: bool
    on: tuple[str, ...] = ()
    where: Mapping[str, Any] = {}
    at_least: AtLeast | None = None
    after: str | None = None
    of: str | None = None
    due_at: datetime | None = None  # the last one: see `Outlook`


class DeadTime(Answer, frozen=True, kw_only=True):
    """Too long a silence: since when it is one, or else when it will be."""

    since: datetime | None
    due_at: datetime | None


class Concern(Answer, frozen=True, kw_only=True):
    """A pain (with its severity from 1 to 5) or an objection (without) that is open."""

    name: str
    label: Label
    since: datetime
    severity: int | None


class Proposal(Answer, frozen=True, kw_only=True):
    name: str
    label: Label
    priority: int


class JourneyOfCustomer(Answer, frozen=True, kw_only=True):
    """Where the customer is in one journey."""

    journey: str
    label: Label
    version: int
    stage: Stage
    run: int
    since: datetime
    why: Why
    persona: Named | None
    dead_time: DeadTime
    pains: tuple[Concern, ...]
    objections: tuple[Concern, ...]
    actions: tuple[Proposal, ...]
    next: tuple[Next, ...]


class Profile(Answer, frozen=True, kw_only=True):
    """A customer now. It is true of the instant `horizon`; `traits` is null for those who may not see personal data."""

    id: Id
    identifiers: tuple[Identifier, ...]
    last_heard_at: datetime | None
    traits: Mapping[str, Any] | None
    journeys: tuple[JourneyOfCustomer, ...]
    horizon: datetime
    revision: int


class Tie(Answer, frozen=True, kw_only=True):
    """How a touchpoint is tied to the customer.

    By the kind of identifier `by`; `claimed` when that is a device or a reference whose owner the customer is.
    """

    by: str
    claimed: bool


class TimelineItem(Answer, frozen=True, kw_only=True, tag_field="kind"):
    occurred_at: datetime


class TouchpointItem(TimelineItem, frozen=True, kw_only=True, tag="touchpoint"):
    """`properties`, `traits` and `context` are null for those who may not see personal data: any may hold some."""

    id: str
    source: str
    type: str
    channel: str
    initiator: str
    service_mode: str | None
    sequence: int
    received_at: datetime
    tied: Tie
    properties: Mapping[str, Any] | None
    traits: Mapping[str, Any] | None
    context: Mapping[str, Any] | None


class TransitionItem(TimelineItem, frozen=True, kw_only=True, tag="transition"):
    """`retracted_at` says since when it no longer holds, because something came late.

    `learned_at` is null in an answer as of `known_at`, which is worked out anew.
    """

    id: str
    journey: str
    run: int
    from_stage: str | None
    to_stage: str
    from_label: Label | None
    to_label: Label | None
    learned_at: datetime | None
    retracted_at: datetime | None
    rule: str
    rule_label: Label | None
    version: int
    cause: Cause


class FactItem(TimelineItem, frozen=True, kw_only=True, tag="fact"):
    """`fact` is its kind (`pain_opened`, `moment`, `measured` …), `name` the definition's word for it."""

    fact: str
    name: str
    label: Label | None
    journey: str
    run: int
    stage: str
    cause: Cause
    detail: Mapping[str, Any]


Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A part of a list; `next` is the cursor of the part behind it, null at the end."""

    items: tuple[Item, ...]
    next: str | None


class PageAsOf(msgspec.Struct, Generic[Item], frozen=True, kw_only=True):
    """A part of a list that is true of the instant `as_of`."""

    items: tuple[Item, ...]
    next: str | None
    as_of: datetime


class StageCount(Answer, frozen=True, kw_only=True):
    stage: Stage
    customers: int


class Counts(Answer, frozen=True, kw_only=True):
    """How many customers are in each stage now, in forward order, as of the horizon."""

    journey: str
    as_of: datetime
    stages: tuple[StageCount, ...]


class JourneySummary(Answer, frozen=True, kw_only=True):
    journey: str
    version: int
    label: Label
    description: Label | None
    stages: tuple[Stage, ...]


class VersionSummary(Answer, frozen=True, kw_only=True):
    """A published version; `since` says when it came into force, where it is."""

    version: int
    active: bool
    published_at: datetime
    since: datetime | None


class Doubt(Answer, frozen=True, kw_only=True):
    """What deserves a second look, at a JSON pointer into the definition."""

    pointer: str
    detail: str


class PublishedVersion(Answer, frozen=True, kw_only=True):
    """`new` is false where it was published before, with the same rules."""

    journey: str
    version: int
    new: bool
    doubts: tuple[Doubt, ...]


class Build(Answer, frozen=True, kw_only=True):
    """A version that is built beside the one in force: `building`, `built`, `activated`, or `dropped`.

    So many customers are `folded` of about so many. `activate`: it comes into force as soon as it is built. `refused`
    says why it was dropped.
    """

    journey: str
    version: int
    state: str
    activate: bool
    folded: int
    customers: int
    began_at: datetime
    ended_at: datetime | None
    refused: str | None


class Explanation(Answer, frozen=True, kw_only=True):
    """Why a customer is in a stage: the rule of which version, and what made it hold."""

    stage: str
    since: datetime
    run: int
    rule: str
    version: int
    cause: Cause


class MatrixSample(Answer, frozen=True, kw_only=True):
    """A customer before and after; null where they are not in the journey."""

    id: Id
    before: Explanation | None
    now: Explanation | None


class MatrixCell(Answer, frozen=True, kw_only=True):
    """So many customers who are in one stage (null: not in the journey) would be in the other."""

    from_stage: str | None
    to_stage: str | None
    customers: int
    samples: tuple[MatrixSample, ...]


class DryRun(Answer, frozen=True, kw_only=True):
    """What a build says of those whom it has folded; `moved` of them would be in another stage."""

    build: Build
    moved: int
    matrix: tuple[MatrixCell, ...]


class JourneyDetail(Answer, frozen=True, kw_only=True):
    """The active definition, in the words of the grammar, and all versions, newest first."""

    journey: str
    version: int
    label: Label
    stages: tuple[Stage, ...]
    definition: Mapping[str, Any]
    versions: tuple[VersionSummary, ...]


class CustomerInStage(Answer, frozen=True, kw_only=True):
    id: Id
    identifiers: tuple[Identifier, ...]
    since: datetime
    run: int


class Change(Answer, frozen=True, kw_only=True):
    """A message of the feed: what changed for a customer in a journey, and why. `id` names what it says."""

    feed_seq: int
    id: str
    journey: str
    written_at: datetime
    data: Mapping[str, Any]


class Changes(Answer, frozen=True, kw_only=True):
    """Messages in order, and the number to ask behind next.

    `reset` when some behind the number asked for are no longer kept: read the customers anew and go on from `next`.
    """

    items: tuple[Change, ...]
    next: int
    reset: bool


class Conflict(Answer, frozen=True, kw_only=True):
    """Two identifiers that met in a touchpoint and were not made one person (`link`), or one that so many people share
    that it links nothing (`shared`: `other` and `first_seen` are null).

    An `id` is one of the customer whom its identifier stands for.
    """

    reason: str
    one: NamedIdentifier
    other: NamedIdentifier | None
    refused_links: int
    first_seen: TouchpointKey | None


class Command(Answer, frozen=True, kw_only=True):
    """What somebody said about identities. `pending`: no stager has applied it, or its undoing, yet."""

    command: int
    verb: str
    identifiers: tuple[NamedIdentifier, ...]
    touchpoint: TouchpointKey | None
    given_by: str
    given_at: datetime
    undone_at: datetime | None
    pending: bool


class CommandGiven(Answer, frozen=True, kw_only=True):
    """The number to undo it by."""

    command: int


class Health(Answer, frozen=True, kw_only=True):
    status: str
