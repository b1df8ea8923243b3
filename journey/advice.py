"""What makes one doubt a definition that holds together: stages that are the company's own and not the customer's.

A stage deserves a second look when nothing that a customer does by themselves leads into it or out of it, when nothing
measures it, when nobody is told to do anything there, or when it is named after work inside the company.
"""

import re
from collections.abc import Collection, Iterator

from journey.errors import Fault
from journey.grammar import Definition, Rule, Stage

INTERNAL_WORDS = frozenset(
    {
        *("accounting", "approval", "approved", "assigned", "backlog", "backoffice", "billing", "campaign", "crm"),
        *("department", "dispatch", "escalation", "facturation", "funnel", "handover", "internal", "invoicing", "lead"),
        *(
            "logistics",
            "marketing",
            "mql",
            "nurturing",
            "onboarded",
            "opportunity",
            "pipeline",
            "processing",
            "prospect",
        ),
        *(
            "prospecting",
            "prospection",
            "qualification",
            "qualified",
            "queue",
            "relance",
            "sales",
            "sql",
            "team",
            "ticket",
        ),
        *("traitement", "triage", "workflow"),
    }
)
"""Words of work inside a company, of its departments and its software, in English and French. docs/journeys.md names
them; none says what a customer does."""

_WORD = re.compile(r"[^\W\d_]+")


def advise(definition: Definition, company_types: Collection[str]) -> list[Fault]:
    """Doubts about the stages of a definition that `parse` returned, each at its JSON pointer; none is a fault.

    `company_types` are the touchpoint types that the company starts by itself.
    """
    return [
        Fault(f"/stages/{index}", doubt)
        for index, stage in enumerate(definition.stages)
        for doubt in _doubts(definition, stage, frozenset(company_types))
    ]


def _doubts(definition: Definition, stage: Stage, company_types: frozenset[str]) -> Iterator[str]:
    rules = [
        rule for rule in definition.transitions if rule.to == stage.name or stage.name in definition.departures(rule)
    ]
    if not any(_is_own(rule, company_types) for rule in rules):
        yield f"{stage.name}: no touchpoint that a customer starts leads into it or out of it"
    if _measured(definition).isdisjoint(type_ for rule in rules for type_ in rule.types):
        yield f"{stage.name}: no measure or moment of truth is taken where it begins or ends"
    if not any(not action.when.stages or stage.name in action.when.stages for action in definition.actions):
        yield f"{stage.name}: no action is proposed there"
    internal = sorted(INTERNAL_WORDS.intersection(_words(stage)))
    if internal:
        words = ", ".join(internal)
        yield f"{stage.name}: named after work inside the company ({words}), not after what a customer does"


def _is_own(rule: Rule, company_types: frozenset[str]) -> bool:
    """Whether a customer can cause it."""
    return rule.where.get("initiator") != "company" and not company_types.issuperset(rule.types)


def _measured(definition: Definition) -> set[str]:
    """The touchpoint types at which something is measured."""
    ends = [end for measure in definition.measures for end in (measure.starts, measure.stops) if end]
    moments = [moment.on for moment in definition.moments]
    types = {type_ for end in ends for type_ in end.types}
    return types.union(*((on,) if isinstance(on, str) else on for on in moments))


def _words(stage: Stage) -> set[str]:
    text = f"{stage.name} {stage.label.en} {stage.label.fr}".lower()
    return set(_WORD.findall(text))
