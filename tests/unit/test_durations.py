"""Fixed durations as ISO 8601 writes them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journey.durations import LONGEST, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT1S", timedelta(seconds=1)),
        ("PT35M", timedelta(minutes=35)),
        ("PT66M", timedelta(minutes=66)),
        ("P14D", timedelta(days=14)),
        ("P2W", timedelta(weeks=2)),
        ("P1DT12H", timedelta(days=1, hours=12)),
        ("P1W2DT3H4M5S", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5)),
        ("P36525D", LONGEST),
    ],
)
def test_weeks_to_seconds_have_a_fixed_length(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "14D", "P1Y", "P1M", "PT1.5H", "-P1D", "P-1D", "P1D ", "PT1M2H", "p1d", "P1D\n"]
)
def test_what_has_no_fixed_length_or_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="fixed ISO 8601 duration such as P14D"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["PT0S", "P0D", "P36526D", "P99999W", "PT999999999S" + "0"])
def test_less_than_a_second_and_more_than_a_century_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=LONGEST))
def test_a_duration_is_written_so_that_it_reads_back(duration: timedelta) -> None:
    whole = timedelta(days=duration.days, seconds=duration.seconds)
    assert parse_duration(format_duration(whole)) == whole


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "PT0S"),
        (timedelta(minutes=66), "PT1H6M"),
        (timedelta(days=2), "P2D"),
        (timedelta(milliseconds=1500), "PT1.5S"),
        (timedelta(microseconds=1), "PT0.000001S"),
    ],
)
def test_what_was_measured_is_written_to_the_microsecond(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text
