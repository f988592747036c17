"""Given a job's events, then its numbers."""

from datetime import datetime, timedelta
from functools import reduce

import pytest

from application.job_health import LATENESS_BOUNDS, JobHealth, evolve
from domain.event import Event
from domain.job import (
    JobFired,
    JobPaused,
    JobReportUnmatched,
    JobResumed,
    JobRunCompleted,
    JobRunFailed,
    JobRunMissed,
    JobRunPublished,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    JobRunTimedOut,
)
from tests.builders import NOW, after, recorded

JOB = "outcome-sync"
DEADLINE = after(hours=6)


def fired(
    run: str = "run-1", *, late: float = 0.2, attempt: int = 1, backfill: str | None = None
) -> JobFired:
    by_cron = backfill is None
    return JobFired(
        job=JOB,
        run_id=run,
        triggered_by="scheduler" if by_cron else "backfill",
        fired_at=NOW,
        nominal_at=NOW - timedelta(seconds=late) if by_cron else None,
        metadata={},
        deadline_seconds=21_600.0,
        attempt=attempt,
        backfill_id=backfill,
    )


def by_hand(run: str = "by-hand") -> JobFired:
    return JobFired(job=JOB, run_id=run, triggered_by="manual", fired_at=after(minutes=1), metadata={})


def completed(run: str = "run-1", *, at: datetime = NOW, backfill: str | None = None) -> JobRunCompleted:
    return JobRunCompleted(job=JOB, run_id=run, completed_at=at, backfill_id=backfill)


def failed(run: str = "run-1", *, backfill: str | None = None) -> JobRunFailed:
    return JobRunFailed(job=JOB, run_id=run, error="no disk", failed_at=NOW, backfill_id=backfill)


def timed_out(run: str = "run-1") -> JobRunTimedOut:
    return JobRunTimedOut(job=JOB, run_id=run, deadline_at=NOW, timed_out_at=NOW)


def missed(run: str = "run-1") -> JobRunMissed:
    return JobRunMissed(job=JOB, run_id=run, nominal_at=after(days=-1), noticed_at=NOW, reason="nobody")


def skipped(run: str = "run-1", **of: str) -> JobRunSkipped:
    return JobRunSkipped(job=JOB, run_id=run, nominal_at=NOW, skipped_at=NOW, reason="paused", **of)  # type: ignore[arg-type]


def scheduled(run: str = "run-1") -> JobRunScheduled:
    return JobRunScheduled(
        job=JOB, run_id=run, scheduled_at=NOW, nominal_at=NOW, metadata={}, waits_for="jitter"
    )


PAUSED = JobPaused(job=JOB, by="ann", reason="maintenance", paused_at=NOW)
RESUMED = JobResumed(job=JOB, by="ann", resumed_at=after(hours=1))


def health(*events: Event, at: datetime = NOW) -> JobHealth:
    return reduce(evolve, recorded(f"system/job/{JOB}", events, at=at), JobHealth())


def test_a_run_is_open_until_it_has_ended() -> None:
    opened = health(fired(), by_hand())
    assert set(opened.open_runs) == {"run-1", "by-hand"}
    assert (opened.open_since, opened.report_due_at) == (NOW, None)
    note = JobRunPublished(job=JOB, run_id="run-1", published_at=NOW, deadline_at=DEADLINE)
    published = health(fired(), note)
    assert (set(published.open_runs), published.open_since) == ({"run-1"}, NOW)
    assert published.report_due_at == DEADLINE
    assert not health(fired(), completed(), note).open_runs
    for ended in (completed(), failed(), timed_out()):
        left = health(fired(), ended)
        assert (len(left.open_runs), left.open_since, left.report_due_at) == (0, None, None)


def test_a_run_that_is_held_back_waits_until_its_trigger_goes_out_or_it_is_skipped() -> None:
    assert set(health(scheduled()).waiting) == {"run-1"}
    assert not health(scheduled(), fired()).waiting
    assert not health(scheduled(), skipped()).waiting


def test_runs_are_counted_by_what_became_of_them() -> None:
    many = JobRunsMissed(job=JOB, first_nominal_at=NOW, last_nominal_at=NOW, number=7, noticed_at=NOW)
    found = health(
        *(fired(), completed()), *(fired("2"), failed("2")), *(fired("3"), timed_out("3")), missed(), many,
        *(skipped(), skipped("4")),
    )  # fmt: skip
    assert dict(found.runs) == {"completed": 1, "failed": 1, "timed_out": 1, "missed": 8, "skipped": 2}
    assert set(found.last) == set(found.runs)


