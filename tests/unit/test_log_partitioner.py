"""The partition of a key is the one that Kafka's own clients choose."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from plumbing.log.partitioner import murmur2, partition_of

# From UtilsTest of Apache Kafka (clients/src/test/java/org/apache/kafka/common/utils), as signed integers.
VECTORS = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("data", "java"), VECTORS)
def test_the_hash_is_the_one_of_the_java_client(data: bytes, java: int) -> None:
    assert murmur2(data) == java % 2**32


@given(st.binary(max_size=200), st.integers(1, 100))
def test_the_partition_is_the_one_of_another_client(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == DefaultPartitioner()(key, list(range(partitions)), [])
