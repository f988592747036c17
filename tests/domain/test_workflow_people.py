"""What people order of a workflow: cancel, pause, resume, skip, complete by hand, retry from a step."""

from collections.abc import Sequence

import pytest

from domain import workflow
from domain.definition import Work
from domain.errors import NothingFailed, StepNotFound, StepNotOpen, WorkflowNotEnded, WorkflowNotRunning
from domain.event import Event
from domain.workflow import (
    StepDispatched,
    StepMapped,
    StepSkipped,
    WorkflowCancelled,
    WorkflowResumed,
    WorkflowRetried,
    step_id_of,
)
from tests.builders import NOW
from tests.domain.plans import ONCE_MORE, Run, cancelled, dispatched, map_step, plan, step

CHAIN = (step("a"), step("b", after=["a"]), step("c", after=["b"]))


def test_a_cancelled_workflow_ends_and_whoever_is_at_a_step_is_told() -> None:
    run = Run.of(step("a"), step("b"), step("c", after=["a"])).completed("a")
    events = run.ordered(workflow.cancel, reason="the deal is off").happened()
    assert cancelled(events) == ["b", "c"]
    assert isinstance(events[-1], WorkflowCancelled)
    assert events[-1].reason == "the deal is off"
    run = run.so(run.ordered(workflow.cancel, reason="the deal is off"))
    assert run.state.status == "cancelled"
    run.completing("b").then_nothing()
    run.ordered(workflow.cancel, reason="again").then_nothing()


def test_a_workflow_that_has_ended_cannot_be_cancelled_paused_or_resumed() -> None:
    run = Run.of(step("a")).completed("a")
    for ordered in (
        run.ordered(workflow.cancel, reason="x"),
        run.ordered(workflow.pause, reason="x"),
        run.ordered(workflow.resume),
    ):
        assert ordered.then_refused(WorkflowNotRunning).details == {"status": "completed"}


def test_a_cancelled_workflow_can_be_retried_and_keeps_what_was_completed() -> None:
    run = Run.of(*CHAIN).completed("a")
    run = run.so(run.ordered(workflow.cancel, reason="x"))
    run = run.so(run.ordered(workflow.retry))
    assert run.statuses == {"a": "completed", "b": "running", "c": "pending"}


def test_while_paused_nothing_is_dispatched_and_answers_are_kept() -> None:
    run = Run.of(*CHAIN)
    run = run.so(run.ordered(workflow.pause, reason="audit"))
    run.ordered(workflow.pause, reason="audit").then_nothing()
    run = run.completed("a")
    assert run.statuses == {"a": "completed", "b": "pending", "c": "pending"}
    resumed = run.ordered(workflow.resume)
    assert dispatched(resumed.happened()) == [("b", 1)]
    run.so(resumed).ordered(workflow.resume).then_nothing()


def test_a_pause_that_is_over_while_paused_is_made_up_for_when_it_goes_on() -> None:
    run = Run.of(step("a", retry=ONCE_MORE)).failed("a")
    run = run.so(run.ordered(workflow.pause, reason="audit"))
    held_back = run.held_back("a", minutes=3)
    assert dispatched(held_back.ordered(workflow.resume).happened()) == [("a", 2)]
    early = run.ordered(workflow.resume, minutes=1.5)
    assert dispatched(early.happened()) == []
    assert dispatched(run.so(early).tried_again("a").happened()) == [("a", 2)]


def test_items_go_on_where_they_were_when_a_paused_workflow_is_resumed() -> None:
    run = Run.of(map_step("calls", at_once=1), input={"deals": [1, 2]})
    run = run.so(run.ordered(workflow.pause, reason="audit")).completed("calls[0]")
    run = run.so(run.ordered(workflow.resume))
    assert run.under_way == ["calls", "calls[1]"]
    assert run.completed("calls[1]").state.status == "completed"


def test_a_workflow_whose_last_answers_came_while_paused_ends_when_it_is_resumed() -> None:
    run = Run.of(step("a", critical=True), step("b"))
    run = run.so(run.ordered(workflow.pause, reason="audit"))
    assert run.failed("a").state.status == "paused"
    done = run.failed("a").so(run.failed("a").ordered(workflow.resume))
    assert done.state.status == "failed"
    run = run.completed("a", "b")
    assert run.so(run.ordered(workflow.resume)).state.status == "completed"


