"""What one read brings is staged in one transaction or in two, never a partition in both."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from plumbing.log.port import Read, StoredRecord
from services.stager.consume import WORTH_TWO_LOTS, lots_of


def read(partition: int, records: int) -> Read:
    stored = [StoredRecord(offset, b"", b"", ()) for offset in range(records)]
    return Read(partition, stored, records, records)


@given(st.lists(st.integers(1, 2 * WORTH_TWO_LOTS), min_size=1, max_size=12))
def test_every_read_is_in_one_lot(sizes: Sequence[int]) -> None:
    reads = [read(partition, size) for partition, size in enumerate(sizes)]
    lots = lots_of(reads)
    assert sorted(one.partition for lot in lots for one in lot) == list(range(len(sizes)))
    assert len(lots) == (2 if sum(sizes) >= WORTH_TWO_LOTS and len(sizes) > 1 else 1)


@given(st.lists(st.integers(1, 2 * WORTH_TWO_LOTS), min_size=2, max_size=12))
def test_two_lots_differ_by_no_more_than_the_largest_read(sizes: Sequence[int]) -> None:
    lots = lots_of([read(partition, size) for partition, size in enumerate(sizes)])
    weights = [sum(len(one.records) for one in lot) for lot in lots]
    assert len(lots) == 1 or max(weights) - min(weights) <= max(sizes)
