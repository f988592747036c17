"""Which run a worker's report is of, and what happens when there is none."""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
import pytest

from domain import job
from domain.event import Event
from domain.job import (
    JobFired,
    JobReportUnmatched,
    JobRunCompleted,
    JobRunFailed,
    JobRunTimedOut,
    MetadataLeftOut,
    Retries,
    retry_id,
    run_id,
)
from domain.job.events import report_id
from domain.job.state import MOST_KEPT_BYTES
from tests.builders import NOW, after
from tests.domain.job.stories import (
    PLAIN,
    complete,
    cron_run,
    fail,
    given,
    skipped,
    time_out,
    try_again,
    waiting,
)
from tests.jobs import DEADLINE, JOB, definition, fired, published

AT = after(hours=1)
RETRYING = definition(retries=Retries(attempts=3, delay_seconds=60, factor=3))


def completed(run: str, at: datetime = AT, **fields: Any) -> JobRunCompleted:
    return JobRunCompleted(job=JOB, run_id=run, completed_at=at, **fields)


def failed(run: str, at: datetime = AT, **fields: Any) -> JobRunFailed:
    return JobRunFailed(job=JOB, run_id=run, error="no disk", failed_at=at, **fields)


def timed_out(run: str, **fields: Any) -> JobRunTimedOut:
    at = NOW + DEADLINE
    return JobRunTimedOut(job=JOB, run_id=run, deadline_at=at, timed_out_at=at, **fields)


def unmatched(number: int, at: datetime = AT, **fields: Any) -> JobReportUnmatched:
    outcome: Literal["completed", "failed"] = "failed" if "error" in fields else "completed"
    return JobReportUnmatched(
        job=JOB,
        run_id=report_id(JOB, number),
        outcome=outcome,
        reported_at=at,
        **fields,
    )


def test_a_report_that_names_nothing_is_of_the_newest_open_run() -> None:
    story = given(fired("run-1"), fired("run-2"))
    story.when(fail()).then(failed("run-2"))
    story.when(complete()).then(completed("run-2")).when(fail()).then(failed("run-1"))
    given(fired("run-1"), completed("run-1"), fired("run-2")).when(fail()).then(failed("run-2"))


@pytest.mark.parametrize("reference", ["run-1", "c-1"], ids=["its id", "its correlation"])
def test_a_report_is_of_the_run_that_it_names(reference: str) -> None:
    story = given(fired("run-1", correlation_id="c-1"), fired("run-2", correlation_id="c-2"))
    story.when(complete(reference)).then(completed("run-1"))
    story.when(fail(reference)).then(failed("run-1"))


def test_a_reference_that_is_nobodys_is_as_good_as_none() -> None:
    given(fired("run-1"), fired("run-2")).when(complete("a worker's own")).then(completed("run-2"))


def test_of_two_open_runs_of_one_correlation_the_newest_is_reported_first() -> None:
    story = given(fired("run-1", correlation_id="c"), fired("run-2", correlation_id="c"), fired("run-3"))
    story = story.when(complete("c")).then(completed("run-2"))
    story.when(complete("c")).then(completed("run-1")).when(complete("c")).then_nothing()


def test_a_report_that_comes_twice_closes_no_other_run() -> None:
    story = given(fired("run-1"), fired("run-2")).when(complete("run-2")).then(completed("run-2"))
    story.when(complete("run-2")).then_nothing()
    story.when(fail("run-2")).then_nothing()


def test_a_report_with_nothing_open_is_kept_as_that_each_for_itself() -> None:
    story = given(fired(), failed("run-1")).when(complete()).then(unmatched(1))
    story = story.when(complete()).then(unmatched(2))
    story.when(fail("a stranger's")).then(unmatched(3, error="no disk"))
    first = job.complete(None, PLAIN, reference=None, ended_at=NOW, now=AT)
    assert first == (unmatched(1),)


def test_a_run_times_out_at_its_deadline_and_not_before() -> None:
    early = NOW + DEADLINE - (AT - NOW)
    open_run = [fired(), published()]
    given(*open_run).when(time_out("run-1", at=early)).then_nothing()
    story = given(*open_run).when(time_out("run-1")).then(timed_out("run-1"))
    story.when(time_out("run-1")).then_nothing()


@pytest.mark.parametrize("past", [[fired(), published(), completed("run-1")], [fired()]])
def test_a_run_that_has_ended_or_that_the_broker_does_not_have_yet_does_not_time_out(
    past: list[Event],
) -> None:
    given(*past).when(time_out("run-1")).then_nothing()