def test_a_step_that_is_skipped_counts_as_ended() -> None:
    run = Run.of(*CHAIN)
    events = run.ordered(workflow.skip_step, step_id=run.state.steps["a"].step_id, reason="known").happened()
    assert cancelled(events) == ["a"]
    (skip,) = [each for each in events if isinstance(each, StepSkipped)]
    assert (skip.step_type, skip.reason, skip.by_operator) == ("a", "known", True)
    assert dispatched(events) == [("b", 1)]


def test_a_step_may_be_skipped_before_its_time() -> None:
    run = Run.of(*CHAIN)
    run = run.so(run.ordered(workflow.skip_step, step_id="b", reason="known"))
    run.ordered(workflow.skip_step, step_id="b", reason="known").then_nothing()
    assert run.completed("a").under_way == ["c"]


def test_what_is_completed_or_unknown_cannot_be_skipped() -> None:
    run = Run.of(*CHAIN).completed("a")
    refusal = run.ordered(workflow.skip_step, step_id="a", reason="x").then_refused(StepNotOpen)
    assert refusal.details == {"status": "completed"}
    run.ordered(workflow.skip_step, step_id="nothing", reason="x").then_refused(StepNotFound)
    done = run.completed("b", "c")
    done.ordered(workflow.skip_step, step_id="c", reason="x").then_refused(WorkflowNotRunning)


@pytest.mark.parametrize("state", ["running", "pending", "failed"])
def test_a_step_can_be_completed_by_hand(state: str) -> None:
    run = Run.of(step("a"), step("b", after=["a"]), step("z"))
    if state == "failed":
        run = run.failed("a")
    name = "b" if state == "pending" else "a"
    run = run.so(run.ordered(workflow.complete_by_hand, step_id=name, result={"by": "hand"}))
    assert run.state.results[name] == {"by": "hand"}
    run.ordered(workflow.complete_by_hand, step_id=name, result=1).then_refused(StepNotOpen)


def test_a_failed_step_of_a_running_workflow_can_be_tried_again_at_once() -> None:
    run = Run.of(step("a"), step("z")).failed("a")
    run = run.so(run.ordered(workflow.retry_step, step_id="a"))
    assert (run.status("a"), run.state.steps["a"].attempt) == ("running", 2)
    run.ordered(workflow.retry_step, step_id="a").then_refused(StepNotOpen)
    waiting = Run.of(step("a", retry=ONCE_MORE)).failed("a")
    assert dispatched(waiting.ordered(workflow.retry_step, step_id="a", minutes=1).happened()) == [("a", 2)]


def reasons(events: Sequence[Event]) -> list[tuple[type[Event], str | None]]:
    said = StepDispatched | StepMapped | WorkflowResumed | WorkflowRetried
    return [(type(each), each.reason) for each in events if isinstance(each, said)]


def test_who_lets_something_be_tried_again_or_go_on_may_say_why() -> None:
    plan = (step("a"), map_step("calls"))
    run = Run.of(step("x"), *plan, input={"deals": [1]}).failed("a").failed("calls[0]")
    again = run.ordered(workflow.retry_step, step_id="a", reason="it is back")
    assert reasons(again.happened()) == [(StepDispatched, "it is back")]
    again = run.ordered(workflow.retry_step, step_id="calls", reason="it is back")
    assert reasons(again.happened()) == [(StepMapped, "it is back"), (StepDispatched, None)]
    paused = run.so(run.ordered(workflow.pause, reason="audit"))
    resumed = paused.ordered(workflow.resume, reason="it is over")
    assert reasons(resumed.happened()) == [(WorkflowResumed, "it is over")]
    ended = run.so(run.ordered(workflow.cancel, reason="off"))
    retried = ended.ordered(workflow.retry, reason="on again").happened()
    assert reasons(retried)[0] == (WorkflowRetried, "on again")
    assert {reason for _, reason in reasons(retried)[1:]} == {None}
    assert reasons(paused.ordered(workflow.resume).happened()) == [(WorkflowResumed, None)]


