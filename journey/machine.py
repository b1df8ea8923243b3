"""A definition compiled for the fold: what can happen in each stage, looked up by touchpoint type.

There is one variant of the machine for each persona, because a persona may change thresholds and switch rules off.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from journey.checks import check_together
from journey.conditions import Predicate, Traits, compile_where, traits_named
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
)
from journey.outcomes import Kind
from journey.state import JourneyState
from journey.touchpoint import Touchpoint

BEGINS = "begins"
"""The rule by which a customer enters a journey."""

DEAD_TIME = "dead_time"


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
class Timer:
    """What time causes in one stage: a transition, or (`to` is None) the fact that the silence is too long."""

    rule: str
    to: str | None
    after: timedelta
    of: Since
    opens_run: bool = False


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


@dataclass(frozen=True, slots=True)
class Variant:
    """The transitions as they are for one persona, by stage."""

    edges: Mapping[str, Mapping[str, tuple[Edge, ...]]]
    timers: Mapping[str, tuple[Timer, ...]]


@dataclass(frozen=True, slots=True)
class Machine:
    """One version of one journey, ready to fold."""

    definition: Definition
    name: str
    version: int
    initial: str
    begins_on: Mapping[str, Predicate] | None
    variants: Mapping[str | None, Variant]
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

    def timers(self, state: JourneyState) -> tuple[Timer, ...]:
        return self.variants[state.persona].timers[state.stage]

    def edges(self, state: JourneyState, type_: str) -> tuple[Edge, ...]:
        return self.variants[state.persona].edges[state.stage].get(type_, ())

    def sums(self, part: str) -> Iterator[Measure]:
        """The measures that add up `part` and others."""
        return (measure for measure in self.measures.values() if part in measure.sum_of)


@dataclass(frozen=True, slots=True)
class Journeys:
    """The definitions that are in force together, by name, and the traits that any of them looks at."""

    machines: Mapping[str, Machine]
    traits: frozenset[str]


def compile_journeys(definitions: Iterable[Definition]) -> Journeys:
    """The machines of a set of definitions.

    Raises `InvalidDefinition` when they do not go together.
    """
    ordered = sorted(definitions, key=lambda definition: definition.journey)
    faults = check_together(ordered)
    if faults:
        raise InvalidDefinition(faults=tuple(faults))
    traits = frozenset().union(*(_traits(definition) for definition in ordered))
    return Journeys({definition.journey: compile_machine(definition) for definition in ordered}, traits)


def compile_machine(definition: Definition) -> Machine:
    """The machine of one definition that `parse` returned."""
    variants: dict[str | None, Variant] = {None: _variant(definition, None)}
    variants |= {persona.name: _variant(definition, persona) for persona in definition.personas}
    return Machine(
        definition=definition,
        name=definition.journey,
        version=definition.version,
        initial=definition.initial,
        begins_on=_begins(definition.begins),
        variants=variants,
        marks=_marks(definition),
        personas=tuple((persona.name, compile_where(persona.where)) for persona in definition.personas),
        actions=tuple(sorted(definition.actions, key=lambda action: (-action.priority, action.name))),
        measures={measure.name: measure for measure in definition.measures},
    )


def _begins(match: Match | None) -> Mapping[str, Predicate] | None:
    return None if match is None else dict.fromkeys(match.types, compile_where(match.where))


def _variant(definition: Definition, persona: Persona | None) -> Variant:
    edges: dict[str, dict[str, tuple[Edge, ...]]] = {stage.name: {} for stage in definition.stages}
    timers: dict[str, tuple[Timer, ...]] = {}
    for stage in definition.stages:
        dead_time = (persona and persona.dead_time.get(stage.name)) or stage.dead_time
        timers[stage.name] = (Timer(DEAD_TIME, None, _length(dead_time), Since.SILENCE),) if dead_time else ()
    for rule in definition.transitions:
        override = (persona and persona.transitions.get(rule.rule)) or Override()
        if override.disabled:
            continue
        holds = compile_where(rule.where)
        for stage_name in definition.departures(rule):
            if rule.after:
                timers[stage_name] += (_timer(rule, override),)
            for type_ in rule.types:
                edge = _edge(definition, rule, override, stage_name, holds)
                edges[stage_name][type_] = (*edges[stage_name].get(type_, ()), edge)
    return Variant(edges, timers)


def _timer(rule: Rule, override: Override) -> Timer:
    after = override.after or rule.after
    assert after is not None  # only called for rules by time
    return Timer(rule.rule, rule.to, _length(after), rule.of, rule.run is not None)


def _length(duration: Duration) -> timedelta:
    """The same length without the ISO form: a state is written by MessagePack's own rules."""
    return timedelta(days=duration.days, seconds=duration.seconds)


def _edge(definition: Definition, rule: Rule, override: Override, stage: str, holds: Predicate) -> Edge:
    denied = rule.backward is Backward.DENY and definition.is_backward(stage, rule)
    return Edge(rule.rule, rule.to, holds, override.at_least or rule.at_least, denied, rule.run is not None)


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


def _traits(definition: Definition) -> frozenset[str]:
    """The traits that a definition looks at anywhere."""
    guards = [rule.where for rule in definition.transitions]
    guards += [persona.where for persona in definition.personas]
    guards += [moment.where for moment in definition.moments]
    for pain in definition.pains:
        guards += [pain.where, pain.resolved_by.where]
    for objection in definition.objections:
        guards += [objection.where, objection.answered_by.where]
    for measure in definition.measures:
        guards += [end.where for end in (measure.starts, measure.stops) if end]
    if definition.begins:
        guards.append(definition.begins.where)
    return frozenset().union(*map(traits_named, guards))
