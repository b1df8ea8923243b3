"""What makes a definition hold together, beyond its grammar. Each check yields its faults; none stops at the first."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from journey.conditions import check_where
from journey.errors import Fault
from journey.grammar import Backward, Definition, Match, Measure, Persona, Rule

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_JOURNEY = re.compile(r"[a-z][a-z0-9-]{0,63}")
_TYPE = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_TAKEN = {
    "begins": "the name of the rule by which every journey begins",
    "dead_time": "the name of the timer that finds a silence too long",
}
MOST_COUNTED = 100
"""The greatest `count` of an `at_least`: a state keeps that many instants."""
MOST_STAGES = 100


def check(definition: Definition) -> list[Fault]:
    """Everything that is wrong with a definition; empty when it holds together."""
    faults = list(_names(definition))
    if not faults:  # what follows looks names up
        for part in (_transitions, _personas, _concerns, _measures, _references, _timer_cycles):
            faults += part(definition)
    return faults


def check_together(definitions: Sequence[Definition]) -> list[Fault]:
    """What is wrong between definitions: names that meet twice, pairs that name stages which do not exist."""
    by_name = {definition.journey: definition for definition in definitions}
    faults = []
    if len(by_name) < len(definitions):
        faults.append(Fault("/journey", "two definitions have the same name"))
    for definition in definitions:
        for index, rule in enumerate(definition.incoherent):
            other = by_name.get(rule.with_)
            known = {stage.name for stage in other.stages} if other else set()
            for place, (_, stage) in enumerate(rule.pairs):
                if other and stage not in known:
                    pointer = f"/incoherent/{index}/pairs/{place}/1"
                    faults.append(Fault(pointer, f"{definition.journey}: {rule.with_} has no stage {stage!r}"))
    return faults


def _names(definition: Definition) -> Iterator[Fault]:
    if not _JOURNEY.fullmatch(definition.journey):
        yield Fault("/journey", "expected lower-case letters, digits and hyphens")
    if not 1 <= definition.version <= 1_000_000:
        yield Fault("/version", "expected a whole number from 1")
    if not 1 <= len(definition.stages) <= MOST_STAGES:
        yield Fault("/stages", f"expected from 1 to {MOST_STAGES} stages")
    lists: dict[str, list[str]] = {
        "stages": [stage.name for stage in definition.stages],
        "transitions": [rule.rule for rule in definition.transitions],
        "personas": [persona.name for persona in definition.personas],
        "moments": [moment.name for moment in definition.moments],
        "pains": [pain.name for pain in definition.pains],
        "objections": [objection.name for objection in definition.objections],
        "measures": [measure.name for measure in definition.measures],
        "actions": [action.name for action in definition.actions],
    }
    for part, names in lists.items():
        key = {"transitions": "rule"}.get(part, "name")
        for index, name in enumerate(names):
            if not _WORD.fullmatch(name):
                yield Fault(f"/{part}/{index}/{key}", "expected lower-case letters, digits and underscores")
        yield from _distinct(names, f"/{part}/{{}}/{key}")
    yield from _distinct([content.item for content in definition.content], "/content/{}/item")
    stages = set(lists["stages"])
    yield from _known([definition.initial], stages, "/initial", "stage", indexed=False)
    for index, rule in enumerate(definition.transitions):
        here = f"/transitions/{index}"
        yield from _known([rule.to], stages, f"{here}/to", "stage", indexed=False)
        if rule.from_ != "any":
            departures = (rule.from_,) if isinstance(rule.from_, str) else rule.from_
            yield from _known(departures, stages, f"{here}/from", "stage", indexed=not isinstance(rule.from_, str))
            yield from _distinct(departures, f"{here}/from/{{}}")


def _distinct(names: Sequence[str], pointer: str) -> Iterator[Fault]:
    """Faults of the names that stand twice; `pointer` has {} where the place in the list goes."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Fault(pointer.format(index), f"{name!r} stands twice")
        seen.add(name)


