"""What the items of a ``map`` step have done is undone with it, also where it has not come to its end."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import StepDefinition, Work
from domain.workflow import StepDispatched, WorkflowCancelled, WorkflowFailed
from tests.domain.plans import ONCE_MORE, Run, cancelled, map_step, step

THREE = {"deals": ["x", "y", "z"]}
RESERVED = {"type": "stock.was.reserved"}
ASK = {
    "request": "stock.reserve.requested",
    "replies": [RESERVED],
    "correlation": {"deal": "data.deal"},
}


def reserve_all(**how: Any) -> StepDefinition:
    """Something is reserved for each deal, and released for all of them."""
    each = {
        "input": {"deal": "item"},
        "parameters": ASK,
        **how.pop("each", {}),
    }
    undo = Work(input={"all": "results.m[*].of", "of": "results.m"}, **how.pop("undo", {}))
    return map_step("m", each=Work(**each), compensation=undo, **how)


def failing(**how: Any) -> Run:
    return Run.of(reserve_all(**how), step("c", critical=True), input=THREE)


def stopped(run: Run) -> Run:
    return run.so(run.ordered(workflow.cancel, reason="off"))


def undone(run: Run) -> list[list[str]]:
    """What was handed out to be undone."""
    sent = [each for each in run.events if isinstance(each, StepDispatched) and "comp" in each.step_type]
    return [each.input["all"] for each in sent]


def test_items_that_are_done_once_all_the_rest_is_undone_are_undone_then() -> None:
    first = step("first", compensation=Work(input={"all": "['first']"}))
    run = Run.of(first, reserve_all(each={"kind": "approval"}), step("c", critical=True), input=THREE)
    run = run.completed("first").failed("c").completed("first.compensation")
    assert (run.state.status, run.under_way) == ("compensated", ["m", "m[0]", "m[1]", "m[2]"])
    run = run.completed("m[0]")
    assert (run.state.status, undone(run)) == ("compensating", [["first"], ["m[0]"]])
    run = run.completed("m[1]", "m[2]", "m.compensation")
    assert (run.status("m"), undone(run)) == ("completed", [["first"], ["m[0]"], ["m[1]", "m[2]"]])
    assert run.completed("m.compensation").state.status == "compensated"


def test_what_was_done_before_the_failure_is_undone_at_once_and_no_item_is_begun_any_more() -> None:
    run = failing(at_once=1).completed("m[0]").failed("c")
    assert (run.state.status, run.under_way) == ("compensating", ["m", "m.compensation", "m[1]"])
    (sent,) = [each for each in run.events if isinstance(each, StepDispatched) and "comp" in each.step_type]
    assert sent.input["of"] == [{"of": "m[0]"}, None, None]
    run = run.failed("m[1]")
    assert (run.status("m"), run.under_way) == ("cancelled", ["m.compensation"])
    run = run.completed("m.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [["m[0]"]])


def test_each_item_is_undone_once_though_it_is_done_while_others_are_undone() -> None:
    run = failing().completed("m[2]").failed("c").completed("m[0]")
    assert undone(run) == [["m[2]"]]
    run = run.completed("m.compensation").completed("m.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [["m[2]"], ["m[0]"]])
    run = run.completed("m[1]", "m.compensation")
    assert (run.state.status, undone(run)[2:]) == ("compensated", [["m[1]"]])


def test_where_the_undoing_fails_its_next_try_is_for_all_that_is_not_undone() -> None:
    run = failing(undo={"retry": ONCE_MORE}).completed("m[0]").failed("c").completed("m[1]")
    run = run.failed("m.compensation")
    run = run.so(run.tried_again("m.compensation", minutes=4)).completed("m.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [["m[0]"], ["m[0]", "m[1]"]])


def test_what_is_undone_by_other_means_is_undone() -> None:
    run = failing().completed("m[0]").failed("c", "m.compensation")
    run = run.so(run.ordered(workflow.skip_step, step_id="m.compensation", reason="by phone"))
    assert run.state.status == "compensated"
    assert undone(run.completed("m[1]")) == [["m[0]"], ["m[1]"]]


@pytest.mark.parametrize("named", [{}, {"step_type": "m[1]"}])
def test_a_late_answer_to_an_item_of_a_cancelled_workflow_is_undone(named: dict[str, Any]) -> None:
    run = stopped(failing())
    assert (run.state.status, run.under_way) == ("cancelled", [])
    if named:
        run = run.completed("m[1]")
    else:
        answer = {"of": "m[1]", "deal": "y"}
        run = run.so(run.ordered(workflow.take_reply, message_type=RESERVED["type"], data=answer))
    assert (run.state.status, undone(run)) == ("compensating", [["m[1]"]])
    assert run.completed("m.compensation").state.status == "compensated"


def test_a_cancelled_workflow_undoes_what_the_items_have_done_and_tells_of_its_room_after_that() -> None:
    run = Run.of(reserve_all(), input=THREE).completed("m[0]")
    (ended,) = [
        each
        for each in run.ordered(workflow.cancel, reason="off").happened()
        if isinstance(each, WorkflowCancelled)
    ]
    assert ended.concurrency_group is None
    run = stopped(run)
    assert (run.state.status, run.status("m"), undone(run)) == ("compensating", "cancelled", [["m[0]"]])


def test_so_does_one_whose_deadline_has_passed_and_one_in_which_the_map_was_out_of_time() -> None:
    run = Run.of(reserve_all(), input=THREE, deadline_seconds=600).completed("m[0]")
    run = run.so(run.ordered(workflow.pass_deadline, minutes=11, execution_id=run.state.execution_id))
    assert undone(run) == [["m[0]"]]
    run = failing(timeout_seconds=60).completed("m[0]")
    run = run.so(run.ordered(workflow.time_out_step, minutes=2, step_type="m", attempt=1))
    assert (run.state.status, undone(run)) == ("running", [])
    assert undone(run.failed("c")) == [["m[0]"]]


def test_an_item_whose_time_was_up_is_undone_though_the_map_was_completed_without_it() -> None:
    run = failing(tolerate=1, each={"timeout_seconds": 60})
    run = run.so(run.ordered(workflow.time_out_step, minutes=2, step_type="m[1]", attempt=1))
    run = run.completed("m[0]", "m[2]")
    assert run.status("m") == "completed"
    run = run.failed("c").completed("m.compensation", "m[1]", "m.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [["m[0]", "m[2]"], ["m[1]"]])


A = step("a", compensation=Work(input={"all": "['a']"}))


def test_nobody_is_asked_any_more_for_an_item_whose_next_try_does_not_come() -> None:
    run = Run.of(A, reserve_all(each={"retry": ONCE_MORE}), step("c", critical=True), input=THREE)
    turn = run.completed("a").failed("m[0]").failing("c")
    assert cancelled(turn.happened()) == ["m[0]"]


def test_what_a_map_has_done_that_its_items_have_failed_is_undone_with_the_rest() -> None:
    run = Run.of(A, reserve_all(critical=True), input=THREE).completed("a", "m[1]").failed("m[0]")
    assert (run.state.status, run.status("m"), undone(run)) == ("compensating", "failed", [["m[1]"]])
    run = run.completed("m[2]", "m.compensation", "m.compensation", "a.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [["m[1]"], ["m[2]"], ["a"]])


def test_it_is_undone_after_what_was_done_since() -> None:
    late = step("late", after=["m"], compensation=Work(input={"all": "['late']"}))
    run = Run.of(reserve_all(), late, step("c", critical=True), input=THREE).completed("m[1]").failed("m[0]")
    run = run.completed("late").failed("c").completed("late.compensation")
    assert undone(run) == [["late"], ["m[1]"]]


def test_while_nothing_is_undone_a_failed_workflow_may_go_on_with_its_items() -> None:
    run = failing(at_once=2).failed("c")
    assert (run.state.status, run.under_way) == ("failed", ["m", "m[0]", "m[1]"])
    run = run.so(run.ordered(workflow.retry))
    assert run.completed("c", "m[0]", "m[1]", "m[2]").state.status == "completed"


def test_where_nothing_else_is_undone_a_map_that_its_items_have_failed_may_be_tried_again() -> None:
    run = Run.of(reserve_all(critical=True), input=THREE).completed("m[0]").failed("m[1]")
    assert (run.state.status, undone(run)) == ("failed", [])
    assert any(isinstance(each, WorkflowFailed) for each in run.events)
    run = run.so(run.ordered(workflow.retry))
    assert run.completed("m[1]", "m[2]").state.status == "completed"
