"""What definitions look at in a touchpoint besides its attributes: all that a fold needs of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from journey.conditions import names_in
from journey.grammar import Definition, Match
from journey.touchpoint import Touchpoint

Guard = tuple[Sequence[str] | None, Mapping[str, Any]]
"""The types of touchpoint (None: any) that a `where` is asked about."""

Bag = Mapping[str, Any]


class Names(NamedTuple):
    """Of properties and of context."""

    properties: frozenset[str]
    context: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reads:
    """The names that any definition looks at: of traits, and by type of touchpoint of properties and context.

    Types that are not in `by_type` have those `of_any`.
    """

    traits: frozenset[str]
    by_type: Mapping[str, Names]
    of_any: Names

    def bags(self, touchpoint: Touchpoint) -> tuple[Bag, Bag, Bag] | None:
        """What they look at in the traits, properties and context of a touchpoint; None: nothing."""
        names = self.by_type.get(touchpoint.type, self.of_any)
        traits = _some(touchpoint.traits, self.traits)
        properties = _some(touchpoint.properties, names.properties)
        context = _some(touchpoint.context, names.context)
        return (traits, properties, context) if traits or properties or context else None


def reads(definitions: Iterable[Definition]) -> Reads:
    """What these look at together."""
    definitions = list(definitions)
    guards = [guard for definition in definitions for guard in _guards(definition)]
    contents = [content.where for definition in definitions for content in definition.content]
    of_any = _names(where for types, where in guards if types is None)
    by_type: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for types, where in guards:
        for type_ in types or ():
            by_type[type_].append(where)
    return Reads(
        traits=frozenset().union(
            *(names_in("traits", where) for where in (*contents, *(where for _, where in guards)))
        ),
        by_type={type_: _both(of_any, _names(wheres)) for type_, wheres in by_type.items()},
        of_any=of_any,
    )


def _guards(definition: Definition) -> Iterator[Guard]:
    """Every `where` of a definition that the fold asks."""
    for rule in definition.transitions:
        yield rule.types, rule.where
    for persona in definition.personas:
        yield None, persona.where
    matches = [Match(on=moment.on, where=moment.where) for moment in definition.moments]
    matches += [Match(on=pain.on, where=pain.where) for pain in definition.pains]
    matches += [Match(on=objection.on, where=objection.where) for objection in definition.objections]
    matches += [pain.resolved_by for pain in definition.pains]
    matches += [objection.answered_by for objection in definition.objections]
    matches += [end for measure in definition.measures for end in (measure.starts, measure.stops) if end]
    matches += [definition.begins] if definition.begins else []
    for match in matches:
        yield match.types, match.where


def _names(wheres: Iterable[Mapping[str, Any]]) -> Names:
    wheres = list(wheres)
    properties = frozenset().union(*(names_in("properties", where) for where in wheres))
    return Names(properties, frozenset().union(*(names_in("context", where) for where in wheres)))


def _both(one: Names, other: Names) -> Names:
    return Names(one.properties | other.properties, one.context | other.context)


def _some(bag: Bag, names: frozenset[str]) -> Bag:
    return {name: bag[name] for name in names if name in bag} if bag and names else {}
