"""One workflow over its executions: what is dispatched, what ends it, what a retry does."""

from datetime import datetime
from typing import Any

import pytest

from domain import workflow
from domain.approval import ApprovalApproved
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.errors import NothingFailed, WorkflowNotEnded
from domain.event import Event
from domain.values import derived_id
from domain.workflow import (
    StepCompleted,
    StepDispatched,
    StepFailed,
    Workflow,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
    WorkflowStarted,
)
from tests.builders import NOW, TENANT, after
from tests.domain.scenario import Given, When

STEPS = ("risk_analysis", "risk_scoring", "forecast", "recommendation")
KEYS = dict(zip(STEPS, ("risk", "scoring", "forecast", "recommendations"), strict=True))
CRITICAL = ("risk_analysis", "forecast")
OTHERS = ("risk_scoring", "recommendation")

FIRST, SECOND = derived_id("execution", "w-1", "1"), derived_id("execution", "w-1", "2")


def start(**settings: Any) -> tuple[Event, ...]:
    return workflow.start(
        settings.get("definition", OPPORTUNITY_ANALYSIS),
        workflow_id="w-1",
        opportunity_id="opp-1",
        input=settings.get("input"),
        now=NOW,
    )


class Story(Given[Workflow]):
    """A workflow, told by what comes in; each turn goes on with whatever it led to."""

    @classmethod
    def begin(cls) -> "Story":
        return cls(workflow.evolve, *start())

    def answered(self, step: str, minutes: float = 1, **result: Any) -> When[Workflow]:
        return self.when(
            lambda state: workflow.complete_step(
                state, step_type=step, result=result or {"of": step}, now=after(minutes=minutes)
            )
        )

    def failed(self, step: str, error: str = "no data", minutes: float = 1) -> When[Workflow]:
        return self.when(
            lambda state: workflow.fail_step(state, step_type=step, error=error, now=after(minutes=minutes))
        )

    def timed_out(self, step: str, attempt: int = 1, at: datetime | None = None) -> When[Workflow]:
        return self.when(
            lambda state: workflow.time_out_step(
                state, step_type=step, attempt=attempt, now=at or after(minutes=15)
            )
        )

    def retried(self, minutes: float = 20) -> When[Workflow]:
        return self.when(lambda state: workflow.retry(state, now=after(minutes=minutes)))

    def so(self, turn: When[Workflow]) -> "Story":
        return Story(workflow.evolve, *turn.and_so().events)

    def after_answers_to(self, *steps: str) -> "Story":
        story = self
        for step in steps:
            story = story.so(story.answered(step))
        return story


def step_completed(step: str, execution: str = FIRST, attempt: int = 1) -> StepCompleted:
    return StepCompleted(
        workflow_id="w-1",
        execution_id=execution,
        step_id=derived_id("step", "w-1", step),
        step_type=step,
        attempt=attempt,
        result={"of": step},
        completed_at=after(minutes=1),
    )


def step_failed(step: str, execution: str = FIRST, attempt: int = 1) -> StepFailed:
    return StepFailed(
        workflow_id="w-1",
        execution_id=execution,
        step_id=derived_id("step", "w-1", step),
        step_type=step,
        attempt=attempt,
        error="no data",
        reason="reported",
        failed_at=after(minutes=1),
    )


def workflow_failed(step: str, execution: str = FIRST) -> WorkflowFailed:
    return WorkflowFailed(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id=execution,
        error="no data",
        failed_step=step,
        failed_at=after(minutes=1),
        announced_as="workflow.opportunity.analysis.failed",
    )


def completed_with(*steps: str, execution: str = FIRST) -> WorkflowCompleted:
    return WorkflowCompleted(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id=execution,
        results={KEYS[step]: {"of": step} for step in steps},
        completed_at=after(minutes=1),
        announced_as="workflow.opportunity.analysis.completed",
    )


def dispatched(step: str, execution: str, attempt: int, minutes: float) -> StepDispatched:
    return StepDispatched(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id=execution,
        step_id=derived_id("step", "w-1", step),
        step_type=step,
        kind="event",
        parameters=next(each.parameters for each in OPPORTUNITY_ANALYSIS.steps if each.step_type == step),
        attempt=attempt,
        dispatched_at=after(minutes=minutes),
        deadline_at=after(minutes=minutes + 15),
    )


def test_starting_dispatches_every_step_at_once_with_its_deadline() -> None:
    started, *requests = start(input={"reason": "won"})
    assert isinstance(started, WorkflowStarted)
    assert (started.definition, started.definition_version) == ("opportunity-analysis", 1)
    assert (started.execution_id, started.started_at, started.input) == (FIRST, NOW, {"reason": "won"})
    assert requests == [dispatched(step, FIRST, attempt=1, minutes=0) for step in STEPS]


def test_a_started_workflow_runs_and_waits_for_every_step() -> None:
    state = Story.begin().state
    assert (state.status, state.attempt, state.execution_id) == ("running", 1, FIRST)
    assert [(step.status, step.attempt) for _, step in state.planned()] == [("running", 1)] * 4