def test_success_that_is_reported_late_still_counts_once() -> None:
    late = after(hours=9)
    asked = given(fired(), timed_out("run-1")).when(complete("run-1", at=late))
    story = asked.then(completed("run-1", late, late=True))
    story.when(complete("run-1", at=late)).then_nothing()


def test_success_that_is_reported_after_a_failure_counts_and_is_the_last_word() -> None:
    late = after(hours=2)
    story = (
        given(fired()).when(fail("run-1", RETRYING)).then(failed("run-1", retry_at=after(hours=1, minutes=1)))
    )
    story = story.when(complete("run-1", at=late)).then(completed("run-1", late, late=True))
    story.when(try_again("run-1", RETRYING, at=late)).then_nothing()
    story.when(fail("run-1")).then_nothing()
    story.when(complete("run-1", at=late)).then_nothing()


def test_failure_that_is_reported_late_is_nothing_new() -> None:
    given(fired(), timed_out("run-1")).when(fail("run-1")).then_nothing()


def test_a_late_report_closes_no_run_that_has_begun_meanwhile() -> None:
    late = after(hours=9)
    asked = given(fired("run-1"), timed_out("run-1"), fired("run-2")).when(complete("run-1", at=late))
    asked.then(completed("run-1", late, late=True)).when(complete("run-2", at=late)).then(
        completed("run-2", late)
    )


def again(attempt: int, of: str, at: datetime, run: JobFired) -> JobFired:
    return JobFired(
        job=JOB,
        run_id=retry_id(of, attempt),
        triggered_by=run.triggered_by,
        fired_at=at,
        metadata=run.metadata,
        deadline_seconds=DEADLINE.total_seconds(),
        attempt=attempt,
        retry_of=of,
        backfill_id=run.backfill_id,
    )


def test_a_failed_run_is_tried_again_with_longer_and_longer_pauses_and_then_no_more() -> None:
    first = fired(metadata={"from": "2026"}, correlation_id="c-1")
    second_at, third_at = after(hours=1, minutes=1), after(hours=2, minutes=3)
    story = given(first).when(fail("c-1", RETRYING)).then(failed("run-1", retry_at=second_at))
    second = again(2, "run-1", second_at, first)
    story = story.when(try_again("run-1", RETRYING, at=second_at)).then(second)
    story.when(try_again("run-1", RETRYING, at=second_at)).then_nothing()
    at = after(hours=2)
    story = story.when(fail(second.run_id, RETRYING, at=at)).then(
        failed(second.run_id, at, retry_at=third_at, attempt=2)
    )
    third = again(3, second.run_id, third_at, first)
    story = story.when(try_again(second.run_id, RETRYING, at=third_at)).then(third)
    story.when(fail(third.run_id, RETRYING, at=third_at)).then(failed(third.run_id, third_at, attempt=3))


def test_metadata_that_are_large_are_not_kept_and_are_wanted_for_another_try() -> None:
    large = fired(metadata={"rows": "x" * MOST_KEPT_BYTES})
    retry_at, third_at = after(hours=1, minutes=1), after(hours=2, minutes=4)
    story = given(large).when(fail("run-1", RETRYING)).then(failed("run-1", retry_at=retry_at))
    assert len(msgspec.json.encode(story.state.ended_badly)) < MOST_KEPT_BYTES
    with pytest.raises(MetadataLeftOut):
        try_again("run-1", RETRYING, at=retry_at)(story.state)
    second = again(2, "run-1", retry_at, large)
    story = story.when(
        lambda state: job.try_again(state, RETRYING, "run-1", now=retry_at, metadata=large.metadata)
    ).then(second)
    story.when(try_again("run-1", RETRYING, at=retry_at)).then_nothing()
    at = third_at - timedelta(minutes=3)
    story = story.when(fail(second.run_id, RETRYING, at=at)).then(
        failed(second.run_id, at, retry_at=third_at, attempt=2)
    )
    with pytest.raises(MetadataLeftOut):
        try_again(second.run_id, RETRYING, at=third_at)(story.state)
    story = story.when(complete("run-1", RETRYING, at=at)).then(completed("run-1", at, late=True))
    assert story.state.left_out == frozenset(), "nothing is left to be tried again"
    story.when(try_again(second.run_id, RETRYING, at=third_at)).then_nothing()


def test_metadata_that_are_not_large_are_kept() -> None:
    small = fired(metadata={"rows": "x" * (MOST_KEPT_BYTES - 100)})
    assert given(small).state.open_runs[0].fired == small


