"""A definition compiled for the fold: what can happen in each stage, looked up by touchpoint type.

Each persona has its own plan of each stage, because a persona may change thresholds and switch rules off.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from journey.checks import check_together
from journey.conditions import Predicate, Traits, compile_where
from journey.errors import InvalidDefinition
from journey.grammar import (
    Action,
    AtLeast,
    Backward,
    Definition,
    Duration,
    Match,
    Measure,
    Override,
    Persona,
    Rule,
    Since,
    Stage,
)
from journey.outcomes import Kind
from journey.plan import DEAD_TIME, Edge, Mark, Marks, Plan, Proposal, Timer, Window
from journey.reads import Reads, reads
from journey.state import JourneyState
from journey.touchpoint import Touchpoint

BEGINS = "begins"
"""The rule by which a customer enters a journey."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One version of one journey, ready to fold."""

    definition: Definition
    name: str
    version: int
    initial: str
    begins_on: Mapping[str, Predicate] | None
    plans: Mapping[str | None, Mapping[str, Plan]]
    marks: Mapping[str, Marks]
    personas: tuple[tuple[str, Predicate], ...]
    actions: tuple[Action, ...]
    measures: Mapping[str, Measure]

    def begins(self, touchpoint: Touchpoint, traits: Traits) -> bool:
        """Whether this touchpoint brings a customer into the journey."""
        if self.begins_on is None:
            return True
        holds = self.begins_on.get(touchpoint.type)
        return holds is not None and holds(touchpoint, traits)

    def persona(self, touchpoint: Touchpoint, traits: Traits) -> str | None:
        """The first persona whose traits these are."""
        return next((name for name, holds in self.personas if holds(touchpoint, traits)), None)

    def plan(self, state: JourneyState) -> Plan:
        """What can happen next."""
        return self.plans[state.persona][state.stage]

    def timers(self, state: JourneyState) -> tuple[Timer, ...]:
        return self.plan(state).timers

    def edges(self, state: JourneyState, type_: str) -> tuple[Edge, ...]:
        return self.plan(state).edges.get(type_, ())

    def sums(self, parts: Collection[str]) -> Iterator[Measure]:
        """The measures that add up one of `parts` and others."""
        return (measure for measure in self.measures.values() if not set(measure.sum_of).isdisjoint(parts))


@dataclass(frozen=True, slots=True)
class Journeys:
    """The definitions that are in force together, by name, and what any of them looks at in a touchpoint.

    `fingerprint` (8 bytes) names the versions: what was folded under other ones has another.
    """

    machines: Mapping[str, Machine]
    traits: frozenset[str]
    reads: Reads
    fingerprint: bytes


def compile_journeys(definitions: Iterable[Definition]) -> Journeys:
    """The machines of a set of definitions.

    Raises `InvalidDefinition` when they do not go together.
    """
    ordered = sorted(definitions, key=lambda definition: definition.journey)
    faults = check_together(ordered)
    if faults:
        raise InvalidDefinition(faults=tuple(faults))
    looked_at = reads(ordered)
    versions = " ".join(f"{definition.journey}:{definition.version}" for definition in ordered)
    return Journeys(
        machines={definition.journey: compile_machine(definition) for definition in ordered},
        traits=looked_at.traits,
        reads=looked_at,
        fingerprint=sha256(versions.encode()).digest()[:8],
    )


def compile_machine(definition: Definition) -> Machine:
    """The machine of one definition that `parse` returned."""
    marks = _marks(definition)
    guards = {rule.rule: compile_where(rule.where) for rule in definition.transitions}
    plans: dict[str | None, Mapping[str, Plan]] = {
        persona.name if persona else None: {
            stage.name: _plan(definition, stage, persona, guards, frozenset(marks)) for stage in definition.stages
        }
        for persona in (None, *definition.personas)
    }
    return Machine(
        definition=definition,
        name=definition.journey,
        version=definition.version,
        initial=definition.initial,
        begins_on=_begins(definition.begins),
        plans=plans,
        marks=marks,
        personas=tuple((persona.name, compile_where(persona.where)) for persona in definition.personas),
        actions=_by_priority(definition),
        measures={measure.name: measure for measure in definition.measures},
    )


def _begins(match: Match | None) -> Mapping[str, Predicate] | None:
    return None if match is None else dict.fromkeys(match.types, compile_where(match.where))


def _by_priority(definition: Definition) -> tuple[Action, ...]:
    return tuple(sorted(definition.actions, key=lambda action: (-action.priority, action.name)))


# --- the plan of one stage for one persona ----------------------------------------------------------------------------