def test_a_workflow_is_pinned_to_the_timeouts_that_it_started_with() -> None:
    quick = OPPORTUNITY_ANALYSIS.with_timeouts(2.5)
    story = Story(workflow.evolve, *start(definition=quick))
    retried = story.so(story.failed("forecast")).retried(minutes=0).happened()
    assert [event.deadline_at for event in retried if isinstance(event, StepDispatched)] == [
        after(seconds=2.5)
    ]


def test_an_answer_completes_its_step_alone() -> None:
    story = Story.begin()
    state = story.answered("forecast").then(step_completed("forecast")).state
    assert [step.status for _, step in state.planned()] == ["running", "running", "completed", "running"]
    assert state.status == "running"


def test_the_last_answer_completes_the_workflow_with_every_result() -> None:
    story = Story.begin().after_answers_to("forecast", "recommendation", "risk_analysis")
    story.answered("risk_scoring").then(step_completed("risk_scoring"), completed_with(*STEPS))


def test_a_second_answer_to_a_step_changes_nothing() -> None:
    story = Story.begin().after_answers_to("forecast")
    story.answered("forecast", other="result").then_nothing()
    story.failed("forecast").then_nothing()


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_to_a_step_that_has_failed_comes_too_late(step: str) -> None:
    story = Story.begin()
    story.so(story.failed(step)).answered(step).then_nothing()
    story.so(story.timed_out(step)).answered(step, minutes=16).then_nothing()
    story.so(story.failed(step)).failed(step).then_nothing()


def test_an_answer_to_a_step_that_the_plan_does_not_have_changes_nothing() -> None:
    Story.begin().answered("pricing").then_nothing()
    Story.begin().failed("pricing").then_nothing()
    Story.begin().timed_out("pricing").then_nothing()


@pytest.mark.parametrize("step", CRITICAL)
def test_a_failed_critical_step_fails_the_workflow_at_once(step: str) -> None:
    story = Story.begin().failed(step).then(step_failed(step), workflow_failed(step))
    assert story.state.status == "failed"


@pytest.mark.parametrize("step", OTHERS)
def test_a_failed_other_step_leaves_the_workflow_running(step: str) -> None:
    assert Story.begin().failed(step).then(step_failed(step)).state.status == "running"


@pytest.mark.parametrize("step", OTHERS)
def test_a_workflow_completes_without_the_result_of_a_failed_other_step(step: str) -> None:
    story = Story.begin()
    story = story.so(story.failed(step)).after_answers_to("risk_analysis", "forecast")
    (last,) = [each for each in OTHERS if each != step]
    expected = [each for each in STEPS if each != step]
    story.answered(last).then(step_completed(last), completed_with(*expected))


def test_a_failed_other_step_may_be_the_one_that_completes_the_workflow() -> None:
    story = Story.begin().after_answers_to("risk_analysis", "forecast", "risk_scoring")
    story.failed("recommendation").then(
        step_failed("recommendation"), completed_with("risk_analysis", "risk_scoring", "forecast")
    )


def test_a_late_answer_after_the_failure_is_kept_and_ends_nothing() -> None:
    story = Story.begin()
    story = story.so(story.failed("risk_analysis"))
    kept = story.answered("forecast").then(step_completed("forecast"))
    assert kept.state.status == "failed"
    assert kept.state.steps["forecast"].result == {"of": "forecast"}


def test_late_answers_to_everything_else_do_not_complete_a_failed_workflow() -> None:
    story = Story.begin()
    story = story.so(story.failed("risk_analysis")).after_answers_to("forecast", "risk_scoring")
    story.answered("recommendation").then(step_completed("recommendation"))


def test_a_second_critical_failure_does_not_fail_the_workflow_twice() -> None:
    story = Story.begin()
    story = story.so(story.failed("risk_analysis"))
    story.failed("forecast").then(step_failed("forecast"))


def test_a_step_times_out_at_its_deadline_and_says_how_long_it_waited() -> None:
    failed, ended = Story.begin().timed_out("forecast", at=after(minutes=15)).happened()
    assert isinstance(failed, StepFailed)
    assert (failed.reason, failed.error) == ("timed_out", "no answer within 900 s")
    assert isinstance(ended, WorkflowFailed)
    assert (ended.failed_step, ended.error) == ("forecast", "no answer within 900 s")


def test_a_timeout_before_the_deadline_changes_nothing() -> None:
    Story.begin().timed_out("forecast", at=after(minutes=15, milliseconds=-1)).then_nothing()


def test_a_timeout_of_a_step_that_has_ended_changes_nothing() -> None:
    story = Story.begin()
    story.after_answers_to("forecast").timed_out("forecast").then_nothing()
    story.so(story.failed("recommendation")).timed_out("recommendation").then_nothing()


def test_a_timeout_of_an_earlier_attempt_does_not_touch_the_present_one() -> None:
    story = Story.begin()
    story = story.so(story.failed("forecast"))
    story = story.so(story.retried(minutes=20))
    story.timed_out("forecast", attempt=1, at=after(hours=10)).then_nothing()
    story.timed_out("forecast", attempt=2, at=after(minutes=34)).then_nothing()
    assert story.timed_out("forecast", attempt=2, at=after(minutes=35)).happened()


