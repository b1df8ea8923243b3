"""Every error that a driver of the log can raise comes out as one of ours."""

from collections.abc import Iterator

import asyncpg
import pytest
from aiokafka import errors as kafka_errors

from journey.errors import LogUnavailable, Misconfigured, OurFault
from plumbing.log import open_log, open_reader
from plumbing.log.kafka_cluster import Cluster, kafka_faults
from plumbing.log.postgres_session import postgres_faults


def _all_below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _all_below(below)


def _raised(kind: type[BaseException]) -> BaseException:
    error = kind.__new__(kind)  # their constructors ask for all sorts of things
    error.args = ("x",)
    return error


KAFKA = sorted({*_all_below(kafka_errors.KafkaError), OSError, TimeoutError}, key=lambda kind: kind.__name__)
POSTGRES = sorted(
    {
        *_all_below(asyncpg.PostgresError),
        *_all_below(asyncpg.InternalClientError),
        asyncpg.InterfaceError,
        OSError,
        TimeoutError,
    },
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", KAFKA)
def test_every_error_of_aiokafka_is_mapped(kind: type[BaseException]) -> None:
    with pytest.raises(OurFault) as caught, kafka_faults():
        raise _raised(kind)
    assert isinstance(caught.value, LogUnavailable | Misconfigured)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("kind", POSTGRES)
def test_every_error_of_asyncpg_is_mapped(kind: type[BaseException]) -> None:
    with pytest.raises(OurFault) as caught, postgres_faults():
        raise _raised(kind)
    assert isinstance(caught.value, LogUnavailable | Misconfigured)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    "kind",
    [
        kafka_errors.TopicAuthorizationFailedError,
        kafka_errors.GroupAuthorizationFailedError,
        kafka_errors.SaslAuthenticationFailed,
        kafka_errors.UnsupportedVersionError,
    ],
)
def test_what_only_the_operator_can_mend_is_a_matter_of_settings(kind: type[Exception]) -> None:
    with pytest.raises(Misconfigured, match=kind.__name__), kafka_faults():
        raise _raised(kind)


@pytest.mark.parametrize("kind", [asyncpg.InvalidPasswordError, asyncpg.InvalidCatalogNameError])
def test_a_refused_login_is_a_matter_of_settings(kind: type[Exception]) -> None:
    with pytest.raises(Misconfigured, match=kind.__name__), postgres_faults():
        raise _raised(kind)


@pytest.mark.parametrize("url", ["kafka+embedded:", "redis://host", "kafkaesque", ""])
def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        open_log(url)


@pytest.mark.parametrize("url", ["kafka:", "kafka+tls://host:9092", "kafka+ssl://host:9092?ca=/does/not/exist"])
def test_a_kafka_url_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        Cluster.at(url)


def test_a_kafka_url_names_hosts_credentials_and_transport() -> None:
    cluster = Cluster.at("kafka+sasl+ssl://jalon:p%40ss@one:9092,two:9093?mechanism=PLAIN")
    assert cluster.bootstrap == "one:9092,two:9093"
    assert cluster.options["security_protocol"] == "SASL_SSL"
    assert cluster.options["sasl_plain_username"] == "jalon"
    assert cluster.options["sasl_plain_password"] == "p@ss"
    assert cluster.options["sasl_mechanism"] == "PLAIN"
    assert "p@ss" not in repr(cluster)


async def test_a_reader_names_its_group_and_takes_the_same_urls() -> None:
    async def assigned(partitions: frozenset[int]) -> dict[int, int]:
        return {}

    async def revoked(partitions: frozenset[int]) -> None:
        pass

    with pytest.raises(Misconfigured):
        open_reader("redis://host", "group", "member", assigned, revoked)
