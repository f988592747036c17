"""Answers that come once nobody waits for them: what they say is done is undone."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import StepDefinition, Work
from domain.workflow import StepDispatched
from tests.domain.plans import ONCE_MORE, Run, step
from tests.domain.scenario import When

RESERVED = {"type": "stock.was.reserved"}
REQUEST = {"request": "stock.reserve.requested", "replies": [RESERVED]}
UNDO = Work(parameters={"request": "stock.release.requested"}, input={"what": "results.reserve.number"})


def reserve(name: str = "reserve", **how: Any) -> StepDefinition:
    return step(name, **{"parameters": REQUEST, "compensation": UNDO, "timeout_seconds": 60, **how})


def reserved(run: Run, **data: Any) -> When[Any]:
    return run.ordered(workflow.take_reply, message_type="stock.was.reserved", data={"number": 7, **data})


def timed_out(run: Run, name: str = "reserve", minutes: float = 2) -> Run:
    attempt = run.state.steps[name].attempt
    return run.so(run.ordered(workflow.time_out_step, minutes=minutes, step_type=name, attempt=attempt))


def cancelled(run: Run) -> Run:
    return run.so(run.ordered(workflow.cancel, reason="off"))


def undone(run: Run) -> list[Any]:
    """What was handed out to be undone."""
    sent = [each for each in run.events if isinstance(each, StepDispatched) and "comp" in each.step_type]
    return [each.input["what"] for each in sent]


def test_an_answer_to_a_cancelled_workflow_is_undone_whether_it_names_the_step_or_not() -> None:
    run = cancelled(Run.of(reserve(), step("pay", after=["reserve"])))
    for named in ({}, {"stepId": run.state.steps["reserve"].step_id}):
        late = run.so(reserved(run, **named))
        assert (late.state.status, undone(late)) == ("compensating", [7])
        reserved(late, **named).then_nothing()
        assert late.completed("reserve.compensation").state.status == "compensated"


def test_so_is_one_to_a_step_whose_time_was_up() -> None:
    run = timed_out(Run.of(reserve(critical=True)))
    assert run.state.status == "failed"
    for named in ({}, {"stepId": run.state.steps["reserve"].step_id}):
        assert undone(run.so(reserved(run, **named))) == [7]


def test_so_is_one_to_a_step_that_was_left_out_while_it_was_asked() -> None:
    run = Run.of(reserve(), step("pay", after=["reserve"]))
    run = run.so(run.ordered(workflow.skip_step, step_id="reserve", reason="slow"))
    reserved(run).then_nothing()
    assert undone(cancelled(run).so(reserved(cancelled(run)))) == [7]


def test_a_late_answer_is_undone_after_the_rest_is() -> None:
    run = Run.of(reserve("reserve"), reserve("other"), step("pay", critical=True)).completed("other")
    run = timed_out(run).failed("pay").completed("other.compensation")
    assert run.state.status == "compensated"
    assert run.so(reserved(run)).under_way == ["reserve.compensation"]


def test_while_a_compensation_has_failed_a_late_answer_is_undone_all_the_same() -> None:
    run = Run.of(reserve("reserve"), reserve("other"), step("pay", critical=True)).completed("other")
    run = timed_out(run).failed("pay", "other.compensation")
    assert run.state.status == "compensation_failed"
    run = run.so(reserved(run))
    assert (run.state.status, run.under_way) == ("compensating", ["reserve.compensation"])
    assert run.completed("reserve.compensation").state.status == "compensation_failed"


def test_who_still_waits_goes_before_who_waits_no_more() -> None:
    run = Run.of(reserve("first"), reserve("reserve", timeout_seconds=None), step("pay", critical=True))
    run = timed_out(run, "first").failed("pay")
    run = run.so(reserved(run))
    assert (run.status("first"), run.status("reserve")) == ("failed", "completed")
    assert run.so(reserved(run)).status("first") == "completed"


def test_a_step_that_was_to_be_done_again_and_is_not_is_undone_too() -> None:
    run = Run.of(step("before"), reserve(after=["before"]), step("pay", after=["reserve"]))
    run = cancelled(run.completed("before"))
    run = run.so(run.ordered(workflow.retry, from_step="before"))
    assert run.status("reserve") == "pending"
    reserved(run).then_nothing()
    run = cancelled(run)
    assert undone(run.so(reserved(run))) == [7]


@pytest.mark.parametrize("outcome", ["reported", "rejected"])
def test_whoever_has_said_that_it_failed_has_nothing_to_be_undone(outcome: Any) -> None:
    reserved(Run.of(reserve(critical=True)).failed("reserve", reason=outcome)).then_nothing()


def test_a_late_answer_may_be_told_by_what_it_is_about() -> None:
    about = {**REQUEST, "correlation": {"item": "data.item"}}
    run = cancelled(Run.of(reserve(parameters=about, input={"item": "'x'"})))
    reserved(run, item="y").then_nothing()
    assert undone(run.so(reserved(run, item="x"))) == [7]


def test_a_late_answer_changes_nothing_while_the_workflow_goes_on_or_once_it_is_completed() -> None:
    run = timed_out(Run.of(reserve(), step("pay")))
    reserved(run).then_nothing()
    run = run.completed("pay")
    assert run.state.status == "completed"
    reserved(run).then_nothing()


def test_a_late_answer_changes_nothing_where_nothing_could_undo_it() -> None:
    reserved(cancelled(Run.of(reserve(compensation=None)))).then_nothing()


def test_a_late_answer_to_an_attempt_before_the_last_changes_nothing_where_it_says_so() -> None:
    run = timed_out(Run.of(reserve(critical=True, retry=ONCE_MORE)))
    run = timed_out(run.so(run.tried_again("reserve", minutes=4)), minutes=6)
    assert run.state.status == "failed"
    for attempt, happens in ((1, False), (2, True)):
        late = run.ordered(workflow.complete_step, step_type="reserve", result={"number": 7}, attempt=attempt)
        assert bool(late.happened()) == happens


def test_a_late_report_of_failure_changes_nothing() -> None:
    run = timed_out(Run.of(reserve(critical=True)))
    run.failing("reserve").then_nothing()
    cancelled(Run.of(reserve())).failing("reserve").then_nothing()
