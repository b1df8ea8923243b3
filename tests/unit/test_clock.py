"""The clock is UTC, and ids are unique and follow time."""

from datetime import UTC
from uuid import UUID

from plumbing import clock


def test_now_is_aware_and_utc() -> None:
    assert clock.now().tzinfo is UTC


def test_ids_are_uuids_of_version_7() -> None:
    made = UUID(clock.new_id())
    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_an_id_starts_with_its_millisecond() -> None:
    before, made, after = clock.now(), int(clock.new_id()[:12], 16), clock.now()
    assert int(before.timestamp() * 1000) <= made <= int(after.timestamp() * 1000)


def test_ids_and_secrets_differ() -> None:
    assert len({clock.new_id() for _ in range(10_000)}) == 10_000
    assert clock.new_secret() != clock.new_secret()
    assert len(clock.new_secret()) >= 43


def test_the_monotonic_clock_never_goes_back() -> None:
    looks = [clock.monotonic() for _ in range(1_000)]
    assert looks == sorted(looks)
