"""Business hours, against a clock on the wall that is read every minute of a year."""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.business_time import ALWAYS, Calendar, Hours, NoBusinessTime

MINUTE = timedelta(minutes=1)
DAY_MINUTES = 24 * 60

Week = Mapping[int, Sequence[tuple[int, int]]]
"""By weekday, from and to which minute of the day; no later than it begins is on the next day."""

OFFICE: Week = {
    **{day: [(9 * 60, 12 * 60), (13 * 60, 17 * 60)] for day in range(4)},
    4: [(9 * 60, 12 * 60), (13 * 60, 15 * 60)],
}
NIGHTS: Week = {day: [(22 * 60, 6 * 60)] for day in (0, 2, 4, 5, 6)}
AT_THE_JUMPS: Week = {6: [(0, 90), (105, 150), (165, 195), (1380, 0)], 5: [(60, 150)], 0: [(150, 180)]}
OVERLAPPING: Week = {0: [(20 * 60, 8 * 60), (22 * 60, 23 * 60)], 1: [(7 * 60, 12 * 60), (11 * 60, 11 * 60)]}
ALL_WEEK: Week = {day: [(0, 0)] for day in range(7)}

HOLIDAYS = [date(2026, 1, 1), date(2026, 4, 3), date(2026, 5, 14), date(2026, 12, 25), date(2026, 12, 26)]


def calendar_of(zone: str, week: Week, holidays: Collection[date] = ()) -> Calendar:
    def at(minute: int) -> time:
        return time(minute // 60, minute % 60)

    hours = {day: tuple(Hours(at(begin), at(end)) for begin, end in spans) for day, spans in week.items()}
    return Calendar(zone=zone, week=hours, holidays=frozenset(holidays))


class WallClock:
    """Somebody who looks at the clock every minute, and knows from the calendar when to work.

    A clock that is put back shows a time that has been before: work goes on as it was.
    """

    def __init__(self, zone: str, week: Week, holidays: Collection[date], first: date, days: int) -> None:
        self.first = datetime.combine(first, time(), UTC)
        before = first - timedelta(days=3)
        plan = bytearray((days + 8) * DAY_MINUTES)
        for number in range(days + 6):
            day = before + timedelta(days=number)
            for begin, end in week.get(day.weekday(), ()) if day not in holidays else ():
                ends = end if end > begin else end + DAY_MINUTES
                for minute in range(number * DAY_MINUTES + begin, number * DAY_MINUTES + ends):
                    plan[minute] = 1
        self.minutes = days * DAY_MINUTES
        self.works = bytearray(self.minutes)
        shown = 0
        for quarter in range(self.minutes // 15):
            moment = self.first + 15 * quarter * MINUTE
            wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
            ahead = (wall - datetime.combine(before, time())) // MINUTE
            for minute in range(15):
                shown = max(shown, ahead + minute)
                self.works[15 * quarter + minute] = plan[shown]
        self.worked = list(accumulate(self.works, initial=0))

    def after(self, start: int, minutes: int) -> int:
        """When so many minutes have been worked since the ``start``-th; the first to work at, for none.

        One beyond the last minute where nobody has looked so long.
        """
        if minutes == 0:
            return self.works.find(1, start) % (self.minutes + 2)
        return bisect_left(self.worked, self.worked[start] + minutes)

    def agrees(self, calendar: Calendar, start: int, minutes: int) -> None:
        found = calendar.after(self.first + start * MINUTE, 60.0 * minutes)
        assert found.tzinfo is UTC
        expected = self.after(start, minutes)
        if expected > self.minutes:
            assert found > self.first + self.minutes * MINUTE
        else:
            assert found == self.first + expected * MINUTE, (start, minutes)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "week", [OFFICE, NIGHTS, AT_THE_JUMPS, OVERLAPPING, ALL_WEEK], ids=["day", "night", "dst", "twice", "all"]
)
def test_so_many_minutes_later_is_when_a_clock_on_the_wall_says_so_all_year(zone: str, week: Week) -> None:
    wall = WallClock(zone, week, HOLIDAYS, date(2025, 12, 1), 430)
    calendar = calendar_of(zone, week, HOLIDAYS)
    starts = [*range(31 * DAY_MINUTES, 396 * DAY_MINUTES, 1009)]
    jumps = [date(2026, 3, 8), date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 1)]
    for jump in jumps:
        midnight = (jump - wall.first.date()).days * DAY_MINUTES
        starts += range(midnight - 300, midnight + 12 * 60, 31)
    for number, start in enumerate(starts):
        wall.agrees(calendar, start, (0, 1, 59, 240, 480, 1_000)[number % 6])


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    """Any hours, in whole quarters, the earliest first; some go on past midnight."""
    quarter = st.integers(0, 95).map(lambda number: 15 * number)
    spans = st.lists(st.tuples(quarter, quarter), max_size=3).map(sorted)
    week: Week = {day: draw(spans) for day in range(7)}
    return week if any(week.values()) else ALL_WEEK


@pytest.mark.parametrize(
    ("zone", "jump"),
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("America/New_York", date(2026, 11, 1)),
        ("Africa/Cairo", date(2026, 4, 24)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Australia/Lord_Howe", date(2026, 10, 4)),
    ],
)
@settings(max_examples=15, deadline=None)
@given(week=weeks(), data=st.data())
def test_any_hours_of_any_zone_are_as_the_clock_on_the_wall_shows_them(
    zone: str, jump: date, week: Week, data: st.DataObject
) -> None:
    holidays = data.draw(st.sets(st.sampled_from([jump + timedelta(days=day) for day in (-1, 0, 1)])))
    first = jump - timedelta(days=3)
    wall = WallClock(zone, week, holidays, first, 30)
    calendar = calendar_of(zone, week, holidays)
    for start in range(DAY_MINUTES, 5 * DAY_MINUTES, 97):
        wall.agrees(calendar, start, start % 301)


