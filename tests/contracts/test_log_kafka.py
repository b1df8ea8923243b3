"""What the Kafka adapter owes beyond the contract: a producer that is lost for good is replaced."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from journey.errors import LogUnavailable
from plumbing.log.kafka import KafkaLog
from plumbing.log.port import Record
from tests.contracts.conftest import OpenLog
from tests.contracts.log_reading import read_these, reading
from tests.support.waiting import eventually


@pytest.fixture
async def log(kafka_bootstrap: str, opened: OpenLog) -> KafkaLog:
    log = await opened(f"kafka://{kafka_bootstrap}", partitions=1)
    assert isinstance(log, KafkaLog)
    return log


async def test_a_producer_that_lost_its_sequence_is_replaced(log: KafkaLog, kafka_bootstrap: str, topic: str) -> None:
    await log.append([Record(b"k", b"before")])
    lost: Any = log._producer
    lost._txn_manager.increment_sequence_number(TopicPartition(topic, 0), 7)
    with pytest.raises(LogUnavailable):
        await log.append([Record(b"k", b"out of order")])
    await eventually(lambda: log._producer not in {None, lost})
    await log.append([Record(b"k", b"after")])
    async with reading(f"kafka://{kafka_bootstrap}", topic) as reader:
        await read_these(reader, {b"before", b"after"})


async def test_a_dead_sender_is_unhealthy_and_replaced(log: KafkaLog) -> None:
    assert await log.healthy()
    dead: Any = log._producer
    dead._sender.sender_task.cancel()
    await eventually(dead._sender.sender_task.done)
    assert not await log.healthy()
    await eventually(log.healthy)
    assert log._producer is not dead
    await log.append([Record(b"k", b"after")])


async def test_the_broker_stamps_the_records_and_keeps_them_for_thirty_days(
    log: KafkaLog, kafka_bootstrap: str, topic: str
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    await admin.close()
    configs = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert configs["message.timestamp.type"] == "LogAppendTime"
    assert configs["retention.ms"] == str(30 * 24 * 3600 * 1000)
