"""Fixed durations as ISO 8601 writes them, from weeks to seconds. Months and years have no fixed length."""

import re
from datetime import timedelta

_FORM = re.compile(
    r"P(?=[\dT])(?:(?P<weeks>\d{1,5})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9})S)?)?"
)

LONGEST = timedelta(days=36_525)


def parse_duration(text: str) -> timedelta:
    """The duration that `text` writes, from one second to a hundred years.

    Raises `ValueError` with a sentence that says what is expected.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("expected a fixed ISO 8601 duration such as P14D, PT35M or P1DT12H")
    duration = timedelta(**{unit: int(digits) for unit, digits in match.groupdict().items() if digits})
    if not timedelta(seconds=1) <= duration <= LONGEST:
        raise ValueError("expected a duration of at least one second and at most a hundred years")
    return duration


def format_duration(duration: timedelta) -> str:
    """The ISO 8601 form of a duration, seconds the smallest unit written unless there are microseconds."""
    hours, rest = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    time = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or duration.microseconds:
        fraction = f".{duration.microseconds:06}".rstrip("0") if duration.microseconds else ""
        time += f"{seconds}{fraction}S"
    days = f"{duration.days}D" if duration.days else ""
    return f"P{days}" + (f"T{time}" if time else "") if days or time else "PT0S"
