"""What a workflow does again, and what it leaves as it is: tries, retries, and what people left out."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import Retry, Work
from domain.errors import StepNotOpen
from domain.workflow import StepCancelled, StepDispatched, StepFailed, WorkflowFailed
from tests.domain.plans import ONCE_MORE, Run, cancelled, dispatched, map_step, step

TWO = {"deals": ["x", "y"]}
PATIENT = Work(input={"deal": "item"}, retry=ONCE_MORE)


def test_an_input_that_cannot_be_made_is_handed_to_nobody() -> None:
    unmade = step("b", after=["a"], kind="task", input={"n": "length(results.a.n)"})
    *_, begun, failed, _ = Run.of(step("a"), unmade).completing("a", n=5).happened()
    assert isinstance(begun, StepDispatched)
    assert (begun.void, begun.input, begun.deadline_at) == (True, {}, None)
    assert isinstance(failed, StepFailed)
    assert failed.reason == "rejected"


def test_an_item_whose_pause_was_over_while_its_map_step_paused_is_tried_again_with_it() -> None:
    slow = Retry(attempts=2, delay_seconds=600, jitter=0)
    run = Run.of(map_step("m", at_once=2, each=PATIENT, retry=slow), input=TWO)
    run = run.failed("m[1]", "m[0]")
    run = run.so(run.tried_again("m[0]", minutes=2)).failed("m[0]", minutes=2)
    assert (run.status("m"), run.status("m[1]")) == ("retrying", "retrying")
    run = run.held_back("m[1]", minutes=3)
    run = run.so(run.tried_again("m", minutes=15))
    assert run.under_way == ["m", "m[0]", "m[1]"]
    assert run.completed("m[0]", "m[1]", minutes=16).state.status == "completed"


def test_an_item_whose_pause_was_over_while_the_workflow_had_failed_is_tried_again_too() -> None:
    run = Run.of(map_step("m", at_once=2, each=PATIENT, critical=True), input=TWO).failed("m[1]", "m[0]")
    run = run.so(run.tried_again("m[0]", minutes=2)).failed("m[0]", minutes=2)
    assert run.state.status == "failed"
    run = run.so(run.ordered(workflow.retry, minutes=60))
    assert run.under_way == ["m", "m[0]", "m[1]"]


def test_items_of_elements_that_are_no_more_are_let_go_and_no_longer_ordered_about() -> None:
    run = Run.of(map_step("m", critical=True), input={"deals": ["x", "y", "z"]}).failed("m[0]")
    again = run.ordered(workflow.retry, input={"deals": ["w"]})
    assert cancelled(again.happened()) == ["m[1]", "m[2]"]
    run = run.so(again)
    run.ordered(workflow.skip_step, step_id="m[2]", reason="x").then_refused(StepNotOpen)
    run.ordered(workflow.complete_by_hand, step_id="m[2]", result=1).then_refused(StepNotOpen)
    assert run.completed("m[0]").state.results == {"m": [{"of": "m[0]"}]}


@pytest.mark.parametrize("critical", [True, False])
def test_a_retry_does_the_items_anew_that_failed_after_the_workflow_had(critical: bool) -> None:
    run = Run.of(step("a", critical=True), map_step("m", critical=critical), input=TWO).failed("a", "m[0]")
    assert run.state.status == "failed"
    events = run.ordered(workflow.retry).happened()
    assert not [each for each in events if isinstance(each, WorkflowFailed | StepFailed | StepCancelled)]
    assert [name for name, _ in dispatched(events)] == ["a", "m[0]"]
    run = run.so(run.ordered(workflow.retry)).completed("a", "m[0]", "m[1]")
    assert run.state.status == "completed"


def test_what_an_operator_has_left_out_stays_so_in_a_retry() -> None:
    run = Run.of(step("a", critical=True), step("b", after=["a"]), step("c"))
    run = run.so(run.ordered(workflow.skip_step, step_id="b", reason="gone")).failed("a")
    run = run.so(run.ordered(workflow.retry)).completed("a", "c")
    assert (run.status("b"), run.state.status) == ("skipped", "completed")


def test_so_does_an_item() -> None:
    run = Run.of(map_step("m", critical=True), input=TWO)
    run = run.so(run.ordered(workflow.skip_step, step_id="m[0]", reason="gone")).failed("m[1]")
    assert dispatched(run.ordered(workflow.retry).happened()) == [("m[1]", 2)]


def test_what_its_condition_has_left_out_is_looked_at_again() -> None:
    run = Run.of(step("a", critical=True), step("b", after=["a"], when="results.a"), step("c"))
    run = run.failed("a", "c")
    assert run.so(run.ordered(workflow.retry)).completed("a").status("b") == "running"


SKIPPED_AFTER_A = (
    step("a"),
    step("b", after=["a"], when="steps.a.status != 'failed'", critical=True),
    step("later", after=["b"], when="steps.b.status == 'completed'"),
    step("c"),
)


@pytest.mark.parametrize(
    ("order", "how"),
    [
        (workflow.retry_step, {}),
        (workflow.complete_by_hand, {"result": {}}),
        (workflow.skip_step, {"reason": "not needed"}),
    ],
)
def test_so_it_is_where_a_step_that_had_failed_ends_anew(order: Any, how: dict[str, Any]) -> None:
    run = Run.of(*SKIPPED_AFTER_A).failed("a")
    assert run.statuses == {"a": "failed", "b": "skipped", "later": "skipped", "c": "running"}
    run = run.so(run.ordered(order, step_id="a", **how))
    if order is workflow.retry_step:
        assert run.statuses == {"a": "running", "b": "pending", "later": "pending", "c": "running"}
        run = run.completed("a")
    assert run.statuses["b"] == "running"
    assert run.completed("b", "later", "c").state.results.keys() >= {"b", "later", "c"}


def test_what_an_operator_has_left_out_stays_so_where_a_step_before_it_ends_anew() -> None:
    run = Run.of(step("a"), step("b", after=["a"]), step("c"))
    run = run.so(run.ordered(workflow.skip_step, step_id="b", reason="gone")).failed("a")
    run = run.so(run.ordered(workflow.retry_step, step_id="a")).completed("a")
    assert run.statuses == {"a": "completed", "b": "skipped", "c": "running"}


def test_in_a_paused_workflow_it_goes_out_with_the_resumption() -> None:
    run = Run.of(*SKIPPED_AFTER_A).failed("a")
    run = run.so(run.ordered(workflow.pause))
    run = run.so(run.ordered(workflow.complete_by_hand, step_id="a", result={}))
    assert run.status("b") == "pending"
    assert run.so(run.ordered(workflow.resume)).status("b") == "running"


def test_the_error_of_a_try_is_forgotten_with_the_next() -> None:
    ended = step("b", after=["a"], when="steps.a.error == null")
    run = Run.of(step("a", retry=ONCE_MORE), ended).failed("a")
    run = run.so(run.tried_again("a")).completed("a", minutes=3)
    assert run.status("b") == "running"
    by_hand = Run.of(step("a"), ended, step("z"))
    by_hand = by_hand.so(by_hand.ordered(workflow.complete_by_hand, step_id="a", result={}))
    assert by_hand.status("b") == "running"


def test_a_map_whose_last_item_fails_as_the_workflow_is_resumed_ends_by_that() -> None:
    patient = Work(input={"n": "results.a && length(results.a.n)"}, retry=ONCE_MORE)
    run = Run.of(map_step("m", tolerate=1, each=patient), step("a"), input={"deals": ["x"]}).failed("m[0]")
    run = run.so(run.ordered(workflow.pause, reason="x")).completed("a", n=5)
    run = run.so(run.ordered(workflow.resume))
    assert (run.status("m"), run.state.status) == ("completed", "completed")
