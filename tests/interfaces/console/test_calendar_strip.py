"""The days of a strip."""

from datetime import UTC, datetime

from interfaces.console.calendar_strip import strip_of


def test_a_day_is_named_each_week_where_its_name_is_not_cut_off() -> None:
    strip = strip_of([], [], datetime(2026, 11, 27, 20, 30, tzinfo=UTC))
    named = [day for day in strip.days if day.name]
    assert [day.name for day in named] == ["Nov 20", "Nov 27", "Dec 4"]
    assert all(day.x < strip.width - 60 for day in named)


def test_how_runs_ended_is_told_in_words_and_seen_without_colours() -> None:
    now = datetime(2026, 11, 27, 20, 30, tzinfo=UTC)
    ended = ["completed"] * 3 + ["timed_out", "failed", "missed", "skipped", "published"]
    runs = [{"status": status, "nominalTime": "2026-11-27T10:00:00Z"} for status in ended]
    strip = strip_of(runs, ["2026-11-28T10:00:00Z"] * 2, now)
    assert strip.told.startswith("3 completed, 1 timed out, 1 failed, 1 missed")
    assert strip.told.endswith("1 published in the last 14 days; 2 firings in the next 14")
    shapes = {mark.status: mark.shape for mark in strip.marks}
    assert [shapes[each] for each in ("completed", "published", "coming")] == ["circle"] * 3
    assert [shapes[each] for each in ("failed", "timed_out")] == ["square"] * 2
    assert [shapes[each] for each in ("missed", "skipped")] == ["diamond"] * 2
    assert strip_of([], [], now).told == "no runs in the last 14 days; 0 firings in the next 14"
