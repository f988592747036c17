"""What becomes of a firing when its time has come."""

from datetime import datetime
from typing import Any

import pytest

from domain import job
from domain.approval import ApprovalApproved
from domain.job import (
    JobPaused,
    JobResumed,
    JobRunCompleted,
    JobRunFailed,
    job_stream,
    run_id,
)
from domain.values import SYSTEM_TENANT
from tests.builders import NOW, after
from tests.domain.job.stories import (
    PLAIN,
    complete,
    cron_run,
    fire,
    given,
    publish,
    release,
    skipped,
    time_out,
    waiting,
)
from tests.jobs import DEADLINE, JOB, definition, fired, published

FIRST, SECOND, THIRD = after(hours=1), after(hours=2), after(hours=3)
RUN_1, RUN_2 = run_id(JOB, FIRST), run_id(JOB, SECOND)

SKIP, QUEUE = definition(overlap="skip"), definition(overlap="queue_one")


def ended(run: str, at: datetime) -> JobRunCompleted:
    return JobRunCompleted(job=JOB, run_id=run, completed_at=at)


def test_a_firing_is_a_trigger() -> None:
    assert job.fire(None, PLAIN, FIRST, now=FIRST) == (cron_run(FIRST),)


def test_a_firing_of_which_something_has_come_already_stays_as_it_is() -> None:
    for past in (
        [cron_run(FIRST)],
        [cron_run(FIRST), ended(RUN_1, SECOND)],
        [cron_run(FIRST), JobRunFailed(job=JOB, run_id=RUN_1, error="e", failed_at=SECOND)],
        [skipped(FIRST, "run x is still open")],
        [waiting(FIRST)],
        job.miss(None, JOB, [FIRST], now=SECOND),
    ):
        given(*past).when(fire(FIRST, at=THIRD)).then_nothing()


def test_what_was_missed_by_a_clock_that_was_ahead_fires_when_its_time_comes_and_then_once() -> None:
    for singly in (2, 0):
        missed = job.miss(None, JOB, [FIRST, SECOND], now=THIRD, most_told_singly=singly)
        given(*missed).when(fire(FIRST, at=FIRST)).then(cron_run(FIRST))
        given(*missed, cron_run(FIRST)).when(fire(FIRST, at=FIRST)).then_nothing()
        given(*missed).when(fire(FIRST, at=THIRD)).then_nothing()


def test_a_job_that_allows_it_runs_beside_itself() -> None:
    given(cron_run(FIRST)).when(fire(SECOND)).then(cron_run(SECOND))


def test_a_job_that_does_not_overlap_is_skipped_while_a_run_is_open() -> None:
    asked = given(cron_run(FIRST)).when(fire(SECOND, SKIP))
    story = asked.then(skipped(SECOND, f"run {RUN_1} is still open")).when(complete(None, SKIP, at=SECOND))
    story.then(ended(RUN_1, SECOND)).when(fire(THIRD, SKIP)).then(cron_run(THIRD))


def test_a_run_by_hand_is_in_the_way_of_cron_but_not_cron_in_its() -> None:
    given(fired("by-hand")).when(fire(FIRST, SKIP)).then(skipped(FIRST, "run by-hand is still open"))
    assert job.trigger(given(cron_run(FIRST)).state, SKIP, "by-hand", {}, now=SECOND)


@pytest.mark.parametrize("rules", [SKIP, QUEUE])
def test_the_runs_of_a_backfill_are_in_nobodys_way(rules: job.JobDefinition) -> None:
    given(fired("b-1", triggered_by="backfill", backfill_id="b")).when(fire(FIRST, rules)).then(
        cron_run(FIRST)
    )


@pytest.mark.parametrize("rules", [SKIP, QUEUE])
def test_an_open_run_that_nobody_waits_for_is_in_nobodys_way(rules: job.JobDefinition) -> None:
    """As versions before 2 have left them: no report and no deadline would ever end the wait."""
    given(fired("old", deadline_seconds=None)).when(fire(FIRST, rules)).then(cron_run(FIRST))


def test_a_run_whose_deadline_has_passed_is_in_nobodys_way_though_its_timer_has_not_fired() -> None:
    at = NOW + DEADLINE
    for rules in (SKIP, QUEUE):
        given(fired(), published()).when(fire(at, rules)).then(cron_run(at))
    given(fired(), published()).when(fire(FIRST, SKIP)).then(skipped(FIRST, "run run-1 is still open"))