def test_a_timeout_of_a_step_that_is_not_critical_leaves_its_result_out() -> None:
    story = Story.begin().after_answers_to("risk_analysis", "forecast", "risk_scoring")
    _, ended = story.timed_out("recommendation").happened()
    assert isinstance(ended, WorkflowCompleted)
    assert set(ended.results) == {"risk", "scoring", "forecast"}


def test_a_retry_opens_the_next_execution_and_dispatches_only_what_failed() -> None:
    story = Story.begin().after_answers_to("forecast", "risk_scoring", "recommendation")
    story = story.so(story.failed("risk_analysis"))
    after_it = story.retried(minutes=20).then(
        WorkflowRetried(
            workflow_id="w-1",
            execution_id=SECOND,
            previous_execution_id=FIRST,
            attempt=2,
            retried_at=after(minutes=20),
            again=("risk_analysis",),
        ),
        dispatched("risk_analysis", SECOND, attempt=2, minutes=20),
    )
    assert (after_it.state.status, after_it.state.attempt) == ("running", 2)
    assert [step.status for _, step in after_it.state.planned()] == [
        "running",
        "completed",
        "completed",
        "completed",
    ]


def test_a_retry_keeps_the_results_of_what_completed() -> None:
    story = Story.begin().after_answers_to("forecast", "risk_scoring", "recommendation")
    story = story.so(story.failed("risk_analysis"))
    story = story.so(story.retried())
    story.answered("risk_analysis").then(
        step_completed("risk_analysis", SECOND, attempt=2), completed_with(*STEPS, execution=SECOND)
    )


def test_a_retry_does_not_ask_twice_for_what_is_still_waited_for() -> None:
    story = Story.begin()
    story = story.so(story.failed("risk_analysis"))
    _, *requests = story.retried().happened()
    assert [event.step_type for event in requests if isinstance(event, StepDispatched)] == ["risk_analysis"]

    story = story.so(story.retried())
    assert story.state.steps["forecast"].attempt == 1
    story.answered("forecast").then(step_completed("forecast", SECOND, attempt=1))
    ended = story.timed_out("forecast", attempt=1, at=after(minutes=21)).happened()[-1]
    assert isinstance(ended, WorkflowFailed)
    assert ended.execution_id == SECOND


def test_a_retry_dispatches_everything_that_failed_also_after_the_end() -> None:
    story = Story.begin()
    for step in ("recommendation", "risk_analysis", "forecast"):
        story = story.so(story.failed(step))
    _, *requests = story.retried().happened()
    assert requests == [
        dispatched(step, SECOND, attempt=2, minutes=20)
        for step in ("risk_analysis", "forecast", "recommendation")
    ]


def test_a_completed_workflow_can_be_retried_where_an_other_step_failed() -> None:
    story = Story.begin()
    story = story.so(story.failed("recommendation"))
    story = story.after_answers_to("risk_analysis", "forecast", "risk_scoring")
    assert story.state.status == "completed"
    story = story.so(story.retried())
    story.answered("recommendation").then(
        step_completed("recommendation", SECOND, attempt=2), completed_with(*STEPS, execution=SECOND)
    )


def test_a_retried_critical_step_that_fails_again_fails_the_next_execution() -> None:
    story = Story.begin()
    story = story.so(story.failed("forecast"))
    story = story.so(story.retried())
    story.failed("forecast").then(
        step_failed("forecast", SECOND, attempt=2), workflow_failed("forecast", SECOND)
    )


def test_a_running_workflow_cannot_be_retried() -> None:
    story = Story.begin()
    refusal = story.retried().then_refused(WorkflowNotEnded)
    assert (refusal.code, refusal.details) == ("WORKFLOW_NOT_ENDED", {"status": "running"})
    story.so(story.failed("recommendation")).retried().then_refused(WorkflowNotEnded)


def test_a_workflow_in_which_nothing_failed_cannot_be_retried() -> None:
    refusal = Story.begin().after_answers_to(*STEPS).retried().then_refused(NothingFailed)
    assert (refusal.code, refusal.details) == ("WORKFLOW_NOTHING_FAILED", {"status": "completed"})


def test_nothing_but_a_start_can_begin_a_workflow() -> None:
    with pytest.raises(TypeError, match="cannot begin a workflow"):
        workflow.evolve(None, step_completed("forecast"))


def test_an_event_of_something_else_is_no_event_of_a_workflow() -> None:
    stranger = ApprovalApproved(approval_id="a", opportunity_id="o", decided_by="ann", decided_at=NOW)
    with pytest.raises(TypeError, match="no event of a workflow"):
        workflow.evolve(Story.begin().state, stranger)


def test_a_workflows_stream_is_named_by_its_tenant_and_id() -> None:
    assert workflow.workflow_stream(TENANT, "w-1") == f"{TENANT}/workflow/w-1"