def _known(names: Sequence[str], known: set[str], pointer: str, what: str, *, indexed: bool = True) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if name not in known:
            yield Fault(f"{pointer}/{index}" if indexed else pointer, f"there is no {what} {name!r}")


def _transitions(definition: Definition) -> Iterator[Fault]:
    for index, rule in enumerate(definition.transitions):
        here = f"/transitions/{index}"
        if rule.rule in _TAKEN:
            yield Fault(f"{here}/rule", f"{rule.rule!r} is {_TAKEN[rule.rule]}")
        yield from _cause(rule, here)
        yield from _direction(definition, rule, here)


def _cause(rule: Rule, here: str) -> Iterator[Fault]:
    if (rule.on is None) == (rule.after is None):
        yield Fault(here, "expected either `on` (a touchpoint causes it) or `after` (time causes it)")
    if rule.on is not None:
        yield from _match(rule, here)
    elif rule.where or rule.at_least:
        yield Fault(here, "`where` and `at_least` look at touchpoints: a transition by time has none")


def _direction(definition: Definition, rule: Rule, here: str) -> Iterator[Fault]:
    departures = list(definition.departures(rule))
    if not departures:
        yield Fault(f"{here}/from", "no stage is left: every one stands after the target and `backward` is not given")
    if rule.run is None and rule.to in departures:
        yield Fault(f"{here}/to", "a transition from a stage to itself needs `run: next`")
    backward = any(definition.is_backward(stage, rule) for stage in departures)
    if backward and rule.backward is None:
        yield Fault(f"{here}/backward", "this moves customers back: expected allow or deny")
    if rule.backward and not backward:
        yield Fault(f"{here}/backward", "this never moves a customer back")
    if rule.backward and rule.reason is None:
        yield Fault(f"{here}/reason", "a backward policy needs its reason")
    if rule.backward is Backward.DENY and rule.after:
        yield Fault(f"{here}/backward", "a transition by time that is denied does nothing")


def _match(part: Any, here: str) -> Iterator[Fault]:
    types = (part.on,) if isinstance(part.on, str) else part.on
    if not types:
        yield Fault(f"{here}/on", "expected at least one touchpoint type")
    for name in types:
        if not _TYPE.fullmatch(name):
            yield Fault(f"{here}/on", "expected touchpoint types of 1 to 128 characters")
    yield from _distinct(types, f"{here}/on/{{}}")
    yield from check_where(part.where, f"{here}/where")
    at_least = getattr(part, "at_least", None)
    if at_least and not 1 <= at_least.count <= MOST_COUNTED:
        yield Fault(f"{here}/at_least/count", f"expected a whole number from 1 to {MOST_COUNTED}")


def _personas(definition: Definition) -> Iterator[Fault]:
    rules = {rule.rule: rule for rule in definition.transitions}
    stages = {stage.name for stage in definition.stages}
    for index, persona in enumerate(definition.personas):
        here = f"/personas/{index}"
        yield from check_where(persona.where, f"{here}/where")
        for path in persona.where:
            if not path.startswith("traits."):
                yield Fault(f"{here}/where", f"a persona is told by traits alone, not by {path}")
        yield from _known(list(persona.dead_time), stages, f"{here}/dead_time", "stage")
        yield from _overrides(persona, rules, here)


def _overrides(persona: Persona, rules: dict[str, Rule], here: str) -> Iterator[Fault]:
    for name, override in persona.transitions.items():
        pointer = f"{here}/transitions/{name}"
        rule = rules.get(name)
        if rule is None:
            yield Fault(pointer, f"there is no rule {name!r}")
            continue
        if override.after and not rule.after:
            yield Fault(f"{pointer}/after", "this rule is not one by time")
        if override.at_least and not rule.at_least:
            yield Fault(f"{pointer}/at_least", "this rule counts no touchpoints")
        if override.at_least and not 1 <= override.at_least.count <= MOST_COUNTED:
            yield Fault(f"{pointer}/at_least/count", f"expected a whole number from 1 to {MOST_COUNTED}")


