"""Where a Kafka cluster is, what a topic in it is called by itself, and how its errors read in our tree."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from journey.errors import LogUnavailable, Misconfigured
from plumbing.telemetry import Action, log

REQUEST_TIMEOUT = timedelta(seconds=10)
_RETENTION = timedelta(days=30)
_UNKNOWN_TOPIC = 3
_TOPIC_EXISTS = 36
_SCHEMES = {"kafka": "PLAINTEXT", "kafka+ssl": "SSL", "kafka+sasl": "SASL_PLAINTEXT", "kafka+sasl+ssl": "SASL_SSL"}


@dataclass(frozen=True)
class Cluster:
    """Brokers, and what every aiokafka client is given to reach them."""

    bootstrap: str
    options: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def at(cls, url: str) -> "Cluster":
        """Read `kafka://host:9092,host2:9092`.

        `kafka+ssl`, `kafka+sasl` and `kafka+sasl+ssl` are the other schemes; name and password go before the hosts,
        `?mechanism=SCRAM-SHA-512` and `?ca=/path.pem` after them. Raises `Misconfigured`.
        """
        parts = urlsplit(url)
        credentials, _, hosts = parts.netloc.rpartition("@")
        if parts.scheme not in _SCHEMES or not hosts:
            raise Misconfigured("The log URL must read kafka://host:port[,host:port …]")
        query = parse_qs(parts.query)
        options: dict[str, Any] = {"security_protocol": _SCHEMES[parts.scheme]}
        if parts.scheme.endswith("ssl"):
            options["ssl_context"] = _tls(query.get("ca", [None])[0])
        if "sasl" in parts.scheme:
            name, _, password = credentials.partition(":")
            options["sasl_mechanism"] = query.get("mechanism", ["SCRAM-SHA-512"])[0]
            options["sasl_plain_username"] = unquote(name)
            options["sasl_plain_password"] = unquote(password)
        return cls(hosts, options)

    @property
    def client_options(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "request_timeout_ms": int(REQUEST_TIMEOUT.total_seconds() * 1000),
            **self.options,
        }


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("The certificate file of the log URL cannot be read") from error


class Topic(NamedTuple):
    """What a topic is: its identity, which a topic of the same name made later does not have, and its size."""

    log_id: str
    partitions: int


_MISCONFIGURED = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.InvalidTopicError,
    kafka_errors.PolicyViolationError,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.UnsupportedVersionError,
)


@contextmanager
def kafka_faults() -> Iterator[None]:
    """Whatever aiokafka raises inside comes out as `Misconfigured` or `LogUnavailable`."""
    try:
        yield
    except _MISCONFIGURED as error:
        raise Misconfigured(f"Kafka refuses this: {type(error).__name__}") from error
    except NotImplementedError as error:
        raise Misconfigured("This Kafka is too old: 3.1 or newer is needed") from error
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailable(f"Kafka did not answer as it should: {type(error).__name__}") from error


async def find_topic(cluster: Cluster, name: str) -> Topic:
    """Raises `Misconfigured` when there is no such topic."""
    with kafka_faults():
        async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()), _client(cluster) as client:
            found = await _describe(client, name)
    if found is None:
        raise Misconfigured(f"Kafka has no topic {name}: make it, or let ingest make it")
    return found


async def find_or_make_topic(cluster: Cluster, name: str, partitions: int, replication: int | None) -> Topic:
    """Make the topic when there is none, with as many replicas as there are brokers, three at most."""
    with kafka_faults():
        async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()), _client(cluster) as client:
            found = await _describe(client, name)
            if found is None:
                copies = replication or min(3, len(client.cluster.brokers()))
                await _make(cluster, name, partitions, copies)
            while found is None:  # the controller has it; the broker asked may not yet
                await asyncio.sleep(0.05)
                found = await _describe(client, name)
    return found


@asynccontextmanager
async def _client(cluster: Cluster) -> AsyncIterator[Any]:
    client = AIOKafkaClient(**cluster.client_options)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


async def _make(cluster: Cluster, name: str, partitions: int, copies: int) -> None:
    configs = {
        # Lateness and retention go by when the broker got a record: a client's clock may be years off.
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(int(_RETENTION.total_seconds() * 1000)),
        "min.insync.replicas": "2" if copies > 2 else "1",
    }
    admin = AIOKafkaAdminClient(**cluster.client_options)
    try:
        await admin.start()
        answer = await admin.create_topics([NewTopic(name, partitions, copies, topic_configs=configs)])
    finally:
        await admin.close()
    code = answer.topic_errors[0][1]
    if code not in (0, _TOPIC_EXISTS):
        raise kafka_errors.for_code(code)
    if code == 0:
        log(Action.TOPIC_CREATED, topic=name, partitions=partitions)


async def _describe(client: Any, name: str) -> Topic | None:
    """The topic, or None when the broker asked knows none of this name or not yet who leads its partitions."""
    answer = await client.send(client.get_random_node(), _TopicRequest(name))
    code, _, topic_id, _, partitions, *_ = answer.topics[0]
    if code == _UNKNOWN_TOPIC:
        return None
    if code:
        raise kafka_errors.for_code(code)
    if any(partition[0] or partition[2] < 0 for partition in partitions):
        return None
    return Topic(f"kafka:{answer.cluster_id}/{topic_id}", len(partitions))


# --- Metadata, version 12: the first that tells a topic's id by its name; aiokafka stops at version 5 -----------------


class _Uuid(AbstractType[uuid.UUID]):  # type: ignore[misc] # aiokafka publishes no types
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("in_sync", CompactArray(Int32)),
    ("offline", CompactArray(Int32)),
    ("tags", TaggedFields),
)
_TOPIC = (
    ("error_code", Int16),
    ("name", CompactString("utf-8")),
    ("topic_id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("authorized_operations", Int32),
    ("tags", TaggedFields),
)
_BROKER = (
    ("node_id", Int32),
    ("host", CompactString("utf-8")),
    ("port", Int32),
    ("rack", CompactString("utf-8")),
    ("tags", TaggedFields),
)


class _TopicAnswer12(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        ("topics", CompactArray(*_TOPIC)),
        ("tags", TaggedFields),
    )


class _TopicRequest12(RequestStruct):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _TopicAnswer12
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields))),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _TopicRequest(Request[_TopicRequest12]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, name: str) -> None:
        self._name = name

    def build(self, request_struct_class: type[_TopicRequest12]) -> _TopicRequest12:
        return request_struct_class([(uuid.UUID(int=0), self._name, {})], False, False, {})
