"""The days of a strip."""

from datetime import UTC, datetime

from interfaces.console.calendar_strip import strip_of


def test_a_day_is_named_each_week_where_its_name_is_not_cut_off() -> None:
    strip = strip_of([], [], datetime(2026, 11, 27, 20, 30, tzinfo=UTC))
    named = [day for day in strip.days if day.name]
    assert [day.name for day in named] == ["Nov 20", "Nov 27", "Dec 4"]
    assert all(day.x < strip.width - 60 for day in named)