def _concerns(definition: Definition) -> Iterator[Fault]:
    if definition.begins:
        yield from _match(definition.begins, "/begins")
    for index, moment in enumerate(definition.moments):
        yield from _match(moment, f"/moments/{index}")
    for index, pain in enumerate(definition.pains):
        yield from _match(pain, f"/pains/{index}")
        yield from _match(pain.resolved_by, f"/pains/{index}/resolved_by")
        if not 1 <= pain.severity <= 5:
            yield Fault(f"/pains/{index}/severity", "expected a whole number from 1 to 5")
    for index, objection in enumerate(definition.objections):
        yield from _match(objection, f"/objections/{index}")
        yield from _match(objection.answered_by, f"/objections/{index}/answered_by")
    pains = {pain.name for pain in definition.pains}
    for index, objection in enumerate(definition.objections):
        if objection.name in pains:
            yield Fault(f"/objections/{index}/name", f"a pain has the name {objection.name!r} already")


def _measures(definition: Definition) -> Iterator[Fault]:
    simple = {measure.name for measure in definition.measures if measure.starts}
    for index, measure in enumerate(definition.measures):
        here = f"/measures/{index}"
        yield from _known(measure.sum_of, simple, f"{here}/sum_of", "measure between two touchpoints")
        yield from _distinct(measure.sum_of, f"{here}/sum_of/{{}}")
        yield from _measure(measure, here)


def _measure(measure: Measure, here: str) -> Iterator[Fault]:
    ends: list[tuple[str, Match | None]] = [("starts", measure.starts), ("stops", measure.stops)]
    given = [(name, end) for name, end in ends if end]
    if len(given) != (0 if measure.sum_of else 2):
        yield Fault(here, "expected either `starts` and `stops`, or `sum_of`")
    for name, end in given:
        yield from _match(end, f"{here}/{name}")


def _references(definition: Definition) -> Iterator[Fault]:
    stages = {stage.name for stage in definition.stages}
    personas = {persona.name for persona in definition.personas}
    pains = {pain.name for pain in definition.pains}
    objections = {objection.name for objection in definition.objections}
    for index, content in enumerate(definition.content):
        yield from _known(content.stages, stages, f"/content/{index}/stages", "stage")
        yield from check_where(content.where, f"/content/{index}/where")
    for index, action in enumerate(definition.actions):
        when, here = action.when, f"/actions/{index}/when"
        if not 1 <= action.priority <= 100:
            yield Fault(f"/actions/{index}/priority", "expected a whole number from 1 to 100")
        yield from _known(when.stages, stages, f"{here}/stages", "stage")
        yield from _known(when.personas, personas, f"{here}/personas", "persona")
        yield from _known(when.pains, pains, f"{here}/pains", "pain")
        yield from _known(when.objections, objections, f"{here}/objections", "objection")
    for index, rule in enumerate(definition.incoherent):
        for place, (stage, _) in enumerate(rule.pairs):
            yield from _known([stage], stages, f"/incoherent/{index}/pairs/{place}/0", "stage", indexed=False)


def _timer_cycles(definition: Definition) -> Iterator[Fault]:
    """Time alone must not send a customer round for ever: a silent customer comes to rest."""
    by_time = {
        stage: [rule.to for rule in definition.transitions if rule.after and stage in set(definition.departures(rule))]
        for stage in (stage.name for stage in definition.stages)
    }
    resting: set[str] = set()

    def comes_to_rest(stage: str, path: tuple[str, ...]) -> bool:
        if stage in path:
            return False
        if stage not in resting and all(comes_to_rest(target, (*path, stage)) for target in by_time[stage]):
            resting.add(stage)
        return stage in resting

    for stage in by_time:
        if not comes_to_rest(stage, ()):
            yield Fault("/transitions", f"transitions by time lead from {stage!r} back to itself for ever")
