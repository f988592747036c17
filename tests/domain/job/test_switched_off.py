"""A job that is switched off: cron's runs that still wait for something do not go out, whoever else's do."""

from domain.job import Retries, retry_id, run_id
from tests.builders import NOW, after
from tests.domain.job.stories import complete, cron_run, fail, given, release, skipped, try_again, waiting
from tests.jobs import JOB, definition, fired

OFF = definition(enabled=False)
REASON = "the job is switched off"
FIRST, AT = NOW, after(hours=1)
RUN = run_id(JOB, FIRST)
RETRYING = definition(retries=Retries(attempts=3, delay_seconds=60))


def test_a_run_that_waits_for_its_time_is_skipped_at_it() -> None:
    delayed = waiting(FIRST, waits_for="jitter", due_at=AT)
    given(delayed).when(release(RUN, OFF, at=AT)).then(skipped(FIRST, REASON, at=AT))


def test_a_run_that_waits_for_another_is_skipped_at_its_end() -> None:
    story = given(fired(), waiting(FIRST))
    assert story.when(complete("run-1", OFF, at=AT)).happened()[1:] == (skipped(FIRST, REASON, at=AT),)


def test_a_retry_of_crons_is_skipped_and_one_by_hand_goes_out() -> None:
    retry_at = after(hours=1, minutes=1)
    of_cron = given(cron_run(FIRST)).when(fail(RUN, RETRYING, at=AT)).and_so()
    of_cron.when(try_again(RUN, OFF, at=retry_at)).then(
        skipped(FIRST, REASON, at=retry_at, run_id=retry_id(RUN, 2), retry_of=RUN)
    )
    by_hand = given(fired(triggered_by="manual")).when(fail("run-1", RETRYING, at=AT)).and_so()
    (told,) = by_hand.when(try_again("run-1", OFF, at=retry_at)).happened()
    assert (type(told).__name__, told.attempt) == ("JobFired", 2)  # type: ignore[attr-defined]
