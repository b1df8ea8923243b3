"""Which partition a key belongs to: murmur2 as Kafka's default partitioner has it, on every adapter.

So a topic that was written by Java clients and one that Jalon wrote agree, and moving from the embedded log to Kafka
moves no customer to another partition. Source: `org.apache.kafka.common.utils.Utils#murmur2`.
"""

from functools import lru_cache
from struct import unpack_from

_SEED = 0x9747B28C
_M = 0x5BD1E995
_32 = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit hash, unsigned (Java shows it as a signed int)."""
    length = len(data)
    h = _SEED ^ length
    words = length >> 2
    for k in unpack_from(f"<{words}I", data):
        k = k * _M & _32  # noqa: PLW2901 - the algorithm's own name for each step
        h = (h * _M & _32) ^ ((k ^ k >> 24) * _M & _32)
    if length & 3:
        h = (h ^ int.from_bytes(data[words << 2 :], "little")) * _M & _32
    h = (h ^ h >> 13) * _M & _32
    return h ^ h >> 15


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition (from 0) of `key` among `partitions`. Remembered: a customer comes back, and hashing is slow."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
