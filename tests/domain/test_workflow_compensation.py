"""Compensation: what was done is undone, the latest first, and a failing one is never called done."""

from collections.abc import Sequence
from typing import Any

import pytest

from domain import workflow
from domain.definition import StepDefinition, Work
from domain.errors import StepNotOpen, WorkflowNotEnded, WorkflowNotRunning, WorkflowUndone
from domain.workflow import CompensationFailed, StepDispatched, WorkflowCompensated, WorkflowFailed
from tests.domain.plans import ONCE_MORE, Run, cancelled, dispatched, map_step, step

UNDO = Work(parameters={"request": "deal.step.undone"}, input={"what": "results.a.of"})


def undoable(name: str, after: Sequence[str] = ()) -> StepDefinition:
    return step(name, after=after, compensation=UNDO)


SAGA = (undoable("a"), undoable("b", after=["a"]), step("plain"), step("c", after=["b"], critical=True))


def failed_saga() -> Run:
    return Run.of(*SAGA).completed("plain", "a", "b").failed("c")


def test_the_completed_steps_are_undone_in_reverse_order_one_after_the_other() -> None:
    run = failed_saga()
    assert run.state.status == "compensating"
    assert run.under_way == ["b.compensation"]
    run = run.completed("b.compensation")
    assert run.under_way == ["a.compensation"]
    (_, ended) = run.completing("a.compensation").happened()
    assert isinstance(ended, WorkflowCompensated)
    assert run.completed("a.compensation").state.status == "compensated"


def test_nobody_is_asked_any_more_for_what_is_undone_but_who_does_what_can_be() -> None:
    plan = (
        *SAGA,
        step("sign_off", kind="approval"),
        undoable("late"),
        map_step("calls", at_once=1),
    )
    run = Run.of(*plan, input={"deals": [1, 2]}).completed("plain", "a", "b")
    turn = run.failing("c")
    assert cancelled(turn.happened()) == ["calls", "calls[0]", "sign_off"]
    run = run.so(turn)
    assert run.under_way == ["b.compensation", "late"]
    run = run.completed("late", "b.compensation", "late.compensation", "a.compensation")
    assert run.state.status == "compensated"
    without = Run.of(step("c", critical=True), step("sign_off", kind="approval"))
    assert without.failed("c").under_way == ["sign_off"]


def test_a_compensation_is_told_what_the_step_has_found() -> None:
    (undo,) = [
        each for each in failed_saga().events if isinstance(each, StepDispatched) and "comp" in each.step_type
    ]
    assert (undo.parameters, undo.input) == ({"request": "deal.step.undone"}, {"what": "a"})


def test_a_compensation_that_fails_is_a_state_of_its_own_and_can_be_tried_again() -> None:
    run = failed_saga()
    (_, ended) = run.failing("b.compensation").happened()
    assert isinstance(ended, CompensationFailed)
    assert ended.failed_step == "b.compensation"
    run = run.failed("b.compensation")
    assert (run.state.status, run.under_way) == ("compensation_failed", [])
    again = run.so(run.ordered(workflow.retry))
    assert (again.state.status, again.under_way) == ("compensating", ["b.compensation"])
    assert again.completed("b.compensation", "a.compensation").state.status == "compensated"


def test_a_compensation_has_tries_of_its_own() -> None:
    patient = Work(retry=ONCE_MORE)
    run = Run.of(step("a", compensation=patient), step("c", after=["a"], critical=True))
    run = run.completed("a").failed("c").failed("a.compensation")
    assert run.state.status == "compensating"
    run = run.so(run.tried_again("a.compensation"))
    assert run.completed("a.compensation").state.status == "compensated"


def test_a_compensation_whose_input_cannot_be_made_has_failed() -> None:
    hopeless = Work(input={"n": "length(`5`)"})
    run = Run.of(step("a", compensation=hopeless), step("c", after=["a"], critical=True))
    assert run.completed("a").failed("c").state.status == "compensation_failed"


def test_without_anything_to_undo_a_failure_is_a_failure() -> None:
    run = Run.of(undoable("a"), step("c", critical=True)).failed("c")
    assert run.state.status == "failed"


def test_what_is_completed_late_is_undone_too() -> None:
    run = Run.of(undoable("a"), step("c", critical=True)).failed("c")
    run = run.completed("a")
    assert (run.state.status, run.under_way) == ("compensating", ["a.compensation"])
    run = Run.of(undoable("a"), undoable("b"), step("c", critical=True)).completed("a").failed("c")
    run = run.completed("a.compensation")
    assert run.state.status == "compensated"
    run = run.completed("b")
    assert (run.state.status, run.under_way) == ("compensating", ["b.compensation"])
    assert run.completed("b.compensation").state.status == "compensated"


def test_a_cancelled_workflow_is_undone() -> None:
    run = Run.of(*SAGA).completed("a")
    run = run.so(run.ordered(workflow.cancel, reason="off"))
    assert (run.state.status, run.under_way) == ("compensating", ["a.compensation"])
    run = run.completed("b")
    assert run.under_way == ["a.compensation"], "one after the other"
    run = run.completed("a.compensation")
    assert run.under_way == ["b.compensation"]


def test_what_was_undone_cannot_be_retried() -> None:
    run = failed_saga()
    run.ordered(workflow.retry).then_refused(WorkflowNotEnded)
    run.completed("b.compensation", "a.compensation").ordered(workflow.retry).then_refused(WorkflowUndone)