def _plan(
    definition: Definition,
    stage: Stage,
    persona: Persona | None,
    guards: Mapping[str, Predicate],
    marked: frozenset[str],
) -> Plan:
    edges: dict[str, tuple[Edge, ...]] = {}
    windows: dict[str, tuple[Window, ...]] = {}
    timers = _dead_time(stage, persona)
    for rule in definition.transitions:
        if stage.name not in definition.departures(rule):
            continue
        override = (persona and persona.transitions.get(rule.rule)) or Override()
        holds = guards[rule.rule]
        for type_ in rule.types:
            if rule.at_least:
                window = Window(rule.rule, holds, _widest(definition, rule, rule.at_least))
                windows[type_] = (*windows.get(type_, ()), window)
            if not override.disabled:
                edges[type_] = (*edges.get(type_, ()), _edge(definition, rule, override, stage.name, holds))
        if rule.after and not override.disabled:
            timers += (Timer(rule.rule, rule.to, _length(override.after or rule.after), rule.of, rule.run is not None),)
    return Plan(
        edges=edges,
        windows=windows,
        timers=timers,
        proposals=tuple(_proposals(definition, stage, persona)),
        heeds=frozenset(edges) | frozenset(windows) | marked,
        silence=min((timer.after for timer in timers if timer.of is Since.SILENCE), default=None),
        stay=min((timer.after for timer in timers if timer.of is Since.STAGE), default=None),
    )


def _dead_time(stage: Stage, persona: Persona | None) -> tuple[Timer, ...]:
    length = (persona and persona.dead_time.get(stage.name)) or stage.dead_time
    return (Timer(DEAD_TIME, None, _length(length), Since.SILENCE),) if length else ()


def _length(duration: Duration) -> timedelta:
    """The same length without the ISO form: a state is written by MessagePack's own rules."""
    return timedelta(days=duration.days, seconds=duration.seconds)


def _edge(definition: Definition, rule: Rule, override: Override, stage: str, holds: Predicate) -> Edge:
    denied = rule.backward is Backward.DENY and definition.is_backward(stage, rule)
    return Edge(rule.rule, rule.to, holds, override.at_least or rule.at_least, denied, rule.run is not None)


def _widest(definition: Definition, rule: Rule, own: AtLeast) -> AtLeast:
    """The window that is large enough for every persona's version of a rule."""
    overrides = (persona.transitions.get(rule.rule) for persona in definition.personas)
    all_of_them = [own, *(override.at_least for override in overrides if override and override.at_least)]
    return AtLeast(
        count=max(at_least.count for at_least in all_of_them), within=max(at_least.within for at_least in all_of_them)
    )


def _proposals(definition: Definition, stage: Stage, persona: Persona | None) -> Iterator[Proposal]:
    for action in _by_priority(definition):
        when = action.when
        of_stage = not when.stages or stage.name in when.stages
        if of_stage and (not when.personas or (persona is not None and persona.name in when.personas)):
            yield Proposal(action.name, frozenset(when.pains), frozenset(when.objections), when.dead_time)


# --- what touchpoints mean besides ------------------------------------------------------------------------------------


def _marks(definition: Definition) -> Mapping[str, Marks]:
    """What each touchpoint type may mean, in the order of the document."""
    parts: dict[str, list[tuple[str, Mark]]] = {}

    def add(part: str, match: Match, name: str, kind: Kind, at_least: AtLeast | None = None) -> None:
        mark = Mark(name, kind, compile_where(match.where), at_least)
        for type_ in match.types:
            parts.setdefault(type_, []).append((part, mark))

    for moment in definition.moments:
        add("moments", Match(on=moment.on, where=moment.where), moment.name, Kind.MOMENT)
    for pain in definition.pains:
        add("opens", Match(on=pain.on, where=pain.where), pain.name, Kind.PAIN_OPENED, pain.at_least)
        add("closes", pain.resolved_by, pain.name, Kind.PAIN_RESOLVED)
    for objection in definition.objections:
        raised = Match(on=objection.on, where=objection.where)
        add("opens", raised, objection.name, Kind.OBJECTION_RAISED, objection.at_least)
        add("closes", objection.answered_by, objection.name, Kind.OBJECTION_ANSWERED)
    for measure in definition.measures:
        if measure.starts and measure.stops:
            add("starts", measure.starts, measure.name, Kind.MEASURED)
            add("stops", measure.stops, measure.name, Kind.MEASURED)

    def pick(found: list[tuple[str, Mark]], part: str) -> tuple[Mark, ...]:
        return tuple(mark for name, mark in found if name == part)

    pieces = ("moments", "closes", "opens", "stops", "starts")
    return {type_: Marks(*(pick(found, part) for part in pieces)) for type_, found in parts.items()}
