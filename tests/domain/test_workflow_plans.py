"""Plans: which step is due when, what it is given, and what its failing leads to."""

import pytest

from domain import workflow
from domain.definition import Retry
from domain.workflow import StepDispatched, StepFailed, StepSkipped, WorkflowCompleted, WorkflowFailed
from tests.builders import after
from tests.domain.plans import ONCE_MORE, Run, dispatched, skipped, step

DIAMOND = (
    step("score"),
    step("risk", after=["score"]),
    step("forecast", after=["score"]),
    step("report", after=["risk", "forecast"], critical=True),
)


def test_a_step_is_due_once_all_before_it_have_ended() -> None:
    run = Run.of(*DIAMOND)
    assert run.under_way == ["score"]
    run = run.completed("score")
    assert run.under_way == ["forecast", "risk"]
    run = run.completed("risk")
    assert run.under_way == ["forecast"]
    run = run.completed("forecast")
    assert run.under_way == ["report"]
    assert run.completed("report").state.status == "completed"


def test_a_step_that_fails_leaves_its_result_out_and_what_follows_goes_on() -> None:
    run = Run.of(*DIAMOND).completed("score", "risk").failed("forecast")
    assert run.under_way == ["report"]
    ended = run.completing("report").happened()[-1]
    assert isinstance(ended, WorkflowCompleted)
    assert sorted(ended.results) == ["report", "risk", "score"]


def test_a_failed_critical_step_ends_the_workflow_and_nothing_more_is_dispatched() -> None:
    run = Run.of(step("a", critical=True), step("b"), step("c", after=["b"])).failed("a")
    assert run.state.status == "failed"
    assert dispatched(run.completing("b").happened()) == []


def test_a_step_gets_what_its_expressions_find() -> None:
    second = step(
        "second",
        after=["first"],
        input={"score": "results.first.score", "amount": "input.amount", "deal": "workflow.opportunityId"},
        parameters={"request": "x.y.z"},
    )
    run = Run.of(step("first"), second, input={"amount": 5})
    (_, request) = run.completing("first", score=0.9).happened()
    assert isinstance(request, StepDispatched)
    assert request.input == {"score": 0.9, "amount": 5, "deal": "opp-1"}
    assert request.parameters == {"request": "x.y.z"}


def test_a_step_whose_condition_does_not_hold_is_skipped_and_what_follows_goes_on() -> None:
    steps = (
        step("last", after=["costly"]),
        step("costly", after=["score"], when="results.score.risk > `50`"),
        step("score"),
    )
    risky = Run.of(*steps).completed("score", risk=80)
    assert risky.under_way == ["costly"]
    harmless = Run.of(*steps).so(Run.of(*steps).completing("score", risk=20))
    assert harmless.statuses == {"score": "completed", "costly": "skipped", "last": "running"}


def test_skipping_everything_that_is_left_completes_the_workflow() -> None:
    run = Run.of(
        step("a"), step("b", after=["a"], when="results.a.go"), step("c", after=["b"], when="results.b")
    )
    _, b, c, ended = run.completing("a", go=False).happened()
    assert skipped([b, c]) == ["b", "c"]
    assert isinstance(ended, WorkflowCompleted)


@pytest.mark.parametrize("found", ["`false`", "`null`", "''", "`[]`", "`{}`", "input.nothing"])
def test_nothing_false_and_empty_do_not_hold(found: str) -> None:
    assert Run.of(step("a", when=found), step("b")).status("a") == "skipped"


@pytest.mark.parametrize("found", ["`true`", "`0`", "'no'", "input"])
def test_everything_else_holds(found: str) -> None:
    assert Run.of(step("a", when=found), input={"x": 1}).status("a") == "running"


def test_an_expression_that_does_not_fit_fails_the_step_and_nothing_else() -> None:
    steps = [
        step("a", when="length(input.amount) > `1`"),
        step("b", input={"n": "length(input.amount)"}),
        step("c"),
    ]
    run = Run.of(*steps, input={"amount": 5})
    assert run.statuses == {"a": "failed", "b": "failed", "c": "running"}
    failures = [each for each in run.events if isinstance(each, StepFailed)]
    assert {each.reason for each in failures} == {"rejected"}
    assert all("length" in each.error for each in failures)
    critical = Run.of(step("a", critical=True, when="length(input.amount)"), input={"amount": 5})
    assert critical.state.status == "failed"


