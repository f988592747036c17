"""Jitter, the pauses between tries, and what is made up for; misses are told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from domain import job
from domain.job import JobPolicy, JobRunMissed, JobRunsMissed, Retries, made_up_for, run_id
from domain.job.firing import MOST_TOLD_ONE_BY_ONE
from domain.values import timestamp
from tests.builders import NOW, after
from tests.domain.job.stories import fire, given
from tests.jobs import JOB

HOURS = [after(hours=-back) for back in range(30, 0, -1)]
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(
    lambda each: each.replace(microsecond=0, tzinfo=NOW.tzinfo)
)


@over(MOMENTS, st.floats(0, 86_400))
def test_the_delay_of_a_trigger_is_always_the_same_and_below_the_jitter(
    nominal_at: datetime, jitter: float
) -> None:
    policy = JobPolicy(jitter_seconds=jitter)
    delay = policy.due_at(JOB, nominal_at) - nominal_at
    assert timedelta(0) <= delay <= timedelta(seconds=jitter)
    assert delay == policy.due_at(JOB, nominal_at) - nominal_at


def test_delays_are_spread_over_the_jitter_and_differ_between_jobs() -> None:
    policy = JobPolicy(jitter_seconds=100)
    delays = [(policy.due_at(JOB, after(hours=n)) - after(hours=n)).total_seconds() for n in range(500)]
    assert min(delays) < 5
    assert max(delays) > 95
    assert 40 < sum(delays) / len(delays) < 60
    assert policy.due_at(JOB, NOW) != policy.due_at("propagation", NOW)


def test_the_pauses_between_tries_grow_up_to_a_day() -> None:
    retries = Retries(attempts=9, delay_seconds=60, factor=3)
    pauses = [retries.pause_before(attempt).total_seconds() for attempt in (2, 3, 4, 9, 65_535)]
    assert pauses == [60, 180, 540, 86_400, 86_400]


@pytest.mark.parametrize(
    ("policy", "made_up"),
    [
        (JobPolicy(catch_up="all"), HOURS[6:]),
        (JobPolicy(catch_up="all", catch_up_seconds=3 * 3600), HOURS[-3:]),
        (JobPolicy(catch_up="latest"), HOURS[-1:]),
        (JobPolicy(catch_up="latest", catch_up_seconds=1800), []),
        (JobPolicy(catch_up="none"), []),
    ],
)
def test_what_is_made_up_for(policy: JobPolicy, made_up: list[datetime]) -> None:
    assert made_up_for(policy, HOURS, now=NOW) == frozenset(made_up)


@pytest.mark.parametrize("catch_up", ["all", "latest", "none"])
def test_the_minute_that_a_handover_takes_is_made_up_for_whatever_the_rule(catch_up: Any) -> None:
    policy = JobPolicy(catch_up=catch_up, catch_up_seconds=1)
    assert made_up_for(policy, [after(seconds=-61), after(seconds=-59)], now=NOW) == {after(seconds=-59)}


def test_a_firing_that_is_a_moment_late_is_no_missed_one() -> None:
    passed = [after(hours=-1), after(seconds=-59)]
    assert made_up_for(JobPolicy(catch_up="none"), passed, now=NOW) == {after(seconds=-59)}


def missed(nominal_at: datetime) -> JobRunMissed:
    return JobRunMissed(
        job=JOB,
        run_id=run_id(JOB, nominal_at),
        nominal_at=nominal_at,
        noticed_at=NOW,
        reason=f"nobody watched the clock at {timestamp(nominal_at)}",
    )


def test_what_was_missed_is_told_one_by_one_and_once() -> None:
    assert job.miss(None, JOB, HOURS[:3], now=NOW) == tuple(map(missed, HOURS[:3]))
    story = given(*job.miss(None, JOB, HOURS[:3], now=NOW))
    story.when(lambda state: job.miss(state, JOB, HOURS[:3], now=after(hours=1))).then_nothing()
    story.when(lambda state: job.miss(state, JOB, HOURS[:4], now=NOW)).then(missed(HOURS[3]))


def test_very_many_missed_ones_are_told_as_one_but_for_the_newest() -> None:
    minutes = [after(minutes=number - 5000) for number in range(5000)]
    told = job.miss(None, JOB, minutes, now=NOW)
    many = 5000 - MOST_TOLD_ONE_BY_ONE
    assert told[0] == JobRunsMissed(
        job=JOB,
        first_nominal_at=minutes[0],
        last_nominal_at=minutes[many - 1],
        number=many,
        noticed_at=NOW,
    )
    assert told[1:] == tuple(map(missed, minutes[many:]))
    story = given(*told)
    story.when(lambda state: job.miss(state, JOB, minutes, now=NOW)).then_nothing()
    for each in (minutes[0], minutes[many - 1], minutes[many], minutes[-1]):
        story.when(fire(each, at=NOW)).then_nothing()
    assert story.when(fire(NOW)).happened()


def test_nothing_missed_is_nothing_told() -> None:
    assert job.miss(None, JOB, [], now=NOW) == ()
