"""A customer's history as it is answered: what the store has of it, in the words of the definitions."""

from collections.abc import Iterable

from journey.grammar import Label
from journey.identity import Kinds
from plumbing.store.reading.timeline import Item, Moved, Noted, Touched
from services.api.answers import FactItem, Tie, TouchpointItem, TransitionItem
from services.api.catalogue import Catalogue, JourneyWords


def items(
    found: Iterable[Item], catalogue: Catalogue, kinds: Kinds, *, personal: bool
) -> tuple[TouchpointItem | TransitionItem | FactItem, ...]:
    """These items, with personal data where `personal`."""
    return tuple(_item(item, catalogue, kinds, personal) for item in found)


def _item(item: Item, catalogue: Catalogue, kinds: Kinds, personal: bool) -> TouchpointItem | TransitionItem | FactItem:
    match item:
        case Touched():
            return _touchpoint(item, kinds, personal)
        case Moved():
            return transition(item, catalogue)
        case Noted():
            return _fact(item, catalogue)


def _touchpoint(item: Touched, kinds: Kinds, personal: bool) -> TouchpointItem:
    touchpoint = item.touchpoint
    return TouchpointItem(
        occurred_at=touchpoint.occurred_at,
        id=touchpoint.id,
        source=touchpoint.source,
        type=touchpoint.type,
        channel=touchpoint.channel,
        initiator=touchpoint.initiator,
        service_mode=touchpoint.service_mode,
        sequence=touchpoint.sequence,
        received_at=touchpoint.received_at,
        tied=Tie(by=item.by or kinds.identifiers(touchpoint)[0].kind, claimed=item.claimed),
        properties=touchpoint.properties if personal else None,
        traits=touchpoint.traits if personal else None,
        context=touchpoint.context if personal else None,
    )


def transition(item: Moved, catalogue: Catalogue) -> TransitionItem:
    """A transition; labels are null where the definition in force no longer knows the word."""
    words = catalogue.journeys.get(item.journey)
    return TransitionItem(
        occurred_at=item.occurred_at,
        id=item.transition.hex(),
        journey=item.journey,
        run=item.run,
        from_stage=item.from_stage,
        to_stage=item.to_stage,
        from_label=_label(words, item.from_stage),
        to_label=_label(words, item.to_stage),
        learned_at=item.learned_at,
        retracted_at=item.retracted_at,
        rule=item.rule,
        rule_label=words.rules.get(item.rule) if words else None,
        version=item.version,
        cause=item.cause,
    )


def _label(words: JourneyWords | None, stage: str | None) -> Label | None:
    known = words.stages.get(stage) if words and stage else None
    return known.label if known else None


def _fact(item: Noted, catalogue: Catalogue) -> FactItem:
    words = catalogue.journeys.get(item.journey)
    return FactItem(
        occurred_at=item.occurred_at,
        fact=item.kind,
        name=item.name,
        label=words.facts.get(item.kind, {}).get(item.name) if words else None,
        journey=item.journey,
        run=item.run,
        stage=item.stage,
        cause=item.cause,
        detail=item.detail,
    )
