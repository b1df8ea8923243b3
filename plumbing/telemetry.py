"""What Jalon tells its operators: every log action and every metric, by name, with what it means.

A log line is one JSON object with a fixed `action`. Nothing personal is ever in it: fields come from the closed list
`Fields`, and of a foreign exception only its type and place are told, as its message may quote what a customer sent.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TextIO, TypedDict, Unpack

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from journey.errors import JalonError


class Action(StrEnum):
    """The `action` of a log line."""

    # any service
    STARTED = "started"  # it works now: service; host and port of one that is asked
    STOPPING = "stopping"  # it was asked to stop and finishes what it has begun
    STOPPED = "stopped"  # it has finished
    FAILED = "failed"  # a fault: as an error it ends the service, as a warning it is tried again: reason, error
    REQUEST_FAILED = "request_failed"  # a request was answered 500, or (a warning) 503: error, where
    LIBRARY = "library"  # a line of a library that we use: logger, message
    # embedded parts
    POSTGRES_STARTED = "postgres_started"  # the embedded Postgres runs
    POSTGRES_ADOPTED = "postgres_adopted"  # it still ran: whoever had started it was killed
    POSTGRES_STOPPED = "postgres_stopped"
    KAFKA_STARTED = "kafka_started"  # the embedded broker runs: port
    KAFKA_STOPPED = "kafka_stopped"
    # log
    TOPIC_CREATED = "topic_created"  # Jalon made the topic: topic, partitions
    LOG_UNAVAILABLE = "log_unavailable"  # ingest cannot reach it at its start, and answers 503 until it can
    PRODUCER_RECREATED = "producer_recreated"  # it was stuck and another took its place: reason
    POSITION_NOT_REPORTED = "position_not_reported"  # the broker did not take the offset (lag tools are late, no more)
    # stager
    PARTITIONS_ASSIGNED = "partitions_assigned"
    PARTITIONS_REVOKED = "partitions_revoked"
    BATCH_RETRIED = "batch_retried"  # a deadlock or serialization failure: attempt, reason
    COMMANDS_APPLIED = "commands_applied"  # identity commands were given or undone: records (how many)
    BATCH_FENCED = "batch_fenced"  # another stager has this partition now: partition
    DEAD_LETTER = "dead_letter"  # a record that cannot be used was set aside: partition, offset, reason
    POISON_LIMIT = "poison_limit"  # too many of them that ingest had accepted: the stager stops
    HORIZON_HELD_BACK = "horizon_held_back"  # no timer fires for anybody: partition (not read on), seconds
    CONSUMER_STALLED = "consumer_stalled"  # records wait but none is read: the consumer is restarted
    BUILD_BUILT = "build_built"  # a version stands beside those in force: build, journey, version
    BUILD_ACTIVATED = "build_activated"  # it came into force, or (no journey) a replay has put right what differed
    BUILD_DROPPED = "build_dropped"  # it cannot come into force: `builds.outcome` says why
    # api
    DEFINITIONS_NOT_REFRESHED = "definitions_not_refreshed"  # those read so far stay in force
    FEED_NOT_READ = "feed_not_read"  # Postgres did not answer: streams stand still until it does
    # keys, of ingest and api
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    KEYS_NOT_REFRESHED = "keys_not_refreshed"  # Postgres did not answer: those known so far stay in force


class Fields(TypedDict, total=False):
    """All that a log line may carry. None is personal: no identifier, trait, property, address or key."""

    attempt: int
    build: int
    host: str
    journey: str
    journeys: int
    member: str  # of the consumer group
    offset: int
    partition: int
    partitions: list[int] | int
    port: int
    reason: str  # a code or a sentence of ours
    records: int
    seconds: int
    service: str
    topic: str
    version: int


_logger = logging.getLogger("jalon")

TRUSTED_LOGGERS = ("aiokafka", "alembic", "uvicorn")
"""Libraries whose messages hold addresses and topics, nothing a customer sent. Of others we give the template only."""


def log(
    action: Action, level: int = logging.INFO, *, exc: BaseException | None = None, **fields: Unpack[Fields]
) -> None:
    """Write one line: `action`, `fields` and, of `exc`, its type, place and (if it is ours) message."""
    _logger.log(level, action, exc_info=exc, extra={"action": str(action), "fields": dict(fields)})


class JsonLines(logging.Formatter):
    """Renders a record as one JSON object a line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
        }
        action = getattr(record, "action", None)
        if action is None:
            line |= {"action": str(Action.LIBRARY), "logger": record.name, "message": _message(record)}
        else:
            line |= {"action": action, **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[1]:
            line |= _told(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def _message(record: logging.LogRecord) -> str:
    trusted = record.name.split(".")[0] in TRUSTED_LOGGERS
    text = record.getMessage() if trusted else str(record.msg)
    return text.split("\n", 1)[0]


def _told(exc: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(exc.__traceback__)
    where = [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    told: dict[str, object] = {"error": type(exc).__qualname__, "where": where}
    if isinstance(exc, JalonError):
        told["reason"] = str(exc)
    return told


def configure(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every logger's lines to `stream` (default: standard error) as JSON lines that name `service`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _logger.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = name != "uvicorn.access"  # an access log has the paths, and paths have e-mail addresses


# --- metrics ----------------------------------------------------------------------------------------------------------

REGISTRY = CollectorRegistry()
"""Jalon's own: what libraries register by themselves stays out of /metrics."""

ProcessCollector(registry=REGISTRY)

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# ingest
TOUCHPOINTS_ACCEPTED = Counter(
    "jalon_touchpoints_accepted", "Touchpoints that the log holds durably", ["source"], registry=REGISTRY
)
TOUCHPOINTS_REJECTED = Counter(
    "jalon_touchpoints_rejected", "Touchpoints refused with a reason", ["reason"], registry=REGISTRY
)
INGEST_SECONDS = Histogram(
    "jalon_ingest_seconds",
    "From a request's head to its answer; its count is that of the requests",
    ["route", "status"],
    buckets=_FAST,
    registry=REGISTRY,
)

# stager
RECORDS = Counter(
    "jalon_records", "Log records that the stager committed", ["outcome"], registry=REGISTRY
)  # outcome: staged, dead_letter
BATCH_SECONDS = Histogram("jalon_batch_seconds", "From read to commit of a batch", buckets=_FAST, registry=REGISTRY)
BATCH_RETRIES = Counter("jalon_batch_retries", "Batches done again after a collision", registry=REGISTRY)
LAG_RECORDS = Gauge("jalon_lag_records", "Records of the log not yet committed", ["partition"], registry=REGISTRY)
HORIZON_AGE_SECONDS = Gauge("jalon_horizon_age_seconds", "Now minus the horizon", registry=REGISTRY)
HORIZON_HELD_SECONDS = Gauge(
    "jalon_horizon_held_seconds",
    "How long the horizon has not come further, by the one partition that holds it back",
    ["partition"],
    registry=REGISTRY,
)
TRANSITIONS = Counter("jalon_transitions", "Transitions written", ["journey"], registry=REGISTRY)
TIMERS_FIRED = Counter("jalon_timers_fired", "Delayed transitions that fired with no touchpoint", registry=REGISTRY)
REFOLDS = Counter(
    "jalon_refolds", "Customers folded again for a late touchpoint or a claim", ["source"], registry=REGISTRY
)  # source: row (what it remembers of the recent past), history (all stored touchpoints)
CONFLICTS = Counter("jalon_conflicts", "Copies of an event that came with another body", registry=REGISTRY)
CONSUMER_RESTARTS = Counter("jalon_consumer_restarts", "Restarts by the progress watchdog", registry=REGISTRY)

# api
API_REQUESTS = Counter("jalon_api_requests", "Requests answered by the API", ["route", "status"], registry=REGISTRY)
API_SECONDS = Histogram(
    "jalon_api_seconds", "From request to the beginning of its answer", ["route"], buckets=_FAST, registry=REGISTRY
)
STREAM_SUBSCRIBERS = Gauge("jalon_stream_subscribers", "Open connections to /v1/stream", registry=REGISTRY)


def render_metrics() -> tuple[bytes, str]:
    """The body of GET /metrics and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
