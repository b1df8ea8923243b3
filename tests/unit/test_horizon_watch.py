"""A partition that holds back time for everybody is named, with how long it does."""

import logging
from datetime import UTC, datetime, timedelta

import pytest

from journey.touchpoint import EARLIEST
from plumbing.store.horizon import Held
from plumbing.telemetry import REGISTRY, Action
from services.stager.horizon_watch import HorizonWatch

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
MINUTE = timedelta(minutes=1)


def held_seconds(partition: int) -> float | None:
    return REGISTRY.get_sample_value("jalon_horizon_held_seconds", {"partition": str(partition)})


def complaint(watch: HorizonWatch) -> str | None:
    return watch.complaint


def warnings(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    told = [record for record in caplog.records if getattr(record, "action", "") == Action.HORIZON_HELD_BACK]
    return [getattr(record, "fields", {}) for record in told]


def test_a_horizon_that_keeps_up_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    watch = HorizonWatch(PATIENCE)
    watch.look(Held(NOON, 3), NOON + MINUTE)
    assert complaint(watch) is None
    assert warnings(caplog) == []
    assert held_seconds(3) == 60


def test_the_partition_that_holds_it_back_is_named_until_it_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    watch = HorizonWatch(PATIENCE)
    with caplog.at_level(logging.WARNING, "jalon"):
        for minutes in (4, 6, 7, 12):
            watch.look(Held(NOON, 3), NOON + minutes * MINUTE)
    assert complaint(watch) == "partition 3 has held time back for 720 s"
    assert warnings(caplog) == [{"partition": 3, "seconds": 360}, {"partition": 3, "seconds": 720}]
    watch.look(Held(NOON + 12 * MINUTE, 5), NOON + 13 * MINUTE)
    assert complaint(watch) is None
    assert (held_seconds(3), held_seconds(5)) == (None, 60)


def test_a_horizon_that_never_moved_counts_from_the_first_look() -> None:
    watch = HorizonWatch(PATIENCE)
    watch.look(Held(EARLIEST, 0), NOON)
    assert complaint(watch) is None
    watch.look(Held(EARLIEST, 0), NOON + 6 * MINUTE)
    assert complaint(watch) == "partition 0 has held time back for 360 s"