def test_one_firing_waits_for_the_open_run_and_goes_out_at_its_end() -> None:
    story = given(cron_run(FIRST)).when(fire(SECOND, QUEUE)).then(waiting(SECOND))
    story = story.when(fire(THIRD, QUEUE)).then(skipped(THIRD, f"run {RUN_2} is already waiting"))
    end = after(hours=4)
    story = story.when(complete(RUN_1, QUEUE, at=end)).then(
        ended(RUN_1, end),
        cron_run(SECOND, at=end),
    )
    assert story.state.waiting == ()


def test_what_waits_goes_out_when_the_last_open_run_has_ended_however_it_ended() -> None:
    asked = given(fired("a"), fired("b", fired_at=after(seconds=1))).when(fire(FIRST, QUEUE))
    story = asked.then(waiting(FIRST)).when(complete("a", QUEUE, at=SECOND)).then(ended("a", SECOND))
    story = story.when(publish("b", at=SECOND)).then(published("b", at=SECOND))
    at = after(hours=8)
    happened = story.when(time_out("b", QUEUE, at=at)).happened()
    assert happened[1:] == (cron_run(FIRST, at=at),)


def test_what_waits_is_skipped_if_the_job_is_paused_by_then() -> None:
    paused = JobPaused(job=JOB, by="ann", reason="the worker is ill", paused_at=SECOND)
    given(cron_run(FIRST), waiting(SECOND), paused).when(complete(RUN_1, QUEUE, at=THIRD)).then(
        ended(RUN_1, THIRD),
        skipped(SECOND, "ann has paused the job", at=THIRD),
    )


JITTERY: dict[str, Any] = {"jitter_seconds": 600.0}


def due(nominal_at: datetime) -> datetime:
    return definition(**JITTERY).policy.due_at(JOB, nominal_at)


def delayed(nominal_at: datetime) -> job.JobRunScheduled:
    return waiting(nominal_at, waits_for="jitter", due_at=due(nominal_at))


def test_a_jittered_trigger_waits_for_its_time_and_is_told_of_at_once() -> None:
    rules = definition(**JITTERY)
    story = given(fired()).when(fire(FIRST, rules)).then(delayed(FIRST))
    at = due(FIRST)
    story = story.when(release(RUN_1, rules, at=at)).then(cron_run(FIRST, at=at))
    story.when(release(RUN_1, rules, at=at)).then_nothing()


def test_a_firing_that_comes_after_its_jitter_goes_out_at_once() -> None:
    rules, late = definition(**JITTERY), after(hours=1, minutes=11)
    assert job.fire(None, rules, FIRST, now=late) == (cron_run(FIRST, at=late),)


def test_whether_another_run_is_open_is_asked_when_the_trigger_is_to_go_out() -> None:
    skip = definition(overlap="skip", **JITTERY)
    at = due(SECOND)
    story = given(cron_run(FIRST)).when(fire(SECOND, skip)).then(delayed(SECOND))
    story.when(release(RUN_2, skip, at=at)).then(skipped(SECOND, f"run {RUN_1} is still open", at=at))
    over = ended(RUN_1, SECOND)
    given(*story.events, over).when(release(RUN_2, skip, at=at)).then(cron_run(SECOND, at=at))


def test_after_its_jitter_a_firing_may_have_to_wait_for_the_open_run() -> None:
    queue = definition(overlap="queue_one", **JITTERY)
    at = due(SECOND)
    asked = given(cron_run(FIRST), delayed(SECOND)).when(release(RUN_2, queue, at=at))
    scheduled = job.JobRunScheduled(
        job=JOB,
        run_id=RUN_2,
        scheduled_at=at,
        nominal_at=SECOND,
        metadata=delayed(SECOND).metadata,
        waits_for="open_run",
    )
    story = asked.then(scheduled)
    story.when(release(RUN_2, queue, at=at)).then_nothing()
    happened = story.when(complete(RUN_1, queue, at=THIRD)).happened()
    assert happened == (ended(RUN_1, THIRD), cron_run(SECOND, at=THIRD))


def test_a_delayed_trigger_does_not_go_out_once_the_job_is_paused() -> None:
    rules, at = definition(**JITTERY), due(FIRST)
    paused = JobPaused(job=JOB, by="ann", reason="a freeze", paused_at=FIRST)
    given(delayed(FIRST), paused).when(release(RUN_1, rules, at=at)).then(
        skipped(FIRST, "ann has paused the job", at=at)
    )


