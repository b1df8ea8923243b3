"""Log lines are JSON with a fixed action, and tell nothing that a customer sent."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from journey.errors import Fenced
from plumbing import telemetry
from plumbing.telemetry import Action, log

PERSONAL = "ludovic@example.com"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    telemetry.configure("stager", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def last(lines: io.StringIO) -> dict[str, object]:
    told: dict[str, object] = json.loads(lines.getvalue().splitlines()[-1])
    return told


def test_a_line_has_its_action_service_and_fields(lines: io.StringIO) -> None:
    log(Action.TOPIC_CREATED, topic="jalon.touchpoints", partitions=6)
    told = last(lines)
    assert {"service": "stager", "action": "topic_created", "topic": "jalon.touchpoints", "partitions": 6}.items() <= (
        told.items()
    )
    assert told["level"] == "info"


def test_a_foreign_exception_is_told_by_type_and_place_only(lines: io.StringIO) -> None:
    try:
        int(PERSONAL)
    except ValueError as error:
        log(Action.FAILED, logging.ERROR, exc=error)
    told = last(lines)
    assert told["error"] == "ValueError"
    assert "unit/test_telemetry.py:" in str(told["where"])
    assert PERSONAL not in lines.getvalue()


def test_an_error_of_ours_tells_its_reason(lines: io.StringIO) -> None:
    log(Action.BATCH_FENCED, logging.WARNING, exc=Fenced(), partition=3)
    assert "Another stager" in str(last(lines)["reason"])


def test_a_library_tells_its_template_only(lines: io.StringIO) -> None:
    logging.getLogger("somebody").warning("cannot parse %s", PERSONAL)
    told = last(lines)
    assert (told["action"], told["logger"], told["message"]) == ("library", "somebody", "cannot parse %s")


def test_the_message_of_a_lost_task_is_cut_before_the_exception(lines: io.StringIO) -> None:
    logging.getLogger("asyncio").error(f"Task exception was never retrieved\nfuture: <Task {PERSONAL}>")  # noqa: G004
    assert last(lines)["message"] == "Task exception was never retrieved"
    assert PERSONAL not in lines.getvalue()


def test_a_trusted_library_tells_its_whole_first_line(lines: io.StringIO) -> None:
    logging.getLogger("aiokafka.conn").warning("cannot connect to %s", "127.0.0.1:9092")
    assert last(lines)["message"] == "cannot connect to 127.0.0.1:9092"


def test_no_access_log_is_written(lines: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").warning("GET /v1/customers/by/email/%s", PERSONAL)
    assert lines.getvalue() == ""


def test_every_metric_is_on_the_page_with_its_meaning() -> None:
    page, content_type = telemetry.render_metrics()
    assert content_type.startswith("text/plain")
    for name in ("jalon_touchpoints_accepted_total", "jalon_lag_records", "jalon_batch_seconds"):
        assert f"# HELP {name} " in page.decode()
