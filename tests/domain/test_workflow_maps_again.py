"""The items of a ``map`` step that is done again: all with ``fromStep``, the rest by a plain retry."""

from typing import Any

from domain import workflow
from domain.definition import StepDefinition, Work
from domain.workflow import StepDispatched
from tests.domain.plans import Run, cancelled, dispatched, map_step, step

TWO = {"deals": ["x", "y"], "margin": 1}


def prices(**how: Any) -> StepDefinition:
    """Each deal's price, by the rate and the margin."""
    each = Work(input={"deal": "item", "rate": "results.rate.r", "margin": "input.margin"})
    return map_step("price", after=["rate"], each=each, **how)


def priced(**how: Any) -> Run:
    """A rate was found, and every price by it."""
    run = Run.of(step("rate"), prices(**how), step("c", after=["price"], critical=True), input=TWO)
    return run.completed("rate", r=1.1).completed("price[0]", "price[1]", p=1)


def again(run: Run, from_step: str, **how: Any) -> Run:
    return run.so(run.ordered(workflow.retry, from_step=from_step, **how))


def asked(run: Run) -> list[tuple[str, Any, Any]]:
    """The items that were handed out, each with its rate and margin."""
    sent = [each for each in run.events if isinstance(each, StepDispatched) and each.item is not None]
    return [(each.input["deal"], each.input["rate"], each.input["margin"]) for each in sent]


def test_from_a_step_before_it_on_all_its_items_are_done_again_with_what_was_found_anew() -> None:
    run = again(priced().completed("c"), "rate", input={**TWO, "margin": 9}).completed("rate", r=2.2)
    assert asked(run)[2:] == [("x", 2.2, 9), ("y", 2.2, 9)]
    run = run.completed("price[1]", p=3).completed("price[0]", p=2)
    assert run.state.results["price"] == [{"p": 2}, {"p": 3}]


def test_from_the_step_itself_on_so_they_are_also_where_some_had_failed_or_were_left_out() -> None:
    run = Run.of(step("rate"), prices(critical=True, at_once=1), input=TWO | {"deals": ["x", "y", "z"]})
    run = run.completed("rate", r=1).completed("price[0]")
    run = run.so(run.ordered(workflow.skip_step, step_id="price[1]", reason="gone")).failed("price[2]")
    run = again(run, "price")
    assert run.under_way == ["price", "price[0]"]
    run = run.completed("price[0]", "price[1]", "price[2]")
    assert run.state.results["price"] == [{"of": f"price[{number}]"} for number in range(3)]


def test_who_is_at_an_item_is_told_and_it_is_asked_for_anew() -> None:
    run = Run.of(step("rate"), prices(), step("c", critical=True), input=TWO)
    run = run.completed("rate", r=1).completed("price[0]").failed("c")
    turn = run.ordered(workflow.retry, from_step="price")
    assert cancelled(turn.happened()) == ["price", "price[1]"]
    assert dispatched(turn.happened()) == [("price[0]", 2), ("price[1]", 2), ("c", 2)]


def test_where_the_step_before_fails_this_time_a_plain_retry_still_does_all_of_them() -> None:
    run = Run.of(step("rate", critical=True), prices(), input=TWO).completed("rate", r=1)
    run = again(run.completed("price[0]", "price[1]"), "rate").failed("rate")
    run = run.so(run.ordered(workflow.retry)).completed("rate", r=2)
    assert asked(run)[2:] == [("x", 2, 1), ("y", 2, 1)]


def test_once_it_has_begun_again_a_plain_retry_keeps_what_has_been_done_since() -> None:
    run = again(priced(critical=True).completed("c"), "rate").completed("rate", r=2)
    run = run.completed("price[0]", p=7).failed("price[1]")
    run = run.so(run.ordered(workflow.retry))
    assert asked(run)[4:] == [("y", 2, 1)]
    assert run.completed("price[1]", p=8).state.results["price"] == [{"p": 7}, {"p": 8}]


def test_a_plain_retry_keeps_completed_items_as_it_keeps_steps_also_where_one_before_is_done_again() -> None:
    run = Run.of(step("rate"), prices(critical=True), input=TWO).failed("rate")
    run = run.completed("price[0]").failed("price[1]")
    turn = run.ordered(workflow.retry, input={**TWO, "margin": 9})
    assert dispatched(turn.happened()) == [("rate", 2)]
    run = run.so(turn).completed("rate", r=1)
    assert asked(run)[2:] == [("y", 1, 9)]


def test_a_map_that_had_failed_elsewhere_does_what_it_lacks() -> None:
    other = map_step("other", critical=True)
    run = Run.of(step("rate"), prices(), other, input=TWO).completed("other[0]").failed("other[1]")
    assert dispatched(again(run, "rate").events)[-2:] == [("rate", 2), ("other[1]", 2)]


UNDO = Work(input={"of": "results.price"})


def undone(run: Run) -> list[Any]:
    """What was handed out to be undone."""
    sent = [each for each in run.events if isinstance(each, StepDispatched) and "comp" in each.step_type]
    return [each.input["of"] for each in sent]


def stopped(run: Run) -> Run:
    return run.so(run.ordered(workflow.cancel, reason="off"))


def test_what_the_items_did_before_is_undone_where_they_are_not_done_again() -> None:
    run = again(priced(compensation=UNDO, at_once=1).completed("c"), "price")
    assert undone(stopped(run)) == [[{"p": 1}, {"p": 1}]]
    run = stopped(run.completed("price[0]", p=2))
    assert (run.state.status, undone(run)) == ("compensating", [[{"p": 2}, {"p": 1}]])


def test_so_it_is_of_a_map_that_never_came_to_its_end() -> None:
    run = Run.of(step("rate"), prices(compensation=UNDO, critical=True, at_once=1), input=TWO)
    run = again(run.completed("rate").completed("price[0]", p=1).failed("price[1]"), "price")
    assert undone(stopped(run)) == [[{"p": 1}, None]]
    run = run.completed("price[0]", p=2)
    assert undone(stopped(run)) == [[{"p": 2}, None]]


def test_so_it_is_of_an_item_whose_failure_is_tolerated_this_time() -> None:
    run = again(priced(compensation=UNDO, tolerate=1).completed("c"), "price")
    run = run.failed("price[0]").completed("price[1]", p=2).failed("c")
    assert undone(run) == [[{"p": 1}, {"p": 2}]]
    assert run.completed("price.compensation").state.status == "compensated"


def test_an_answer_that_comes_while_what_its_item_did_before_is_undone_is_undone_after_it() -> None:
    run = stopped(again(priced(compensation=UNDO).completed("c"), "price"))
    run = run.completed("price[1]", p=2)
    assert undone(run) == [[{"p": 1}, {"p": 1}]]
    run = run.completed("price.compensation")
    assert (run.state.status, undone(run)[1:]) == ("compensating", [[None, {"p": 2}]])
    run = run.completed("price.compensation")
    assert run.state.status == "compensated"
    assert undone(run.completed("price[0]", p=3))[2:] == [[{"p": 3}, None]]


def test_with_other_elements_what_the_items_did_before_is_nobodys() -> None:
    run = again(priced(compensation=UNDO).completed("c"), "price", input={**TWO, "deals": ["y", "x"]})
    assert undone(stopped(run.completed("price[0]", p=2))) == [[{"p": 2}, None]]