def test_nothing_else_is_dispatched_while_it_is_undone() -> None:
    run = failed_saga()
    assert dispatched(run.completing("plain").happened()) == []
    assert len([each for each in run.events if isinstance(each, WorkflowFailed)]) == 1


def test_what_waits_for_its_next_try_is_not_tried_while_everything_is_undone() -> None:
    run = Run.of(undoable("a"), step("b", retry=ONCE_MORE), step("c", critical=True))
    run = run.completed("a").failed("b", "c")
    assert run.state.status == "compensating"
    run.tried_again("b", minutes=3).then_nothing()


def test_a_compensation_is_answered_without_its_id_and_settled_by_a_person() -> None:
    undo = Work(parameters={"request": "x", "replies": [{"type": "stock.was.released"}]})
    run = Run.of(step("a", compensation=undo), step("c", critical=True)).completed("a").failed("c")
    reply = run.ordered(workflow.take_reply, message_type="stock.was.released", data={})
    assert run.so(reply).state.status == "compensated"
    by_hand = run.ordered(workflow.complete_by_hand, step_id="a.compensation", result={})
    assert run.so(by_hand).state.status == "compensated"
    skip = run.ordered(workflow.skip_step, step_id="a.compensation", reason="done by phone")
    assert run.so(skip).state.status == "compensated"


def test_a_compensation_that_is_tried_again_does_not_take_what_waited_for_its_next_try_along() -> None:
    run = Run.of(undoable("a"), step("b", retry=ONCE_MORE), step("c", critical=True))
    run = run.completed("a").failed("b", "c", "a.compensation")
    assert run.state.status == "compensation_failed"
    assert dispatched(run.ordered(workflow.retry).happened()) == [("a.compensation", 2)]


def stuck_saga() -> Run:
    """What undoes ``b`` has failed; ``a`` is still to be undone."""
    return failed_saga().failed("b.compensation")


@pytest.mark.parametrize(
    ("order", "how"),
    [
        (workflow.skip_step, {"reason": "undone by phone"}),
        (workflow.complete_by_hand, {"result": {"by": "phone"}}),
    ],
)
def test_a_compensation_that_has_failed_is_settled_by_a_person_and_the_rest_is_undone(
    order: Any, how: Any
) -> None:
    run = stuck_saga()
    run = run.so(run.ordered(order, step_id="b.compensation", **how))
    assert (run.state.status, run.under_way) == ("compensating", ["a.compensation"])
    run = run.failed("a.compensation")
    assert run.state.status == "compensation_failed"
    run = run.so(run.ordered(order, step_id="a.compensation", **how))
    assert (run.state.status, run.under_way) == ("compensated", [])
    sent = [name for name, _ in dispatched(run.events) if name.endswith("compensation")]
    assert sent == ["b.compensation", "a.compensation"], "neither is sent out again"


def test_a_compensation_that_has_failed_is_tried_again_alone() -> None:
    run = stuck_saga()
    again = run.ordered(workflow.retry_step, step_id="b.compensation", reason="it is back")
    assert dispatched(again.happened()) == [("b.compensation", 2)]
    run = run.so(again)
    assert (run.state.status, run.state.attempt) == ("compensating", 1)
    assert run.completed("b.compensation", "a.compensation").state.status == "compensated"
    assert run.failed("b.compensation").state.status == "compensation_failed"


def test_a_compensation_that_waits_for_its_next_try_is_tried_now() -> None:
    patient = Work(retry=ONCE_MORE)
    run = Run.of(step("a", compensation=patient), step("c", after=["a"], critical=True))
    run = run.completed("a").failed("c", "a.compensation")
    now = run.ordered(workflow.retry_step, step_id="a.compensation")
    assert dispatched(now.happened()) == [("a.compensation", 2)]
    assert run.so(now).completed("a.compensation").state.status == "compensated"


def test_of_two_compensations_that_have_failed_the_other_is_still_to_be_settled() -> None:
    run = Run.of(undoable("a"), undoable("b"), step("c", critical=True)).completed("a").failed("c")
    run = run.failed("a.compensation").completed("b").failed("b.compensation")
    assert run.state.status == "compensation_failed"
    skip = run.ordered(workflow.skip_step, step_id="b.compensation", reason="undone by phone")
    *_, ended = skip.happened()
    assert isinstance(ended, CompensationFailed)
    assert ended.failed_step == "a.compensation"


def test_only_compensations_are_settled_while_everything_is_undone_and_only_those_that_are_not_done() -> None:
    run = stuck_saga()
    run.ordered(workflow.retry_step, step_id="c").then_refused(WorkflowNotRunning)
    run.ordered(workflow.skip_step, step_id="c", reason="x").then_refused(WorkflowNotRunning)
    run = run.so(run.ordered(workflow.retry)).completed("b.compensation").failed("a.compensation")
    run.ordered(workflow.retry_step, step_id="b.compensation").then_refused(StepNotOpen)
    run.ordered(workflow.complete_by_hand, step_id="b.compensation", result=1).then_refused(StepNotOpen)
    run = run.so(run.ordered(workflow.skip_step, step_id="a.compensation", reason="x"))
    run.ordered(workflow.retry_step, step_id="a.compensation").then_refused(WorkflowNotRunning)