def test_a_run_that_timed_out_is_tried_again_too_unless_it_is_reported_late() -> None:
    retry_at = after(hours=6, minutes=1)
    story = (
        given(fired(), published())
        .when(time_out("run-1", RETRYING))
        .then(timed_out("run-1", retry_at=retry_at))
    )
    story.when(try_again("run-1", RETRYING, at=retry_at)).then(again(2, "run-1", retry_at, fired()))
    late = story.when(complete("run-1", RETRYING, at=retry_at)).then(completed("run-1", retry_at, late=True))
    late.when(try_again("run-1", RETRYING, at=retry_at)).then_nothing()


def test_a_late_report_of_the_first_try_is_not_of_the_second() -> None:
    at = after(hours=7)
    first = fired(correlation_id="c-1")
    second = again(2, "run-1", after(hours=6, minutes=1), first)
    asked = given(first, timed_out("run-1"), second).when(complete("c-1", RETRYING, at=at))
    story = asked.then(completed("run-1", at, late=True))
    assert [each.fired for each in story.state.open_runs] == [second]


def test_the_tries_of_a_backfills_run_are_the_backfills() -> None:
    first = fired(triggered_by="backfill", backfill_id="b-1")
    retry_at = after(hours=1, minutes=1)
    story = (
        given(first).when(fail(None, RETRYING)).then(failed("run-1", retry_at=retry_at, backfill_id="b-1"))
    )
    story.when(try_again("run-1", RETRYING, at=retry_at)).then(again(2, "run-1", retry_at, first))


def test_a_retry_that_was_promised_is_made_however_many_runs_have_ended_badly_since() -> None:
    retry_at = after(hours=24)
    first = fired(backfill_id="b-1")
    others = [each for n in range(2, 1_100) for each in (fired(f"run-{n}"), failed(f"run-{n}"))]
    story = given(first, failed("run-1", retry_at=retry_at, backfill_id="b-1"), *others)
    story.when(try_again("run-1", RETRYING, at=retry_at)).then(again(2, "run-1", retry_at, first))
    assert len(story.state.ended_badly) == 1_000


FIRST, SECOND = NOW, after(minutes=30)
RUN = run_id(JOB, FIRST)
RETRY = retry_id(RUN, 2)


def retrying(overlap: str) -> job.JobDefinition:
    return definition(overlap=overlap, retries=Retries(attempts=2, delay_seconds=60))


def crons_retry(at: datetime) -> JobFired:
    return cron_run(FIRST, at=at, run_id=RETRY, attempt=2, retry_of=RUN)


def test_a_retry_of_crons_minds_the_run_that_has_begun_meanwhile() -> None:
    at = after(hours=1)
    past = [cron_run(FIRST), failed(RUN), cron_run(SECOND)]
    other = run_id(JOB, SECOND)
    story = given(*past)
    story.when(try_again(RUN, retrying("allow"), at=at)).then(crons_retry(at))
    story.when(try_again(RUN, retrying("skip"), at=at)).then(
        skipped(FIRST, f"run {other} is still open", at=at, run_id=RETRY, retry_of=RUN)
    ).when(try_again(RUN, retrying("skip"), at=at)).then_nothing()
    queue = retrying("queue_one")
    queued = waiting(FIRST, run_id=RETRY, attempt=2, retry_of=RUN)
    (scheduled,) = story.when(try_again(RUN, queue, at=at)).happened()
    assert scheduled == job.JobRunScheduled(
        job=JOB,
        run_id=RETRY,
        scheduled_at=at,
        nominal_at=FIRST,
        metadata=queued.metadata,
        waits_for="open_run",
        attempt=2,
        retry_of=RUN,
    )
    end = after(hours=2)
    happened = given(*past, scheduled).when(complete(other, queue, at=end)).happened()
    assert happened == (completed(other, end), crons_retry(end))


def test_a_retry_of_crons_does_not_go_out_while_the_job_is_paused_one_by_hand_does() -> None:
    at = after(hours=2)
    rules = retrying("allow")
    pause = job.JobPaused(job=JOB, by="ann", reason="it is ill", paused_at=AT)
    given(cron_run(FIRST), failed(RUN), pause).when(try_again(RUN, rules, at=at)).then(
        skipped(FIRST, "ann has paused the job", at=at, run_id=RETRY, retry_of=RUN)
    )
    given(fired(), failed("run-1"), pause).when(try_again("run-1", rules, at=at)).then(
        again(2, "run-1", at, fired())
    )