def test_a_retry_from_a_step_does_it_and_all_after_it_again_with_other_input() -> None:
    steps = (*CHAIN, step("aside"))
    run = Run.of(*steps, input={"amount": 1}).completed("a", "b", "aside").failed("c")
    assert run.state.status == "completed"
    order = run.ordered(workflow.retry, from_step="b", input={"amount": 2})
    retried = order.happened()[0]
    assert isinstance(retried, WorkflowRetried)
    assert (retried.again, retried.input) == (("b", "c"), {"amount": 2})
    run = run.so(order)
    assert run.statuses == {"a": "completed", "b": "running", "c": "pending", "aside": "completed"}
    assert run.state.input == {"amount": 2}
    assert run.state.results == {"a": {"of": "a"}, "aside": {"of": "aside"}}


def test_a_completed_workflow_can_be_done_again_from_a_step() -> None:
    run = Run.of(*CHAIN).completed("a", "b", "c")
    run.ordered(workflow.retry).then_refused(NothingFailed)
    refused = run.ordered(workflow.retry, from_step="x").then_refused(StepNotFound)
    assert refused.message == "the workflow has no step x"
    run = run.so(run.ordered(workflow.retry, from_step=run.state.steps["c"].step_id))
    assert run.under_way == ["c"]
    run.ordered(workflow.retry, from_step="c").then_refused(WorkflowNotEnded)


def test_a_retry_asks_again_whether_what_was_skipped_after_a_failure_applies() -> None:
    steps = (step("a"), step("b", after=["a"], when="results.a"), step("c", critical=True))
    run = Run.of(*steps).failed("a").failed("c")
    assert run.statuses == {"a": "failed", "b": "skipped", "c": "failed"}
    run = run.so(run.ordered(workflow.retry))
    assert run.statuses == {"a": "running", "b": "pending", "c": "running"}
    assert run.completed("a").status("b") == "running"


def test_a_retry_from_a_step_does_what_failed_elsewhere_too_and_lets_go_of_what_runs() -> None:
    run = Run.of(step("a", critical=True), step("b"), step("c")).failed("a").completed("b")
    events = run.ordered(workflow.retry, from_step="c").happened()
    assert cancelled(events) == ["c"]
    assert dispatched(events) == [("a", 2), ("c", 2)]


def test_a_misspelt_step_is_told_with_what_may_have_been_meant() -> None:
    run = Run.of(step("reserve"), step("pay")).completed("reserve", "pay")
    refused = run.ordered(workflow.retry, from_step="reserv").then_refused(StepNotFound)
    assert refused.message == "the workflow has no step reserv; did you mean reserve?"


def test_what_was_cancelled_between_two_steps_goes_on_from_there() -> None:
    run = Run.of(*CHAIN)
    run = run.so(run.ordered(workflow.pause, reason="audit")).completed("a")
    run = run.so(run.ordered(workflow.cancel, reason="off"))
    assert run.so(run.ordered(workflow.retry)).under_way == ["b"]


@pytest.mark.parametrize("item", ["m[0]", "m[7]", step_id_of("w-1", "m[0]")])
def test_from_an_item_on_nothing_is_done_again_and_its_map_step_is_named(item: str) -> None:
    run = Run.of(map_step("m", compensation=Work()), input={"deals": [1]}).completed("m[0]")
    refused = run.ordered(workflow.retry, from_step=item).then_refused(StepNotFound)
    assert refused.message.endswith("not a step of the plan: name m to do all its items again")
    undoing = run.ordered(workflow.retry, from_step="m.compensation").then_refused(StepNotFound)
    assert undoing.message == "m.compensation is not a step of the plan: it undoes m"


@pytest.mark.parametrize("from_step", [None, "a"])
def test_what_was_cancelled_before_it_began_is_not_retried_but_started_anew(from_step: str | None) -> None:
    queued = workflow.queue(
        plan(step("a")), workflow_id="w-1", opportunity_id=None, input=None, now=NOW, concurrency_group="g"
    )
    run = Run(workflow.evolve, *queued)
    run = run.so(run.ordered(workflow.cancel, reason="off"))
    refused = run.ordered(workflow.retry, from_step=from_step).then_refused(NothingFailed)
    assert "cancelled before it began" in refused.message
    assert "start a new workflow" in refused.message