def test_a_paused_job_is_not_fired_until_it_is_resumed() -> None:
    paused = JobPaused(job=JOB, by="ann", reason="the worker is ill", paused_at=NOW)
    told = given(fired()).when(
        lambda state: job.pause(state, job=JOB, by="ann", reason="the worker is ill", now=NOW)
    )
    asked = told.then(paused).when(fire(FIRST, definition(**JITTERY)))
    story = asked.then(skipped(FIRST, "ann has paused the job"))
    story = story.when(lambda state: job.resume(state, job=JOB, by="bob", now=SECOND)).then(
        JobResumed(job=JOB, by="bob", resumed_at=SECOND)
    )
    story.when(fire(THIRD)).then(cron_run(THIRD))


def test_a_pause_has_one_reason_and_one_end() -> None:
    story = given(JobPaused(job=JOB, by="ann", reason="first", paused_at=NOW))
    story.when(lambda state: job.pause(state, job=JOB, by="bob", reason="second", now=FIRST)).then_nothing()
    assert job.resume(None, job=JOB, by="bob", now=NOW) == ()
    given(fired()).when(lambda state: job.resume(state, job=JOB, by="bob", now=NOW)).then_nothing()


def test_a_paused_job_can_be_triggered_by_hand() -> None:
    story = given(JobPaused(job=JOB, by="ann", reason="first", paused_at=NOW))
    story.when(lambda state: job.trigger(state, PLAIN, "run-1", {}, now=NOW)).then(fired())


def test_a_run_by_hand_is_opened_once_and_by_the_callers_correlation() -> None:
    by_hand = job.trigger(None, PLAIN, "run-1", {"from": "2026"}, now=NOW, correlation_id="c-1")
    assert by_hand == (fired(metadata={"from": "2026"}, correlation_id="c-1"),)
    given(*by_hand).when(lambda state: job.trigger(state, PLAIN, "run-1", {}, now=NOW)).then_nothing()


def test_the_runs_of_a_backfill_are_told_apart_though_one_request_asks_for_all() -> None:
    opened = job.trigger(None, PLAIN, "run-1", {}, now=NOW, correlation_id="c-1", backfill_id="b-1")
    assert opened == (fired(triggered_by="backfill", backfill_id="b-1"),)


def test_that_the_broker_has_a_trigger_is_kept_once() -> None:
    story = given(fired()).when(publish("run-1", at=FIRST)).then(published(at=FIRST))
    story.when(publish("run-1", at=SECOND)).then_nothing()
    over = given(fired(), published(at=FIRST), ended("run-1", FIRST))
    over.when(publish("run-1", at=SECOND)).then_nothing()


def test_the_worker_has_its_time_from_when_the_broker_has_the_trigger() -> None:
    late = after(hours=5)
    story = given(fired()).when(publish("run-1", at=late)).then(published(at=late))
    story.when(time_out("run-1", at=after(hours=7))).then_nothing()
    old = given(fired(deadline_seconds=None)).when(publish("run-1", at=late))
    old.then(published(at=late, deadline_at=None))


def test_that_the_broker_had_a_trigger_is_kept_though_the_worker_was_quicker() -> None:
    over = given(fired(), ended("run-1", FIRST))
    story = over.when(publish("run-1", at=SECOND)).then(published(at=SECOND, deadline_at=None))
    story.when(publish("run-1", at=THIRD)).then_nothing()


def test_a_cron_firings_id_is_its_job_and_nominal_time_and_nothing_else() -> None:
    assert run_id(JOB, NOW) == run_id(JOB, NOW)
    assert run_id(JOB, NOW) != run_id(JOB, after(hours=24))
    assert run_id(JOB, NOW) != run_id("propagation", NOW)


def test_a_jobs_stream_belongs_to_the_platform() -> None:
    assert job_stream("outcome-sync") == f"{SYSTEM_TENANT}/job/outcome-sync"


def test_an_event_of_something_else_is_no_event_of_a_job() -> None:
    stranger = ApprovalApproved(approval_id="a", opportunity_id="o", decided_by="ann", decided_at=NOW)
    with pytest.raises(TypeError, match="no event of a job"):
        job.evolve(None, stranger)
