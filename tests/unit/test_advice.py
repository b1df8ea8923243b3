"""What makes one doubt a definition that holds together."""

from typing import Any

import pytest

from journey.advice import INTERNAL_WORDS, advise
from journey.definition import parse
from journey.vocabulary import company_types
from schemas import journey_documents, vocabulary_document
from tests.support.stories import LABEL, document, named, rule, text

COMPANY_TYPES = company_types(vocabulary_document())
BUYS = rule("buys", "new", "known", on="order_completed")
WINS = rule("wins", "known", "won", on="review_submitted")
ENOUGH = {
    "transitions": [BUYS, WINS],
    "measures": [
        named("time", starts={"on": "order_completed"}, stops={"on": "review_submitted"}, budget="P1D"),
    ],
    "actions": [named("thank", priority=1, when={})],
}


def doubts(**parts: Any) -> list[tuple[str, str]]:
    found = advise(parse(text(document(**ENOUGH | parts))), COMPANY_TYPES)
    return [(doubt.pointer, doubt.detail.partition(": ")[2].partition(" (")[0]) for doubt in found]


def test_a_definition_that_looks_at_the_customer_leaves_no_doubt() -> None:
    assert doubts() == []


@pytest.mark.parametrize("name", ["buyer-journey", "customer-journey", "drive", "purchase-cycle"])
def test_the_shipped_journeys_leave_no_doubt(name: str) -> None:
    (definition,) = (one for one in map(parse, journey_documents()) if one.journey == name)
    assert advise(definition, COMPANY_TYPES) == []


@pytest.mark.parametrize(
    "how",
    [{"on": "newsletter_sent"}, {"on": "review_submitted", "where": {"initiator": "company"}}, {"after": "P1D"}],
    ids=["a company's type", "started by the company", "time"],
)
def test_a_stage_that_no_customer_enters_or_leaves_by_themselves_is_doubted(how: dict[str, Any]) -> None:
    found = doubts(transitions=[BUYS, rule("wins", "known", "won", **how)])
    assert ("/stages/2", "no touchpoint that a customer starts leads into it or out of it") in found
    assert all(pointer == "/stages/2" for pointer, _ in found)


def test_a_stage_that_nothing_measures_is_doubted() -> None:
    measure = named("time", starts={"on": "order_completed"}, stops={"on": "order_returned"}, budget="P1D")
    assert doubts(measures=[measure]) == [
        ("/stages/2", "no measure or moment of truth is taken where it begins or ends")
    ]
    moment = named("praise", on="review_submitted", aim="trust", measure=LABEL)
    assert doubts(measures=[measure], moments=[moment]) == []


def test_a_stage_where_nothing_is_proposed_is_doubted() -> None:
    here = [named("thank", priority=1, when={"stages": ["new", "won"]})]
    assert doubts(actions=here) == [("/stages/1", "no action is proposed there")]


@pytest.mark.parametrize("word", sorted(INTERNAL_WORDS))
def test_a_stage_that_is_named_after_work_inside_the_company_is_doubted(word: str) -> None:
    stages = [{"name": name, "phase": "during", "label": LABEL} for name in ("new", "known", "won")]
    for changed in (
        {"label": {"en": f"In {word.title()}", "fr": "Un nom"}},
        {"label": {"en": "A", "fr": f"En {word}"}},
    ):
        found = doubts(stages=[*stages[:2], stages[2] | changed])
        assert found == [("/stages/2", "named after work inside the company")]


def test_a_stage_s_own_name_counts_too() -> None:
    stages = [{"name": name, "phase": "during", "label": LABEL} for name in ("new", "known", "in_billing")]
    found = doubts(stages=stages, transitions=[BUYS, rule("wins", "known", "in_billing", on="review_submitted")])
    assert found == [("/stages/2", "named after work inside the company")]
