"""A job that the settings name no more: what is open of it comes to its end, and nothing begins."""

from domain.job import JobRunFailed, Retries, removed_job, retry_id, run_id
from tests.builders import NOW, after
from tests.domain.job.stories import complete, cron_run, fail, given, release, skipped, try_again, waiting
from tests.jobs import JOB, definition, fired

REMOVED = removed_job(JOB)
REASON = "the job is no longer in the settings"
FIRST, AT = NOW, after(hours=1)
RUN = run_id(JOB, FIRST)
RETRYING = definition(retries=Retries(attempts=3, delay_seconds=60))


def failed(run: str, **fields: object) -> JobRunFailed:
    return JobRunFailed(job=JOB, run_id=run, error="no disk", failed_at=AT, **fields)  # type: ignore[arg-type]


def test_a_run_that_waits_for_its_time_is_skipped_at_it() -> None:
    delayed = waiting(FIRST, waits_for="jitter", due_at=AT)
    given(delayed).when(release(RUN, REMOVED, at=AT)).then(skipped(FIRST, REASON, at=AT))


def test_a_run_that_waits_for_another_is_skipped_at_its_end() -> None:
    story = given(fired(), waiting(FIRST))
    assert story.when(complete("run-1", REMOVED, at=AT)).happened()[1:] == (skipped(FIRST, REASON, at=AT),)


def test_a_run_that_fails_is_not_tried_again() -> None:
    given(fired()).when(fail("run-1", REMOVED, at=AT)).then(failed("run-1"))


def test_a_retry_that_was_on_its_way_is_skipped_whatever_it_is_of() -> None:
    retry_at = after(hours=1, minutes=1)
    of_cron = given(cron_run(FIRST)).when(fail(RUN, RETRYING, at=AT)).then(failed(RUN, retry_at=retry_at))
    of_cron.when(try_again(RUN, REMOVED, at=retry_at)).then(
        skipped(FIRST, REASON, at=retry_at, run_id=retry_id(RUN, 2), retry_of=RUN)
    )
    first = fired(triggered_by="backfill", backfill_id="b-1")
    of_backfill = given(first).when(fail("run-1", RETRYING, at=AT))
    story = of_backfill.then(failed("run-1", retry_at=retry_at, backfill_id="b-1"))
    (told,) = story.when(try_again("run-1", REMOVED, at=retry_at)).happened()
    again = skipped(FIRST, REASON, at=retry_at, run_id=retry_id("run-1", 2), retry_of="run-1")
    assert told == type(again)(
        job=JOB,
        run_id=again.run_id,
        skipped_at=retry_at,
        reason=REASON,
        triggered_by="backfill",
        retry_of="run-1",
        backfill_id="b-1",
    )