def test_a_failed_step_is_tried_again_after_its_pause_and_completes() -> None:
    run = Run.of(step("a", retry=ONCE_MORE, critical=True)).failed("a")
    assert (run.status("a"), run.state.steps["a"].retry_at) == ("retrying", after(minutes=2))
    assert run.state.status == "running"
    run.tried_again("a", minutes=1.9).then_nothing()
    run = run.so(run.tried_again("a"))
    assert (run.status("a"), run.state.steps["a"].attempt) == ("running", 2)
    assert run.completed("a").state.status == "completed"


def test_without_a_try_left_a_step_has_failed() -> None:
    run = Run.of(step("a", retry=ONCE_MORE, critical=True)).failed("a")
    run = run.so(run.tried_again("a"))
    failed, ended = run.failing("a", minutes=3).happened()
    assert isinstance(failed, StepFailed)
    assert failed.retry_at is None
    assert isinstance(ended, WorkflowFailed)


def test_what_is_no_good_is_not_tried_again() -> None:
    assert Run.of(step("a", retry=ONCE_MORE)).failed("a", reason="rejected").status("a") == "failed"
    chosen = Retry(attempts=3, on=("rejected",))
    assert Run.of(step("a", retry=chosen)).failed("a", reason="rejected").status("a") == "retrying"
    assert Run.of(step("a", retry=chosen)).failed("a", reason="unavailable").status("a") == "failed"


def test_an_answer_that_comes_during_the_pause_is_taken() -> None:
    run = Run.of(step("a", retry=ONCE_MORE)).failed("a").completed("a")
    assert run.state.status == "completed"
    run.tried_again("a").then_nothing()


def test_an_answer_to_an_earlier_attempt_comes_too_late_where_that_is_known() -> None:
    run = Run.of(step("a", retry=ONCE_MORE)).failed("a")
    run = run.so(run.tried_again("a"))
    run.ordered(workflow.complete_step, step_type="a", result=1, attempt=1).then_nothing()
    run.ordered(workflow.fail_step, step_type="a", error="no", attempt=1).then_nothing()
    assert (
        run.so(run.ordered(workflow.complete_step, step_type="a", result=1, attempt=2)).state.status
        == "completed"
    )


def test_a_step_without_a_timeout_has_no_deadline() -> None:
    run = Run.of(step("a", timeout_seconds=None))
    assert run.state.steps["a"].deadline_at is None
    run.ordered(workflow.time_out_step, step_type="a", attempt=1, minutes=10**6).then_nothing()


def test_pauses_grow_up_to_the_most_and_jitter_is_the_same_each_time() -> None:
    rule = Retry(delay_seconds=2, factor=3, most_seconds=50, jitter=0)
    assert [rule.pause_before(tries, "s") for tries in (2, 3, 4, 5, 5_000)] == [2, 6, 18, 50, 50]
    jittered = Retry(delay_seconds=100, factor=1, jitter=0.5)
    pauses = {jittered.pause_before(2, f"s-{number}") for number in range(50)}
    assert len(pauses) > 40
    assert min(pauses) >= 50
    assert max(pauses) <= 100
    assert jittered.pause_before(2, "s") == jittered.pause_before(2, "s")


def test_a_workflow_that_is_not_at_its_end_by_its_deadline_fails_and_who_is_at_a_step_is_told() -> None:
    run = Run.of(step("a"), step("b", after=["a"]), deadline_seconds=600)
    execution = run.state.execution_id
    run.ordered(workflow.pass_deadline, minutes=9.9, execution_id=execution).then_nothing()
    run.ordered(workflow.pass_deadline, minutes=10, execution_id="another").then_nothing()
    run = run.so(run.ordered(workflow.pass_deadline, minutes=10, execution_id=execution))
    assert run.state.status == "failed"
    assert run.statuses == {"a": "cancelled", "b": "pending"}
    assert run.state.failure == "not completed within 600 s"
    run.ordered(workflow.pass_deadline, minutes=11, execution_id=execution).then_nothing()
    again = run.so(run.ordered(workflow.retry, minutes=20))
    assert again.under_way == ["a"]
    assert again.state.deadline_at == after(minutes=30)


def test_a_skipped_step_tells_why() -> None:
    (event,) = [
        each for each in Run.of(step("a", when="input.go"), step("b")).events if isinstance(each, StepSkipped)
    ]
    assert (event.reason, event.by_operator) == ("its condition does not hold: input.go", False)
