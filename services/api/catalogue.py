"""The definitions in force, as readers ask for them: labels by name, and what may come next of each stage.

What does not depend on the customer is encoded once here, when definitions change, and not with each answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import msgspec

from journey.durations import format_duration
from journey.errors import JalonError, StoreUnavailable
from journey.grammar import Definition, Label, Objection, Pain, Rule
from journey.machine import BEGINS, Journeys, Machine
from journey.outcomes import Kind
from journey.plan import DEAD_TIME, Edge, Plan, Timer
from plumbing.store.definitions import active_versions, load, load_active
from plumbing.store.engine import Engine, transaction
from plumbing.store.faults import store_faults
from plumbing.store.in_force import name_of
from plumbing.store.reading.customers import Found
from plumbing.telemetry import Action, log
from services.api.answers import AtLeast, JourneySummary, Named, Next, Proposal, Stage

_OTHERS_KEPT = 7
"""Catalogues of other versions: of the last ones that somebody asked about the past of."""

LOOKED_AT_EVERY = timedelta(seconds=1)

_LOOKS = 5
"""So often a customer is read anew while definitions change; once is what a switch takes."""

_FIXED_RULES = {
    BEGINS: Label(en="First contact", fr="Premier contact"),
    DEAD_TIME: Label(en="Silence too long", fr="Silence trop long"),
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """What may come next from one stage for one persona.

    As JSON: `by_touchpoint` the rules that touchpoints fire, without the brackets of the list; `by_time` each that time
    fires, with a `%b` where it says when.
    """

    by_touchpoint: bytes
    by_time: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class JourneyWords:
    """One machine and everything that answers say in its words."""

    machine: Machine
    summary: JourneySummary
    stages: Mapping[str, Stage]
    rules: Mapping[str, Label]
    personas: Mapping[str, Named]
    proposals: Mapping[str, Proposal]
    pains: Mapping[str, Pain]
    objections: Mapping[str, Objection]
    facts: Mapping[str, Mapping[str, Label]]
    outlooks: Mapping[str | None, Mapping[str, Outlook]]

    @property
    def definition(self) -> Definition:
        return self.machine.definition


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The definitions in force. `fingerprint` tells two catalogues apart, `in_force` is the store's name for it."""

    machines: Journeys
    journeys: Mapping[str, JourneyWords]
    fingerprint: bytes
    in_force: str


def make_catalogue(journeys: Journeys) -> Catalogue:
    """The catalogue of these machines."""
    words = {name: _words(machine) for name, machine in journeys.machines.items()}
    versions = msgspec.json.encode(sorted((name, machine.version) for name, machine in journeys.machines.items()))
    return Catalogue(journeys, words, sha256(versions).digest(), name_of(journeys))