BERLIN = calendar_of("Europe/Berlin", OFFICE)


def utc(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """In the week of Monday the 5th of January 2026, when Berlin is an hour ahead."""
    return datetime(2026, 1, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "seconds", "expected"),
    [
        (utc(5, 8), 0, utc(5, 8)),
        (utc(5, 7, 59), 0, utc(5, 8)),
        (utc(5, 8, 30, 15), 0, utc(5, 8, 30, 15)),
        (utc(5, 11), 0, utc(5, 12)),
        (utc(9, 14), 0, utc(12, 8)),
        (utc(5, 8), 3 * 3600, utc(5, 11)),
        (utc(5, 8), 3 * 3600 + 1, utc(5, 12, 0, 1)),
        (utc(5, 10, 59, 59), 0.5, utc(5, 10, 59, 59) + timedelta(seconds=0.5)),
        (utc(5, 8), 7 * 3600, utc(5, 16)),
        (utc(9, 13), 2 * 3600, utc(12, 9)),
        (utc(5, 0), 33 * 3600, utc(9, 14)),
        (utc(5, 0), 33 * 3600 + 1, utc(12, 8, 0, 1)),
    ],
)
def test_none_have_passed_at_the_start_and_the_last_passes_at_the_end_of_work(
    start: datetime, seconds: float, expected: datetime
) -> None:
    assert BERLIN.after(start, seconds) == expected


def test_a_start_in_another_zone_is_the_same_moment() -> None:
    in_tokyo = utc(5, 8).astimezone(ZoneInfo("Asia/Tokyo"))
    found = BERLIN.after(in_tokyo, 60)
    assert found == utc(5, 8, 1)
    assert found.tzinfo is UTC


def test_the_shift_of_the_night_before_counts_in_the_morning() -> None:
    """At three in the night to Tuesday, the shift that began on Monday has three hours to go."""
    nights = calendar_of("Europe/Berlin", {0: [(22 * 60, 6 * 60)]})
    assert nights.after(utc(6, 2), 0) == utc(6, 2)
    assert nights.after(utc(6, 2), 3 * 3600) == utc(6, 5)
    assert nights.after(utc(6, 2), 3 * 3600 + 1) == utc(12, 21, 0, 1)


def test_a_shift_belongs_to_the_day_on_which_it_begins_holiday_or_not() -> None:
    week = {0: [(22 * 60, 6 * 60)], 1: [(9 * 60, 17 * 60)]}
    after_the_holiday = calendar_of("Europe/Berlin", week, [date(2026, 1, 5)])
    assert after_the_holiday.after(utc(5, 12), 0) == utc(6, 8)
    into_the_holiday = calendar_of("Europe/Berlin", week, [date(2026, 1, 6)])
    assert into_the_holiday.after(utc(5, 12), 9 * 3600) == utc(12, 22)


def test_an_hour_is_an_hour_where_every_hour_counts() -> None:
    for start in (utc(5, 8), datetime(2028, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)):
        for seconds in (0, 0.001, 1, 86_400, 40 * 86_400.5):
            assert ALWAYS.after(start, seconds) == start + timedelta(seconds=seconds)


def test_a_day_that_a_zone_left_out_has_no_hours() -> None:
    """Samoa went from the 29th of December 2011 to the 31st."""
    week = {day: [(9 * 60, 17 * 60)] for day in range(7)}
    apia = calendar_of("Pacific/Apia", week)
    start = datetime(2011, 12, 30, 3, tzinfo=UTC)
    assert start.astimezone(ZoneInfo("Pacific/Apia")).day == 29
    assert apia.after(start, 3600) == datetime(2011, 12, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "calendar",
    [
        calendar_of("UTC", {}),
        calendar_of("UTC", {0: []}),
        calendar_of("UTC", OFFICE, [date(2026, 1, 1) + timedelta(days=day) for day in range(400)]),
    ],
)
@pytest.mark.parametrize("seconds", [0, 1])
def test_where_nobody_works_for_a_year_there_is_no_answer(calendar: Calendar, seconds: float) -> None:
    with pytest.raises(NoBusinessTime) as caught:
        calendar.after(utc(5, 8), seconds)
    assert caught.value.message == "the calendar in UTC does not have that much business time"
    assert caught.value.details == [{"field": "policy", "message": caught.value.message}]


@pytest.mark.parametrize("seconds", [3.2e9, 1e15, 1e300, float("inf")])
def test_more_business_time_than_a_century_has_is_refused(seconds: float) -> None:
    for calendar in (ALWAYS, BERLIN):
        with pytest.raises(NoBusinessTime):
            calendar.after(utc(5, 8), seconds)


def test_decades_of_business_time_are_counted() -> None:
    assert ALWAYS.after(utc(5, 8), 90 * 365 * 86_400.0) == utc(5, 8) + timedelta(days=90 * 365)


def test_the_calendar_ends_before_its_last_year() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    for start in (last, datetime.max.replace(tzinfo=UTC), datetime(9998, 12, 31, 20, tzinfo=UTC)):
        with pytest.raises(NoBusinessTime):
            ALWAYS.after(start, 86_400 * 2)
