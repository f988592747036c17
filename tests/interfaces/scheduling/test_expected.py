"""By when a job is to have succeeded again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from application.job_health import JobHealth
from domain.job import JobDefinition, JobPolicy, Retries, Schedule
from interfaces.scheduling.cron import UnixCron
from interfaces.scheduling.expected import LONGEST_RETRYING, allowed_time, success_due_at
from interfaces.scheduling.job_health import JobStanding

HOURS = timedelta(hours=1)
FRIDAY = datetime(2026, 11, 27, 1, tzinfo=UTC)
MONDAY = datetime(2026, 11, 30, 1, tzinfo=UTC)
POLICY = JobPolicy(deadline_seconds=6 * 3600.0)
ON_WEEKDAYS = "0 1 * * 1-5"
DEFINITION = JobDefinition(name="j", schedule=Schedule(cron=ON_WEEKDAYS, time_zone="UTC"), policy=POLICY)


def due(
    health: JobHealth, *, watched_until: datetime | None = None, cron: str = ON_WEEKDAYS, **changes: Any
) -> datetime | None:
    definition = msgspec.structs.replace(DEFINITION, **changes)
    return success_due_at(definition, UnixCron(cron, ZoneInfo("UTC")), JobStanding(health, watched_until))


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        (ON_WEEKDAYS, MONDAY + 6 * HOURS),
        ("0 1 * * *", FRIDAY + 30 * HOURS),
        ("0 1 * * 5", FRIDAY + timedelta(days=7) + 6 * HOURS),
        ("*/5 * * * *", FRIDAY + timedelta(minutes=25) + 6 * HOURS),
    ],
)
def test_after_a_success_the_next_is_due_by_the_schedule(cron: str, expected: datetime) -> None:
    assert due(JobHealth(last_success_at=FRIDAY + timedelta(minutes=20)), cron=cron) == expected


def test_a_firing_that_no_success_came_after_has_its_time_from_then_on() -> None:
    health = JobHealth(last_success_at=FRIDAY, firing_since=MONDAY)
    assert due(health) == MONDAY + 6 * HOURS


def test_a_firing_that_nothing_tells_of_is_missed_all_the_same() -> None:
    """So the alarm does not hang on the scheduler: its mark stays where it was, and so does the time."""
    health = JobHealth(last_success_at=FRIDAY + timedelta(minutes=20))
    assert due(health, watched_until=FRIDAY) == MONDAY + 6 * HOURS


def test_a_job_that_is_new_has_until_its_first_firing() -> None:
    assert due(JobHealth(), watched_until=FRIDAY + HOURS) == MONDAY + 6 * HOURS
    assert due(JobHealth()) is None


def test_a_job_that_was_off_for_long_owes_nothing_for_that_time() -> None:
    health = JobHealth(last_success_at=FRIDAY - timedelta(days=90))
    assert due(health, watched_until=FRIDAY + HOURS) == MONDAY + 6 * HOURS


def test_nor_does_one_that_was_paused() -> None:
    health = JobHealth(last_success_at=FRIDAY - timedelta(days=90), resumed_at=FRIDAY + HOURS)
    assert due(health) == MONDAY + 6 * HOURS


def test_nothing_is_expected_of_a_job_that_is_paused_or_switched_off() -> None:
    assert due(JobHealth(last_success_at=FRIDAY, paused=True)) is None
    assert due(JobHealth(last_success_at=FRIDAY), enabled=False) is None


def test_the_jobs_own_rules_say_how_long_it_may_take() -> None:
    retries = Retries(attempts=3, delay_seconds=60, factor=2)
    policy = JobPolicy(deadline_seconds=100, jitter_seconds=7, retries=retries)
    assert allowed_time(policy) == timedelta(seconds=7 + 100 + (60 + 100) + (120 + 100))


def test_tries_without_end_do_not_keep_the_alarm_silent() -> None:
    retries = Retries(attempts=65_535, delay_seconds=60, factor=100)
    policy = JobPolicy(deadline_seconds=3600, retries=retries)
    assert allowed_time(policy) == HOURS + LONGEST_RETRYING