class Catalogues:
    """The catalogue of now, kept up to date."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._current: Catalogue | None = None
        self._others: dict[tuple[tuple[str, int], ...], Catalogue] = {}
        self._versions: dict[str, int] = {}

    @property
    def current(self) -> Catalogue:
        """Raises `StoreUnavailable` until the definitions were read for the first time."""
        if self._current is None:
            raise StoreUnavailable("no journey definition was read yet")
        return self._current

    async def for_customer(self, find: Callable[[], Awaitable[Found]]) -> tuple[Found, Catalogue]:
        """A customer with the definitions by which their row was written, also while others come into force.

        Raises what `find` raises, and `StoreUnavailable`.
        """
        for _ in range(_LOOKS):
            found = await find()
            if found.in_force == self.current.in_force:
                return found, self.current
            await self.refresh()
        raise StoreUnavailable("definitions come into force faster than they can be read")

    async def of(self, versions: Mapping[str, int]) -> Catalogue:
        """The catalogue of other versions that are published. Raises `StoreUnavailable`."""
        key = tuple(sorted(versions.items()))
        if key not in self._others:
            self._others = dict([*self._others.items()][-_OTHERS_KEPT:])
            with store_faults():
                async with transaction(self._engine) as driver:
                    self._others[key] = make_catalogue(await load(driver, versions))
        return self._others[key]

    async def refresh(self) -> None:
        """Read the definitions again if other versions are in force. Raises `StoreUnavailable`."""
        with store_faults():
            versions = await active_versions(self._engine)
            if versions and versions != self._versions:
                self._current = make_catalogue(await load_active(self._engine))
                self._versions = versions

    async def follow(self) -> None:
        """Refresh until cancelled. While that does not work the catalogue stays as it is, and that is logged once."""
        failing = False
        while True:
            try:
                await self.refresh()
                failing = False
            except JalonError as error:
                if not failing:
                    log(Action.DEFINITIONS_NOT_REFRESHED, logging.WARNING, exc=error)
                failing = True
            await asyncio.sleep(LOOKED_AT_EVERY.total_seconds())


def _words(machine: Machine) -> JourneyWords:
    definition = machine.definition
    stages = {
        stage.name: Stage(name=stage.name, label=stage.label, phase=stage.phase.value) for stage in definition.stages
    }
    rules = {**_FIXED_RULES, **{rule.rule: rule.label for rule in definition.transitions}}
    return JourneyWords(
        machine=machine,
        summary=JourneySummary(
            journey=definition.journey,
            version=definition.version,
            label=definition.label,
            description=definition.description,
            stages=tuple(stages.values()),
        ),
        stages=stages,
        rules=rules,
        personas={persona.name: Named(name=persona.name, label=persona.label) for persona in definition.personas},
        proposals={
            action.name: Proposal(name=action.name, label=action.label, priority=action.priority)
            for action in definition.actions
        },
        pains={pain.name: pain for pain in definition.pains},
        objections={objection.name: objection for objection in definition.objections},
        facts=_facts(definition, rules),
        outlooks={
            persona: {stage: _outlook(definition, stages, plan) for stage, plan in plans.items()}
            for persona, plans in machine.plans.items()
        },
    )


def _facts(definition: Definition, rules: Mapping[str, Label]) -> dict[str, dict[str, Label]]:
    """What a fact of each kind may be named after."""
    pains = {pain.name: pain.label for pain in definition.pains}
    objections = {objection.name: objection.label for objection in definition.objections}
    actions = {action.name: action.label for action in definition.actions}
    return {
        Kind.DENIED: dict(rules),
        Kind.MOMENT: {moment.name: moment.label for moment in definition.moments},
        Kind.PAIN_OPENED: pains,
        Kind.PAIN_RESOLVED: pains,
        Kind.OBJECTION_RAISED: objections,
        Kind.OBJECTION_ANSWERED: objections,
        Kind.MEASURED: {measure.name: measure.label for measure in definition.measures},
        Kind.DEAD_TIME: {stage.name: stage.label for stage in definition.stages},
        Kind.PERSONA: {persona.name: persona.label for persona in definition.personas},
        Kind.ACTION_PROPOSED: actions,
        Kind.ACTION_WITHDRAWN: actions,
    }


def _outlook(definition: Definition, stages: Mapping[str, Stage], plan: Plan) -> Outlook:
    rules = {rule.rule: rule for rule in definition.transitions}
    ways = [_by_touchpoint(rule, stages, plan) for rule in definition.transitions]
    by_time = {
        timer.rule: _by_time(rules[timer.rule], timer, stages[timer.to])
        for timer in plan.timers
        if timer.to is not None
    }
    return Outlook(b",".join(msgspec.json.encode(way) for way in ways if way is not None), by_time)


def _by_time(rule: Rule, timer: Timer, to: Stage) -> bytes:
    way = Next(
        rule=timer.rule,
        label=rule.label,
        to=to,
        opens_run=timer.opens_run,
        after=format_duration(timer.after),
        of=timer.of.value,
    )
    undated, _, end = msgspec.json.encode(way).replace(b"%", b"%%").rpartition(b"null")
    return undated + b"%b" + end


def _by_touchpoint(rule: Rule, stages: Mapping[str, Stage], plan: Plan) -> Next | None:
    """The rule as the plan has it; None where it does not lead out of the stage."""
    edges: dict[str, Edge] = {
        type_: edge for type_, edges in plan.edges.items() for edge in edges if edge.rule == rule.rule
    }
    edge = next(iter(edges.values()), None)
    if edge is None or edge.denied:
        return None
    counted = edge.at_least
    return Next(
        rule=rule.rule,
        label=rule.label,
        to=stages[rule.to],
        opens_run=edge.opens_run,
        on=tuple(sorted(edges, key=rule.types.index)),
        where=rule.where,
        at_least=AtLeast(count=counted.count, within=format_duration(counted.within)) if counted else None,
    )
