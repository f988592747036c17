"""Steps that are done again with ``fromStep``: what they did before is still there, and undone once."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import Retry, StepDefinition, Work
from domain.workflow import StepDispatched
from tests.domain.plans import ONCE_MORE, Run, step

UNDO = Work(input={"what": "results.reserve.number", "price": "results.price.amount"})


def saga(**how: Any) -> tuple[StepDefinition, ...]:
    """A price is found, that much is reserved, and paid for."""
    return (
        step("price"),
        step("reserve", after=["price"], compensation=UNDO, **how),
        step("pay", after=["reserve"], critical=True),
    )


def completed_once(**how: Any) -> Run:
    run = Run.of(*saga(**how)).completed("price", amount=5).completed("reserve", number=7).completed("pay")
    assert run.state.status == "completed"
    return run


def again(run: Run, from_step: str = "price") -> Run:
    return run.so(run.ordered(workflow.retry, from_step=from_step))


def cancelled(run: Run) -> Run:
    return run.so(run.ordered(workflow.cancel, reason="off"))


def undone(run: Run) -> list[tuple[Any, Any]]:
    """What was handed out to be undone."""
    sent = [each for each in run.events if isinstance(each, StepDispatched) and "comp" in each.step_type]
    return [(each.input["what"], each.input["price"]) for each in sent]


@pytest.mark.parametrize("from_step", ["price", "reserve"])
def test_what_was_done_before_is_undone_where_the_workflow_is_cancelled_meanwhile(from_step: str) -> None:
    run = cancelled(again(completed_once(), from_step))
    assert (run.state.status, undone(run)) == ("compensating", [(7, 5)])
    assert run.completed("reserve.compensation").state.status == "compensated"


def test_so_it_is_where_the_step_fails_this_time() -> None:
    run = again(completed_once(critical=True), "reserve").failed("reserve")
    assert (run.state.status, undone(run)) == ("compensating", [(7, 5)])


def test_so_it_is_where_the_step_is_left_out_this_time() -> None:
    run = again(completed_once(), "reserve")
    run = run.so(run.ordered(workflow.skip_step, step_id="reserve", reason="it is reserved"))
    assert undone(run.failed("pay")) == [(7, 5)]


def test_so_it_is_in_the_execution_after_next() -> None:
    run = again(completed_once(), "reserve").failed("reserve").completed("pay")
    assert run.state.status == "completed"
    assert undone(cancelled(again(run))) == [(7, 5)]


def test_what_is_completed_again_is_undone_once_with_its_last_result() -> None:
    run = again(completed_once()).completed("price", amount=6).completed("reserve", number=8).failed("pay")
    run = run.completed("reserve.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [(8, 6)])


def test_conditions_and_inputs_of_steps_know_nothing_of_what_was_found_before() -> None:
    assert again(completed_once()).state.results == {}


def test_an_answer_that_comes_after_what_was_done_before_is_undone_is_undone_too() -> None:
    run = cancelled(again(completed_once(), "reserve")).completed("reserve.compensation")
    assert run.state.status == "compensated"
    run = run.completed("reserve", number=8)
    assert (run.state.status, undone(run)) == ("compensating", [(7, 5), (8, 5)])
    assert run.completed("reserve.compensation").state.status == "compensated"


def test_an_answer_that_comes_while_what_was_done_before_is_undone_is_undone_after_it() -> None:
    run = cancelled(again(completed_once(), "reserve"))
    run = run.completed("reserve", number=8)
    assert undone(run) == [(7, 5)]
    run = run.completed("reserve.compensation")
    assert (run.state.status, undone(run)) == ("compensating", [(7, 5), (8, 5)])
    assert run.completed("reserve.compensation").state.status == "compensated"


def test_where_the_undoing_fails_its_next_try_is_for_that_answer() -> None:
    undo = Work(input={"what": "results.reserve.number", "price": "`5`"}, retry=ONCE_MORE)
    run = Run.of(step("reserve", compensation=undo), step("pay", critical=True))
    run = cancelled(again(run.completed("reserve", number=7).completed("pay"), "reserve"))
    run = run.completed("reserve", number=8).failed("reserve.compensation")
    run = run.so(run.tried_again("reserve.compensation", minutes=4)).completed("reserve.compensation")
    assert (run.state.status, undone(run)) == ("compensated", [(7, 5), (8, 5)])


def test_an_answer_to_the_try_before_does_not_undo_what_was_done_since() -> None:
    undo = Work(input={"what": "results.reserve.number", "price": "`5`"}, retry=ONCE_MORE)
    run = Run.of(step("reserve", compensation=undo), step("pay", critical=True))
    run = cancelled(again(run.completed("reserve", number=7).completed("pay"), "reserve"))
    run = run.failed("reserve.compensation", reason="timed_out").completed("reserve", number=8)
    run = run.completed("reserve.compensation")
    assert (run.state.status, undone(run)) == ("compensating", [(7, 5), (8, 5)])


def test_what_is_asked_for_once_more_is_told_from_what_was_asked_before_and_its_tries_are_not() -> None:
    undo = Work(input={"what": "`7`", "price": "`5`"}, retry=Retry(attempts=9, delay_seconds=60, jitter=0))
    run = Run.of(step("reserve", compensation=undo), step("pay", critical=True))
    run = cancelled(again(run.completed("reserve").completed("pay"), "reserve"))
    run = run.failed("reserve.compensation")
    run = run.so(run.tried_again("reserve.compensation", minutes=4)).completed("reserve")
    run = run.completed("reserve.compensation").failed("reserve.compensation")
    run = run.so(run.tried_again("reserve.compensation", attempt=3, minutes=9))
    sent = [each for each in run.events if isinstance(each, StepDispatched) and "comp" in each.step_type]
    assert [each.done_again for each in sent] == [0, 0, 1, 1]


def test_it_is_undone_in_the_order_in_which_it_was_last_done() -> None:
    undo = Work(input={})
    run = Run.of(step("a", compensation=undo), step("b", compensation=undo), step("c", critical=True))
    run = again(run.completed("a", "b", "c"), "a").completed("a")
    assert run.state.status == "completed"
    assert again(run, "c").failed("c").under_way == ["a.compensation"]