def test_a_report_that_comes_after_the_time_out_counts_too() -> None:
    found = health(fired(), timed_out(), completed())
    assert dict(found.runs) == {"timed_out": 1, "completed": 1}
    assert found.last_success_at == NOW


def test_a_success_is_when_the_worker_says_so() -> None:
    assert health(fired(), completed(at=after(minutes=-3))).last_success_at == after(minutes=-3)


def test_a_worker_whose_clock_is_ahead_keeps_no_alarm_silent() -> None:
    found = health(fired(), completed(at=after(days=400)))
    assert found.last_success_at == found.last["completed"] == after(milliseconds=1)


def test_an_earlier_success_that_is_told_later_is_not_the_last() -> None:
    found = health(fired("1"), fired("2"), completed("2"), completed("1", at=after(hours=-1)))
    assert found.last_success_at == found.last["completed"] == NOW


def test_a_job_that_somebody_else_has_triggered_has_succeeded_all_the_same() -> None:
    good, bad = (
        JobReportUnmatched(job=JOB, run_id=outcome, outcome=outcome, reported_at=NOW)
        for outcome in ("completed", "failed")
    )  # fmt: skip
    found = health(good, bad, bad)
    assert dict(found.unmatched) == {"completed": 1, "failed": 2}
    assert found.last_success_at == NOW
    assert health(bad).last_success_at is None


def test_a_backfill_says_nothing_of_whether_the_job_is_done_in_time() -> None:
    backfill = (fired("b-1", backfill="b"), completed("b-1", backfill="b"))
    found = health(fired(), *backfill, fired("b-2", backfill="b"), failed("b-2", backfill="b"))
    assert dict(found.runs) == {"completed": 1, "failed": 1}
    assert (found.last_success_at, dict(found.last), found.firing_since) == (None, {}, NOW)


@pytest.mark.parametrize("firing", [fired(), scheduled(), missed(), skipped()], ids=lambda each: each.TOPIC)
def test_a_firing_waits_for_a_success_from_its_first_word_on(firing: Event) -> None:
    assert health(firing, fired("later")).firing_since == NOW
    assert health(firing, fired("later"), completed("later")).firing_since is None
    assert health(firing, failed()).firing_since == NOW


def test_what_nobody_fired_by_cron_waits_for_none() -> None:
    assert health(by_hand(), fired("2", backfill="b"), fired("3", attempt=2)).firing_since is None


def test_a_retry_that_does_not_go_out_is_no_firing_and_one_of_a_backfill_says_nothing_of_the_last_run() -> (
    None
):
    done = (fired(), completed())
    again = JobRunScheduled(
        job=JOB, run_id="2", nominal_at=NOW, scheduled_at=NOW, metadata={}, waits_for="jitter", retry_of="1"
    )
    left_out = skipped("2", retry_of="run-1")
    assert health(*done, again).firing_since is None
    assert health(*done, left_out).firing_since is None
    assert dict(health(left_out).last) == {"skipped": NOW}
    of_backfill = health(*done, skipped("3", retry_of="2", backfill_id="b"))
    assert (of_backfill.firing_since, dict(of_backfill.last)) == (None, {"completed": NOW})


def test_a_success_that_is_told_late_comes_after_the_time_out_that_it_takes_back() -> None:
    late = JobRunCompleted(job=JOB, run_id="run-1", completed_at=after(minutes=-3), late=True)
    found = health(fired(), timed_out(), late)
    assert found.last_success_at == found.last["completed"] >= found.last["timed_out"]


def test_after_a_pause_the_job_owes_nothing_for_before() -> None:
    paused = health(fired(), PAUSED, skipped("2"))
    assert paused.paused
    resumed = health(fired(), PAUSED, skipped("2"), RESUMED)
    assert (resumed.paused, resumed.resumed_at, resumed.firing_since) == (False, after(hours=1), None)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (1.0, 0), (1.1, 1), (86_400.0, 8), (86_401.0, 9)],
)
def test_lateness_is_from_the_nominal_time_to_the_trigger(seconds: float, bucket: int) -> None:
    lateness = health(fired(late=seconds)).lateness
    assert lateness.counts.index(1) == bucket
    assert (sum(lateness.counts), lateness.last) == (1, seconds)
    assert len(lateness.counts) == len(LATENESS_BOUNDS) + 1


def test_only_what_cron_fires_for_the_first_time_can_be_late() -> None:
    events = (fired(late=30), fired("2", late=10), by_hand(), fired("3", attempt=2, late=900))
    lateness = health(*events).lateness
    assert (sum(lateness.counts), lateness.seconds, lateness.last) == (2, 40.0, 10.0)
