"""Cron and the two nights a year on which the clocks change.

The yardstick is written here and shares nothing with the code: every minute of a year is looked at, its wall
time matched by a plain predicate, and Debian cron's rule applied to it.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from interfaces.scheduling.cron import UnixCron

Matches = Callable[[datetime], bool]
MINUTE = timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")

FIXED: dict[str, Matches] = {
    "0 1 * * *": lambda wall: wall.hour == 1 and wall.minute == 0,
    "30 1 * * *": lambda wall: wall.hour == 1 and wall.minute == 30,
    "0 2 * * *": lambda wall: wall.hour == 2 and wall.minute == 0,
    "30 2 * * *": lambda wall: wall.hour == 2 and wall.minute == 30,
    "0 3 * * *": lambda wall: wall.hour == 3 and wall.minute == 0,
    "0,30 1-3 * * *": lambda wall: wall.hour in (1, 2, 3) and wall.minute in (0, 30),
    "15 0-23 * * *": lambda wall: wall.minute == 15,
    "0 1 * * 0": lambda wall: wall.isoweekday() == 7 and wall.hour == 1 and wall.minute == 0,
    "0 6 * * SUN": lambda wall: wall.isoweekday() == 7 and wall.hour == 6 and wall.minute == 0,
    "0 0 1,15 * 5-7": lambda wall: (
        (wall.day in (1, 15) or wall.isoweekday() in (5, 6, 7)) and wall.hour == 0 and wall.minute == 0
    ),
}
WILDCARD: dict[str, Matches] = {
    "0 * * * *": lambda wall: wall.minute == 0,
    "*/20 * * * *": lambda wall: wall.minute % 20 == 0,
    "*/15 2 * * *": lambda wall: wall.hour == 2 and wall.minute % 15 == 0,
    "30 */2 * * *": lambda wall: wall.hour % 2 == 0 and wall.minute == 30,
    "0 */2 * * 7": lambda wall: wall.isoweekday() == 7 and wall.hour % 2 == 0 and wall.minute == 0,
    "*/10 0 * * 0": lambda wall: wall.isoweekday() == 7 and wall.hour == 0 and wall.minute % 10 == 0,
}


@cache
def wall_of_each_minute(zone: str, start: datetime, end: datetime) -> tuple[tuple[datetime, datetime], ...]:
    minutes = int((end - start) / MINUTE)
    return tuple(
        (instant, instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0))
        for instant in (start + minute * MINUTE for minute in range(minutes))
    )


def expected_fixed(matches: Matches, minutes: tuple[tuple[datetime, datetime], ...]) -> Iterator[datetime]:
    """Each wall time once: the first of two, and all that were skipped over at once at the change."""
    latest = minutes[0][1] - MINUTE
    for instant, wall in minutes:
        due = False
        while latest < wall:
            latest += MINUTE
            due = matches(latest) or due
        if due:
            yield instant


def expected_of_wildcards(
    matches: Matches, minutes: tuple[tuple[datetime, datetime], ...]
) -> Iterator[datetime]:
    return (instant for instant, wall in minutes if matches(wall))


def fired(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    cron = UnixCron(expression, ZoneInfo(zone))
    firings, at = [], cron.next_after(start - timedelta(seconds=1))
    while at < end:
        firings.append(at)
        at = cron.next_after(at)
    return firings


def compare(expression: str, zone: str, start: datetime, end: datetime) -> None:
    minutes = wall_of_each_minute(zone, start, end)
    expected = (
        expected_fixed(FIXED[expression], minutes)
        if expression in FIXED
        else expected_of_wildcards(WILDCARD[expression], minutes)
    )
    assert fired(expression, zone, start, end) == list(expected)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "expression", ["30 2 * * *", "0 1 * * 0", "0 0 1,15 * 5-7", "0 * * * *", "*/15 2 * * *"]
)
def test_every_firing_of_a_year_is_where_debian_cron_has_it(expression: str, zone: str) -> None:
    compare(expression, zone, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        pytest.param("Europe/Berlin", datetime(2026, 3, 29, tzinfo=UTC), id="Berlin spring"),
        pytest.param("Europe/Berlin", datetime(2026, 10, 25, tzinfo=UTC), id="Berlin autumn"),
        pytest.param("America/New_York", datetime(2026, 3, 8, tzinfo=UTC), id="New York spring"),
        pytest.param("America/New_York", datetime(2026, 11, 1, tzinfo=UTC), id="New York autumn"),
        pytest.param("Australia/Lord_Howe", datetime(2026, 4, 4, tzinfo=UTC), id="half an hour back"),
        pytest.param("Australia/Lord_Howe", datetime(2026, 10, 3, tzinfo=UTC), id="half an hour on"),
        pytest.param("America/Santiago", datetime(2026, 9, 6, tzinfo=UTC), id="no midnight"),
        pytest.param("America/Santiago", datetime(2026, 4, 5, tzinfo=UTC), id="two times 23 o'clock"),
        pytest.param("Pacific/Apia", datetime(2011, 12, 30, tzinfo=UTC), id="no 30 December"),
        pytest.param("UTC", datetime(2026, 3, 29, tzinfo=UTC), id="no change at all"),
    ],
)
@pytest.mark.parametrize("expression", [*FIXED, *WILDCARD])
def test_each_kind_of_change_is_met_as_debian_cron_meets_it(
    expression: str, zone: str, change: datetime
) -> None:
    compare(expression, zone, change - timedelta(days=3), change + timedelta(days=4))


def test_a_daily_job_in_the_repeated_hour_fires_once_at_the_first() -> None:
    firings = fired(
        "30 2 * * *",
        "Europe/Berlin",
        datetime(2026, 10, 24, 12, tzinfo=UTC),
        datetime(2026, 10, 26, tzinfo=UTC),
    )
    assert firings == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


@pytest.mark.parametrize("minute", [0, 15, 30, 45, 59])
def test_asked_within_the_second_of_two_hours_the_answer_is_never_past(minute: int) -> None:
    moment = datetime(2026, 10, 25, 1, minute, tzinfo=UTC)
    assert UnixCron("30 2 * * *", BERLIN).next_after(moment) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_daily_job_in_the_gap_fires_at_the_change_and_only_then() -> None:
    spring = UnixCron("30 2 * * *", NEW_YORK).upcoming(datetime(2026, 3, 7, 12, tzinfo=UTC), 2)
    change = datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert spring == (change, datetime(2026, 3, 9, 6, 30, tzinfo=UTC))


def test_an_hourly_job_fires_every_hour_through_both_changes() -> None:
    for day in (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 21, tzinfo=UTC)):
        firings = UnixCron("0 * * * *", BERLIN).upcoming(day, 12)
        assert firings == tuple(day + timedelta(hours=hour) for hour in range(1, 13))
