"""The event log: a port (`port.py`) and its adapters on Kafka and on Postgres, chosen by one URL."""

from datetime import timedelta

from journey.errors import Misconfigured
from plumbing.log.port import EventLog, LogReader, OnAssigned, OnRevoked

DEFAULT_TOPIC = "jalon.touchpoints"
DEFAULT_DEADLINE = timedelta(seconds=10)


def open_log(
    url: str,
    topic: str = DEFAULT_TOPIC,
    *,
    partitions: int = 6,
    replication: int | None = None,
    make_topic: bool = True,
    deadline: timedelta = DEFAULT_DEADLINE,
) -> EventLog:
    """What appends to the log at `url` (`kafka://host:9092,…` or `postgresql://…`); not started yet.

    `partitions` and `replication` (Kafka only; default: as many copies as there are brokers, three at most) are for a
    topic that has to be made. Raises `Misconfigured` for another kind of URL.
    """
    if _is_kafka(url):
        from plumbing.log.kafka import KafkaLog  # noqa: PLC0415 - one adapter is loaded, not both

        return KafkaLog(
            url, topic, partitions=partitions, replication=replication, make_topic=make_topic, deadline=deadline
        )
    from plumbing.log.postgres import PostgresLog  # noqa: PLC0415

    return PostgresLog(url, topic, partitions=partitions, make_topic=make_topic, deadline=deadline)


def open_reader(
    url: str,
    group: str,
    member: str,
    on_assigned: OnAssigned,
    on_revoked: OnRevoked,
    *,
    topic: str = DEFAULT_TOPIC,
) -> LogReader:
    """One member, by the name of `member`, of the readers called `group`; not started yet.

    The name must be another for each process that runs at a time, and should stay when a process is restarted.
    """
    if _is_kafka(url):
        from plumbing.log.kafka_reader import KafkaReader  # noqa: PLC0415

        return KafkaReader(url, topic, group, member, on_assigned=on_assigned, on_revoked=on_revoked)
    from plumbing.log.postgres_reader import PostgresReader  # noqa: PLC0415

    return PostgresReader(url, topic, group, member, on_assigned=on_assigned, on_revoked=on_revoked)


def _is_kafka(url: str) -> bool:
    scheme = url.partition(":")[0]
    if scheme == "kafka+embedded":
        raise Misconfigured("kafka+embedded: is a broker that `jalon up` starts; services take its kafka:// URL")
    if scheme.partition("+")[0] == "kafka":
        return True
    if scheme.partition("+")[0] == "postgresql":
        return False
    raise Misconfigured("The log URL must begin with kafka:// or postgresql://")
