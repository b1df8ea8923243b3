"""The API keeps to its OpenAPI document, whatever it is asked: no 5xx, no answer that the document does not name."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from plumbing.embedded.postgres import EmbeddedPostgres
from plumbing.store.definitions import publish
from plumbing.store.opening import opened
from services.api.openapi import document
from tests.support.api import PERSONAL, READ, bearing
from tests.support.versions import customer_journey
from tests.support.world import CARD, EMAIL, World, inhabited

EXAMPLES = 40
ENDLESS = "/v1/stream"
"""It has no end of its own: `tests/integration/test_api_stream.py` asks it."""

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

SCHEMA = schemathesis.openapi.from_dict(document())


Operation = APIOperation[Any, Any, Any, Any]


def operations() -> list[Operation]:
    found = [one.ok() for one in SCHEMA.get_all_operations() if isinstance(one, Ok)]
    return [one for one in found if one.path != ENDLESS]


def test_the_document_has_no_operation_that_cannot_be_read() -> None:
    assert all(isinstance(one, Ok) for one in SCHEMA.get_all_operations())


def test_every_reference_leads_somewhere() -> None:
    said = document()
    named = set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(said)))
    assert named == said["components"]["schemas"].keys()


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        await world.population.send(world.ludovic, "customer-journey", stage_now="advocacy")
        async with opened(world.database_url) as engine:
            await publish(engine, customer_journey(2))
        yield world


def known(case: Case[Any], world: World) -> None:
    """Ask about somebody and something that there is."""
    there = {
        "id": world.ludovic,
        "journey": "customer-journey",
        "version": 2,
        "stage": "advocacy",
        "kind": "email",
        "value": EMAIL,
        "command": 1,
    }
    case.path_parameters = {name: there[name] for name in case.path_parameters or {}}
    if isinstance(case.body, dict) and "kind" in case.body:
        case.body = {"kind": "loyalty_card", "value": CARD}


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: f"{operation.method} {operation.path}")
async def test_every_answer_is_one_that_the_document_names(operation: Operation, world: World) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(), there=st.booleans(), token=st.sampled_from([READ, PERSONAL, "wrong", ""]))
    def ask(case: Case[Any], there: bool, token: str) -> None:
        if there:
            known(case, world)
        response = case.call(base_url=world.url, headers=bearing(token) if token else {}, timeout=20)
        case.validate_response(response, checks=CHECKS)

    await asyncio.to_thread(ask)
