"""What definitions look at in a touchpoint besides its attributes: all that a fold needs of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from journey.conditions import names_in
from journey.grammar import Definition, Match
from journey.touchpoint import Touchpoint

Bag = Mapping[str, Any]


class Names(NamedTuple):
    """Of properties and of context."""

    properties: frozenset[str]
    context: frozenset[str]


_NONE = Names(frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Reads:
    """The names that any definition looks at: of traits, and by type of touchpoint of properties and context."""

    traits: frozenset[str]
    by_type: Mapping[str, Names]

    def bags(self, touchpoint: Touchpoint) -> tuple[Bag, Bag, Bag] | None:
        """What they look at in the traits, properties and context of a touchpoint; None: nothing."""
        names = self.by_type.get(touchpoint.type, _NONE)
        traits = _some(touchpoint.traits, self.traits)
        properties = _some(touchpoint.properties, names.properties)
        context = _some(touchpoint.context, names.context)
        return (traits, properties, context) if traits or properties or context else None


def reads(definitions: Iterable[Definition]) -> Reads:
    """What these look at together."""
    definitions = list(definitions)
    matches = [match for definition in definitions for match in _matches(definition)]
    wheres = [match.where for match in matches]
    wheres += [rule.where for definition in definitions for rule in definition.transitions if not rule.on]
    wheres += [persona.where for definition in definitions for persona in definition.personas]  # of traits alone
    wheres += [content.where for definition in definitions for content in definition.content]
    by_type: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for match in matches:
        for type_ in match.types:
            by_type[type_].append(match.where)
    return Reads(
        traits=_named("traits", wheres),
        by_type={type_: Names(_named("properties", its), _named("context", its)) for type_, its in by_type.items()},
    )


def _matches(definition: Definition) -> Iterator[Match]:
    """Every condition on touchpoints that the fold asks about."""
    for rule in definition.transitions:
        if rule.on:
            yield Match(on=rule.on, where=rule.where)
    for moment in definition.moments:
        yield Match(on=moment.on, where=moment.where)
    for pain in definition.pains:
        yield Match(on=pain.on, where=pain.where)
        yield pain.resolved_by
    for objection in definition.objections:
        yield Match(on=objection.on, where=objection.where)
        yield objection.answered_by
    for measure in definition.measures:
        yield from (end for end in (measure.starts, measure.stops) if end)
    if definition.begins:
        yield definition.begins


def _named(bag: str, wheres: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset().union(*(names_in(bag, where) for where in wheres))


def _some(bag: Bag, names: frozenset[str]) -> Bag:
    return {name: bag[name] for name in names if name in bag} if bag and names else {}
