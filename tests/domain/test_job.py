"""Which runs of a job are open, and which one a worker's report closes."""

from collections.abc import Callable

import pytest
from immutables import Map

from domain import job
from domain.approval import ApprovalApproved
from domain.errors import JobNotFound
from domain.event import Event
from domain.job import JOB_NAMES, BatchJob, JobFired, JobRunCompleted, JobRunFailed
from domain.values import SYSTEM_TENANT
from tests.builders import NOW, after
from tests.domain.scenario import Given

JOB = "outcome-sync"


def fired(run: str = "run-1") -> JobFired:
    return JobFired(job=JOB, run_id=run, triggered_by="manual", fired_at=NOW, metadata={})


def completed(run: str) -> JobRunCompleted:
    return JobRunCompleted(job=JOB, run_id=run, completed_at=after(hours=1))


def failed(run: str) -> JobRunFailed:
    return JobRunFailed(job=JOB, run_id=run, error="no disk", failed_at=after(hours=1))


def complete(state: BatchJob | None) -> tuple[Event, ...]:
    return job.complete_run(state, job=JOB, completed_at=after(hours=1))


def fail(state: BatchJob | None) -> tuple[Event, ...]:
    return job.fail_run(state, job=JOB, error="no disk", failed_at=after(hours=1))


def given(*events: Event) -> Given[BatchJob]:
    return Given(job.evolve, *events)


def test_the_first_firing_opens_a_run() -> None:
    assert job.fire(None, fired()) == (fired(),)
    assert given(fired()).state == BatchJob(runs=Map({"run-1": None}), open_runs=("run-1",))


def test_a_firing_that_is_open_already_is_not_opened_twice() -> None:
    given(fired()).when(lambda state: job.fire(state, fired())).then_nothing()


def test_a_firing_that_has_ended_is_not_opened_again() -> None:
    given(fired(), completed("run-1")).when(lambda state: job.fire(state, fired())).then_nothing()
    given(fired(), failed("run-1")).when(lambda state: job.fire(state, fired())).then_nothing()


def test_another_firing_opens_a_run_beside_those_that_are_open() -> None:
    story = given(fired("run-1")).when(lambda state: job.fire(state, fired("run-2"))).then(fired("run-2"))
    assert story.state.open_runs == ("run-1", "run-2")


def test_a_report_closes_the_newest_open_run() -> None:
    given(fired("run-1"), fired("run-2")).when(complete).then(completed("run-2"))
    given(fired("run-1"), fired("run-2")).when(fail).then(failed("run-2"))


def test_the_next_report_closes_the_one_before() -> None:
    story = given(fired("run-1"), fired("run-2")).when(complete).then(completed("run-2"))
    story.when(fail).then(failed("run-1")).when(complete).then_nothing()


def test_a_run_opened_after_one_that_ended_is_the_newest() -> None:
    given(fired("run-1"), completed("run-1"), fired("run-2")).when(fail).then(failed("run-2"))


@pytest.mark.parametrize("report", [complete, fail])
def test_a_report_with_nothing_open_changes_nothing(
    report: Callable[[BatchJob | None], tuple[Event, ...]],
) -> None:
    assert report(None) == ()
    given(fired(), failed("run-1")).when(report).then_nothing()


def test_a_cron_firings_id_is_its_job_and_nominal_time_and_nothing_else() -> None:
    assert job.run_id(JOB, NOW) == job.run_id(JOB, NOW)
    assert job.run_id(JOB, NOW) != job.run_id(JOB, after(hours=24))
    assert job.run_id(JOB, NOW) != job.run_id("propagation", NOW)


@pytest.mark.parametrize("name", JOB_NAMES)
def test_a_jobs_stream_belongs_to_the_platform(name: str) -> None:
    assert job.job_stream(name) == f"{SYSTEM_TENANT}/job/{name}"


def test_a_job_that_the_platform_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(JobNotFound) as caught:
        job.job_stream("outcome_sync")
    assert caught.value.details == {"jobs": list(JOB_NAMES)}


def test_an_event_of_something_else_is_no_event_of_a_job() -> None:
    stranger = ApprovalApproved(approval_id="a", opportunity_id="o", decided_by="ann", decided_at=NOW)
    with pytest.raises(TypeError, match="no event of a job"):
        job.evolve(None, stranger)
