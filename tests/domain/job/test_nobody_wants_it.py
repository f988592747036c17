"""Retries that nobody wants any more: an earlier attempt has succeeded, or the backfill was cancelled."""

from datetime import datetime
from typing import Any

import pytest

from domain import job
from domain.job import JobBackfillCancelled, JobRunCompleted, JobRunFailed, JobRunTimedOut, Retries, retry_id
from tests.builders import NOW, after
from tests.domain.job.stories import Decide, complete, fail, given, publish, skipped, time_out, try_again
from tests.jobs import DEADLINE, JOB, definition, fired, fired_by_cron, published

RETRYING = definition(retries=Retries(attempts=4, delay_seconds=60, factor=1))
FIRST, SECOND = "run-1", retry_id("run-1", 2)
TIMED_OUT_AT = NOW + DEADLINE
TRIED_AGAIN_AT = after(hours=6, minutes=1)


def timed_out(run: str, at: datetime = TIMED_OUT_AT, **fields: Any) -> JobRunTimedOut:
    return JobRunTimedOut(job=JOB, run_id=run, deadline_at=at, timed_out_at=at, **fields)


def late(run: str, at: datetime) -> JobRunCompleted:
    return JobRunCompleted(job=JOB, run_id=run, completed_at=at, late=True)


FIRST_TRY = [fired(FIRST), published(FIRST), timed_out(FIRST, retry_at=TRIED_AGAIN_AT)]
SECOND_TRY = fired(SECOND, fired_at=TRIED_AGAIN_AT, attempt=2, retry_of=FIRST)


@pytest.mark.parametrize("ending", ["timed out", "failed"])
def test_an_attempt_of_what_has_succeeded_meanwhile_is_the_last(ending: str) -> None:
    at = after(hours=7)
    story = given(*FIRST_TRY, SECOND_TRY).when(complete(FIRST, RETRYING, at=at)).then(late(FIRST, at))
    end = TRIED_AGAIN_AT + DEADLINE
    if ending == "failed":
        story.when(fail(SECOND, RETRYING, at=end)).then(
            JobRunFailed(job=JOB, run_id=SECOND, error="no disk", failed_at=end, attempt=2, moot=True)
        )
        return
    story = story.when(publish(SECOND, at=TRIED_AGAIN_AT)).then(published(SECOND, at=TRIED_AGAIN_AT))
    story = story.when(time_out(SECOND, RETRYING, at=end)).then(timed_out(SECOND, end, attempt=2, moot=True))
    story.when(try_again(SECOND, RETRYING, at=end)).then_nothing()
    assert (story.state.moot, story.state.ended_badly) == (frozenset(), ())


def test_a_retry_that_waits_for_its_pause_does_not_go_out_once_any_earlier_attempt_has_succeeded() -> None:
    end = TRIED_AGAIN_AT + DEADLINE
    story = given(*FIRST_TRY, SECOND_TRY, timed_out(SECOND, end, retry_at=end, attempt=2))
    story = story.when(complete(FIRST, RETRYING, at=end)).then(late(FIRST, end))
    story.when(try_again(SECOND, RETRYING, at=end)).then_nothing()
    story.when(complete(SECOND, RETRYING, at=end)).then_nothing()


def test_a_retry_that_waits_for_another_run_is_skipped_once_the_first_attempt_has_succeeded() -> None:
    queue = definition(overlap="queue_one", retries=Retries(attempts=2, delay_seconds=60))
    nominal = after(seconds=-5)
    past = [
        fired_by_cron(FIRST),
        published(FIRST),
        timed_out(FIRST, retry_at=TRIED_AGAIN_AT),
        fired_by_cron("other", fired_at=TIMED_OUT_AT),
    ]
    (waits,) = given(*past).when(try_again(FIRST, queue, at=TRIED_AGAIN_AT)).happened()
    at = after(hours=7)
    reason = f"run {FIRST} has succeeded after all"
    given(*past, waits).when(complete(FIRST, queue, at=at)).then(
        late(FIRST, at), skipped(nominal, reason, at=at, run_id=SECOND, retry_of=FIRST)
    )


def stop(at: datetime) -> Decide:
    return lambda state: job.stop_retries(state, JOB, "b-1", now=at)


def of_backfill(run: str, **fields: Any) -> job.JobFired:
    return fired(run, triggered_by="backfill", backfill_id="b-1", **fields)


def test_runs_of_a_cancelled_backfill_are_not_tried_again() -> None:
    at, retry_at = after(hours=1), after(hours=1, minutes=1)
    failed = JobRunFailed(
        job=JOB, run_id="a", error="no disk", failed_at=at, retry_at=retry_at, backfill_id="b-1"
    )
    exhausted = JobRunFailed(job=JOB, run_id="x", error="no disk", failed_at=at, backfill_id="b-1")
    past = [of_backfill("x"), exhausted, of_backfill("a"), failed, of_backfill("b"), fired("by hand")]
    story = (
        given(*past)
        .when(stop(at))
        .then(
            JobBackfillCancelled(job=JOB, backfill_id="b-1", cancelled_at=at),
            job.JobRunSkipped(
                job=JOB,
                run_id=retry_id("a", 2),
                skipped_at=at,
                reason="the backfill was cancelled",
                triggered_by="backfill",
                retry_of="a",
                backfill_id="b-1",
            ),
        )
    )
    story.when(stop(at)).then_nothing()
    story.when(try_again("a", RETRYING, at=retry_at)).then_nothing()
    story.when(fail("b", RETRYING, at=at)).then(
        JobRunFailed(job=JOB, run_id="b", error="no disk", failed_at=at, backfill_id="b-1")
    )
    (others,) = story.when(fail("by hand", RETRYING, at=at)).happened()
    assert others == JobRunFailed(job=JOB, run_id="by hand", error="no disk", failed_at=at, retry_at=retry_at)


def test_a_backfill_that_is_cancelled_before_its_first_run_has_opened_is_not_forgotten() -> None:
    at = after(hours=1)
    cancelled = job.stop_retries(None, JOB, "b-1", now=NOW)
    assert cancelled == (JobBackfillCancelled(job=JOB, backfill_id="b-1", cancelled_at=NOW),)
    opened = job.trigger(given(*cancelled).state, RETRYING, "a", {}, now=NOW, backfill_id="b-1")
    (failed,) = given(*cancelled, *opened).when(fail("a", RETRYING, at=at)).happened()
    assert isinstance(failed, JobRunFailed)
    assert failed.retry_at is None
