"""A range is cut into windows that lie side by side, and what cannot be one is refused with every fault."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.backfill import MOST_WINDOWS, Plan
from domain.backfill.plan import MOST_METADATA_BYTES, require_sound, window_run_id
from domain.errors import BadInput
from tests.domain.backfill.asked import day, plan


def faults_of(asked: Plan) -> list[str]:
    """The fields that something is said against."""
    with pytest.raises(BadInput) as caught:
        require_sound(asked)
    return [fault["field"] for fault in caught.value.details]


def test_the_last_window_ends_with_the_range() -> None:
    asked = plan(window_days=2)
    assert [(each.starts_at, each.ends_at) for each in asked.windows()] == [
        (day(1), day(3)),
        (day(3), day(5)),
        (day(5), day(6)),
    ]


def test_dates_are_told_as_dates_with_what_is_told_of_all() -> None:
    asked = plan(metadata={"tenantIds": ["t-1"]})
    assert asked.window(2).metadata == {"tenantIds": ["t-1"], "from": "2026-01-02", "to": "2026-01-03"}


def test_moments_are_told_as_the_platform_writes_them() -> None:
    cet = timezone(timedelta(hours=1))
    asked = plan(starts_at=datetime(2026, 1, 1, 1, 30, tzinfo=cet), ends_at=day(2), form="moments")
    assert asked.window(1).metadata == {"from": "2026-01-01T00:30:00.000Z", "to": "2026-01-02T00:00:00.000Z"}


def test_a_run_is_known_by_its_backfill_and_the_number_of_its_window() -> None:
    runs = {window_run_id(id, number) for id in ("b-1", "b-2") for number in (1, 2, 11)}
    assert len(runs) == 6
    assert plan().window(2).run_id == plan(window_days=3, metadata={"a": 1}).window(2).run_id


@given(
    starts_at=st.datetimes(timezones=st.just(UTC)),
    seconds=st.integers(1, 86_400 * MOST_WINDOWS),
    window_days=st.integers(1, 36_500),
)
def test_windows_tile_the_range_exactly(starts_at: datetime, seconds: int, window_days: int) -> None:
    ends_at = min(starts_at, datetime(9990, 1, 1, tzinfo=UTC)) + timedelta(seconds=seconds)
    starts_at = min(starts_at, datetime(9990, 1, 1, tzinfo=UTC))
    asked = plan(starts_at=starts_at, ends_at=ends_at, window_days=window_days, form="moments")
    require_sound(asked)
    windows = asked.windows()
    assert [each.number for each in windows] == list(range(1, asked.total + 1))
    assert [each.starts_at for each in windows] == [starts_at, *(each.ends_at for each in windows[:-1])]
    assert windows[-1].ends_at == ends_at
    length = timedelta(days=window_days)
    assert all(each.ends_at - each.starts_at == length for each in windows[:-1])
    assert timedelta(0) < windows[-1].ends_at - windows[-1].starts_at <= length


def test_as_many_windows_as_there_may_be_are_taken_and_not_one_more() -> None:
    most = day(1) + timedelta(days=MOST_WINDOWS)
    require_sound(plan(ends_at=most))
    assert faults_of(plan(ends_at=most + timedelta(milliseconds=1))) == ["windowDays"]
    require_sound(plan(ends_at=most + timedelta(days=1), window_days=2))


def test_the_end_of_the_calendar_can_be_backfilled() -> None:
    end = datetime(9999, 12, 31, tzinfo=UTC)
    asked = plan(starts_at=datetime(9999, 12, 30, tzinfo=UTC), ends_at=end, window_days=36_500)
    require_sound(asked)
    assert [each.ends_at for each in asked.windows()] == [end]


@pytest.mark.parametrize("ends_at", [day(1), datetime(2025, 12, 31, tzinfo=UTC)])
def test_a_range_that_ends_where_it_begins_or_before_is_refused(ends_at: datetime) -> None:
    assert faults_of(plan(ends_at=ends_at)) == ["to"]


@pytest.mark.parametrize("max_active", [0, 21])
def test_so_many_windows_at_a_time_are_refused(max_active: int) -> None:
    assert faults_of(plan(max_active=max_active)) == ["maxActive"]


def test_every_fault_is_told_at_once() -> None:
    asked = plan(
        ends_at=day(1),
        window_days=0,
        max_active=0,
        metadata={"from": 1, "to": 2, "more": "x" * MOST_METADATA_BYTES},
    )
    assert faults_of(asked) == ["windowDays", "maxActive", "to", "metadata.from", "metadata.to", "metadata"]


def test_as_much_metadata_as_there_may_be_is_taken() -> None:
    room = MOST_METADATA_BYTES - len('{"a":""}')
    require_sound(plan(metadata={"a": "x" * room}))
    assert faults_of(plan(metadata={"a": "x" * (room + 1)})) == ["metadata"]
