"""``map``: a step for each element, so many at a time."""

import cProfile
import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from domain import workflow
from domain.definition import StepDefinition, Work
from domain.errors import StepNotOpen
from domain.workflow import StepCompleted, StepDispatched, StepFailed, WorkflowCompleted, evolve
from domain.workflow.map_items import MOST_ELEMENTS
from tests.builders import NOW, after
from tests.domain.plans import ONCE_MORE, Run, cancelled, dispatched, map_step, step

DEALS = {"deals": ["x", "y", "z"]}


def test_so_many_items_as_may_be_are_begun_and_each_gets_its_element() -> None:
    run = Run.of(map_step("calls", at_once=2), input=DEALS)
    assert run.under_way == ["calls", "calls[0]", "calls[1]"]
    items = [each for each in run.events if isinstance(each, StepDispatched)]
    assert [(each.item, each.input) for each in items] == [
        (0, {"deal": "x", "place": 0}),
        (1, {"deal": "y", "place": 1}),
    ]
    assert dispatched(run.completing("calls[1]").happened()) == [("calls[2]", 1)]


def test_no_turn_begins_more_items_than_any_store_takes_in_one_append() -> None:
    run = Run.of(map_step("calls", at_once=120), input={"deals": list(range(200))})
    begun = [len(dispatched(run.events))]
    for number in range(3):
        turn = run.completing(f"calls[{number}]")
        begun.append(len(dispatched(turn.happened())))
        run = run.so(turn)
    assert begun == [80, 41, 1, 1]


def test_the_results_are_in_the_order_of_the_elements() -> None:
    run = Run.of(map_step("calls"), input=DEALS).completed("calls[2]", "calls[0]")
    *_, ended = run.completing("calls[1]").happened()
    assert isinstance(ended, WorkflowCompleted)
    assert ended.results == {"calls": [{"of": "calls[0]"}, {"of": "calls[1]"}, {"of": "calls[2]"}]}


def test_nothing_to_map_over_is_done_at_once() -> None:
    run = Run.of(map_step("calls"), step("after", after=["calls"]), input={"deals": []})
    assert run.statuses == {"calls": "completed", "after": "running"}
    assert run.state.results == {"calls": []}


@pytest.mark.parametrize(
    ("deals", "said"),
    [
        (None, "input.deals: finds nothing (null), but must find a list"),
        (5, "input.deals: finds a number, but must find a list"),
        (True, "input.deals: finds true or false, but must find a list"),
        ("text", "input.deals: finds a string, but must find a list"),
        ({"a": 1}, "input.deals: finds an object, but must find a list"),
        (list(range(MOST_ELEMENTS + 1)), "10001 elements are too many: at most 10000 can be mapped over"),
    ],
)
def test_what_cannot_be_mapped_over_fails_the_step(deals: object, said: str) -> None:
    run = Run.of(map_step("calls", critical=True), input={"deals": deals})
    assert run.state.status == "failed"
    (failed,) = [each for each in run.events if isinstance(each, StepFailed)]
    assert (failed.reason, failed.error) == ("rejected", said)


def test_a_failed_item_fails_the_step_once_more_have_than_it_tolerates() -> None:
    run = Run.of(map_step("calls", at_once=3, tolerate=1, critical=True), input={"deals": list(range(5))})
    run = run.failed("calls[0]")
    assert run.under_way == ["calls", "calls[1]", "calls[2]", "calls[3]"]
    run = run.failed("calls[2]")
    assert (run.status("calls"), run.state.status) == ("failed", "failed")
    assert run.state.steps["calls"].error == "2 of 5 items failed; calls[0]: no"
    tolerated = Run.of(map_step("calls", tolerate=1), input=DEALS).failed("calls[1]")
    tolerated = tolerated.completed("calls[0]", "calls[2]")
    assert tolerated.state.results == {"calls": [{"of": "calls[0]"}, None, {"of": "calls[2]"}]}


def test_a_retry_does_only_those_items_that_are_not_completed() -> None:
    run = Run.of(map_step("calls", at_once=2, critical=True), input={"deals": list(range(5))})
    run = run.completed("calls[0]").failed("calls[1]")
    assert run.state.status == "failed"
    run = run.completed("calls[2]")
    run = run.so(run.ordered(workflow.retry))
    assert run.under_way == ["calls", "calls[1]", "calls[3]"]
    assert run.state.steps["calls[1]"].attempt == 2
    run = run.completed("calls[3]", "calls[1]", "calls[4]")
    assert run.state.status == "completed"
    completions = [each.step_type for each in run.events if isinstance(each, StepCompleted)]
    assert sorted(completions) == ["calls", *(f"calls[{number}]" for number in range(5))]


def test_a_retry_does_not_ask_twice_for_an_item_that_is_still_waited_for() -> None:
    run = Run.of(map_step("calls", at_once=2, critical=True), input={"deals": list(range(3))}).failed(
        "calls[0]"
    )
    again = run.ordered(workflow.retry)
    assert dispatched(again.happened()) == [("calls[0]", 2)]
    run = run.so(again).completed("calls[1]", "calls[0]", "calls[2]")
    assert run.state.status == "completed"


def test_an_answer_between_two_that_are_done_again_leaves_no_item_out() -> None:
    run = Run.of(map_step("m", at_once=2, tolerate=1, critical=True), input={"deals": list(range(5))})
    run = run.failed("m[0]", "m[1]")
    assert run.state.status == "failed"
    run = run.so(run.ordered(workflow.retry)).completed("m[2]", "m[0]", "m[1]", "m[3]", "m[4]")
    assert run.state.results == {"m": [{"of": f"m[{number}]"} for number in range(5)]}


def test_items_go_on_after_a_retry_of_a_workflow_that_failed_elsewhere() -> None:
    run = Run.of(map_step("m", at_once=1), step("a", critical=True), input={"deals": [1, 2]}).failed("a")
    run = run.completed("m[0]")
    run = run.so(run.ordered(workflow.retry))
    assert run.under_way == ["a", "m", "m[1]"]


def test_a_pause_that_was_over_while_the_workflow_had_failed_is_made_up_for() -> None:
    patient = Work(retry=ONCE_MORE)
    run = Run.of(map_step("m", each=patient), step("a", critical=True), input={"deals": [1]})
    run = run.failed("m[0]", "a")
    run = run.held_back("m[0]", minutes=3)
    assert dispatched(run.ordered(workflow.retry).happened()) == [("m[0]", 2), ("a", 2)]


def test_the_items_of_a_skipped_step_are_let_go() -> None:
    run = Run.of(map_step("m", at_once=2, each=Work(retry=ONCE_MORE)), step("z"), input=DEALS).failed("m[0]")
    events = run.ordered(workflow.skip_step, step_id="m", reason="off").happened()
    assert cancelled(events) == ["m", "m[0]", "m[1]"]


def test_other_elements_in_a_retry_are_all_done_anew() -> None:
    run = (
        Run.of(map_step("calls", at_once=2, critical=True), input=DEALS)
        .completed("calls[0]")
        .failed("calls[1]")
    )
    run = run.so(run.ordered(workflow.retry, from_step="calls", input={"deals": ["p", "q"]}))
    assert run.under_way == ["calls", "calls[0]", "calls[1]"]
    assert run.completed("calls[0]", "calls[1]").state.results == {
        "calls": [{"of": "calls[0]"}, {"of": "calls[1]"}]
    }


def test_an_item_is_tried_again_by_its_own_rule_and_keeps_its_place() -> None:
    run = Run.of(map_step("calls", at_once=1, each=Work(retry=ONCE_MORE)), input=DEALS).failed("calls[0]")
    assert run.under_way == ["calls"]
    run = run.so(run.tried_again("calls[0]"))
    assert run.under_way == ["calls", "calls[0]"]
    run = run.completed("calls[0]", "calls[1]", "calls[2]")
    assert run.state.status == "completed"


def test_a_map_step_that_is_out_of_time_lets_go_of_its_items() -> None:
    run = Run.of(map_step("calls", at_once=2, timeout_seconds=60), input=DEALS)
    events = run.ordered(workflow.time_out_step, minutes=1, step_type="calls", attempt=1).happened()
    assert cancelled(events) == ["calls[0]", "calls[1]"]
    assert isinstance(events[-1], WorkflowCompleted)


def test_a_skipped_item_counts_as_done_without_a_result() -> None:
    run = Run.of(map_step("calls"), input=DEALS).completed("calls[0]").failed("calls[1]")
    assert run.status("calls") == "failed"
    run = Run.of(map_step("calls", tolerate=2), input=DEALS).completed("calls[0]").failed("calls[1]")
    run = run.so(run.ordered(workflow.skip_step, step_id="calls[1]", reason="gone"))
    items = run.state.steps["calls"].items
    assert items is not None
    assert (items.open, items.failed) == (1, 0)
    assert run.completed("calls[2]").state.status == "completed"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Without a collection of garbage, which calls whoever listens to it, as hypothesis does."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_a_step_costs_the_same_however_many_are_done() -> None:
    """Of ten thousand items, an answer among the last takes as many calls of functions as among the first."""
    state = Run.of(map_step("calls", at_once=10), input={"deals": list(range(MOST_ELEMENTS))}).state
    early, late = 1_000, MOST_ELEMENTS - 100
    profiles = {early: cProfile.Profile(), late: cProfile.Profile()}
    for number in range(MOST_ELEMENTS):
        with uninterrupted(), profiles.get(number, nullcontext()):
            for event in workflow.complete_step(
                state, step_type=f"calls[{number}]", result=number, now=after(minutes=1)
            ):
                state = evolve(state, event)
    calls = {at: sum(entry.callcount for entry in profile.getstats()) for at, profile in profiles.items()}
    assert state.status == "completed"
    assert state.results["calls"] == list(range(MOST_ELEMENTS))
    assert calls[late] == calls[early] > 0


def test_a_past_of_ten_thousand_items_can_be_folded_again() -> None:
    state = Run.of(map_step("calls", at_once=10), input={"deals": [{"n": n} for n in range(500)]}).state
    events = list(
        Run.of(map_step("calls", at_once=10), input={"deals": [{"n": n} for n in range(500)]}).events
    )
    for number in range(500):
        new = workflow.complete_step(state, step_type=f"calls[{number}]", result=number, now=NOW)
        for event in new:
            state = evolve(state, event)
        events += new
    assert Run(evolve, *events).state == state


def test_a_retry_with_other_elements_hands_out_nothing_of_the_old_ones_and_lets_go_of_them() -> None:
    patient = Work(input={"deal": "item"}, retry=ONCE_MORE)
    run = Run.of(
        map_step("m", at_once=2, each=patient, timeout_seconds=60), step("z"), input={"deals": [1, 2]}
    )
    run = run.failed("m[0]").so(run.failed("m[0]").ordered(workflow.cancel, reason="wrong deals"))
    assert cancelled(run.events) == ["m", "m[0]", "m[1]", "z"]
    run = run.so(run.ordered(workflow.retry, from_step="m", input={"deals": [7]}))
    sent = [each.input for each in run.events if isinstance(each, StepDispatched) and each.item is not None]
    assert sent == [{"deal": 1}, {"deal": 2}, {"deal": 7}]


def test_items_that_run_beside_a_failed_map_are_let_go_when_it_is_done_again_from_there() -> None:
    run = Run.of(map_step("m", at_once=2, critical=True), input={"deals": [1, 2]}).failed("m[0]")
    events = run.ordered(workflow.retry, from_step="m", input={"deals": [7, 8]}).happened()
    assert cancelled(events) == ["m[1]"]
    assert dispatched(events) == [("m[0]", 2), ("m[1]", 2)]


def test_an_item_is_left_alone_once_its_map_step_has_ended_without_it() -> None:
    run = Run.of(map_step("m", at_once=2, tolerate=1), step("z"), input={"deals": [1, 2]})
    run = run.failed("m[0]").completed("m[1]")
    assert run.statuses == {"m": "completed", "z": "running"}
    item = run.state.steps["m[0]"].step_id
    run.ordered(workflow.retry_step, step_id=item).then_refused(StepNotOpen)
    run.ordered(workflow.complete_by_hand, step_id=item, result=1).then_refused(StepNotOpen)
    run.ordered(workflow.skip_step, step_id=item, reason="off").then_refused(StepNotOpen)


def test_items_of_a_map_step_that_failed_without_them_are_let_go_with_the_workflow() -> None:
    run = Run.of(map_step("m", at_once=2), step("z"), input={"deals": [1, 2]}).failed("m[0]")
    assert run.statuses == {"m": "failed", "z": "running"}
    events = run.completing("z").happened()
    assert cancelled(events) == ["m[1]"]
    assert isinstance(events[-1], WorkflowCompleted)


def test_a_map_whose_last_item_ends_during_a_pause_ends_with_it_and_begins_nothing() -> None:
    run = Run.of(map_step("m", at_once=2), step("z", after=["m"]), input=DEALS).completed("m[0]")
    run = run.so(run.ordered(workflow.pause, reason="x"))
    assert dispatched(run.completing("m[1]").happened()) == []
    run = run.completed("m[1]", "m[2]")
    assert (run.state.status, run.statuses) == ("paused", {"m": "completed", "z": "pending"})
    assert dispatched(run.ordered(workflow.resume).happened()) == [("z", 1)]


def test_a_map_of_which_too_many_items_fail_during_a_pause_fails_then() -> None:
    run = Run.of(map_step("m", at_once=2, critical=True), input=DEALS)
    run = run.so(run.ordered(workflow.pause, reason="x")).failed("m[0]")
    assert (run.state.status, run.status("m")) == ("paused", "failed")
    assert run.so(run.ordered(workflow.resume)).state.status == "failed"


def test_items_that_a_pause_held_back_are_begun_after_it() -> None:
    run = Run.of(map_step("m", at_once=1), input=DEALS)
    run = run.so(run.ordered(workflow.pause, reason="x")).completed("m[0]")
    assert (run.status("m"), run.under_way) == ("running", ["m"])
    assert dispatched(run.ordered(workflow.resume).happened()) == [("m[1]", 1)]


def length_of_each(**how: Any) -> StepDefinition:
    """Numbers have no length: the input of an item cannot be made where it is one."""
    return map_step("m", each=Work(input={"n": "length(item)"}), **how)


def gone_on(run: Run) -> tuple[Run, list[int]]:
    """Each item that is due again is tried again; and the events of each turn, the first included."""
    events = [len(run.events)]
    while due := [each for each in run.state.steps.values() if each.status == "retrying"]:
        (item,) = due
        turn = run.tried_again(item.step_type, attempt=item.attempt, minutes=0)
        events.append(len(turn.happened()))
        run = run.so(turn)
    return run, events


def test_no_turn_goes_through_more_items_without_an_input_than_any_store_takes_in_one_append() -> None:
    run = Run.of(length_of_each(at_once=5, tolerate=1000), input={"deals": [5] * 300})
    assert run.status("m") == "running"
    run, events = gone_on(run)
    assert max(events) < 98
    assert len(events) < 9
    assert (run.state.status, run.state.results) == ("completed", {"m": [None] * 300})
    assert run.state.steps["m[7]"].error == run.state.steps["m[299]"].error


def test_items_that_come_after_many_without_an_input_are_done() -> None:
    run = Run.of(length_of_each(at_once=5, tolerate=100), input={"deals": [5] * 95 + ["abc"]})
    run, _ = gone_on(run)
    assert run.under_way == ["m", "m[95]"]
    assert run.completed("m[95]").state.results == {"m": [*[None] * 95, {"of": "m[95]"}]}


def test_a_map_of_which_more_items_fail_than_it_tolerates_fails_also_in_another_turn() -> None:
    run, _ = gone_on(Run.of(length_of_each(tolerate=60), input={"deals": [5] * 300}))
    assert run.status("m") == "failed"
    error = run.state.steps["m[0]"].error
    assert run.state.steps["m"].error == f"61 of 300 items failed; m[0]: {error}"


def test_while_the_workflow_is_paused_the_rest_of_such_items_wait() -> None:
    run = Run.of(length_of_each(tolerate=300), input={"deals": [5] * 300})
    run = run.so(run.ordered(workflow.pause, reason="x", minutes=0))
    (item,) = [each for each in run.state.steps.values() if each.status == "retrying"]
    run = run.held_back(item.step_type, attempt=item.attempt, minutes=0)
    run = run.so(run.ordered(workflow.resume, minutes=0))
    assert gone_on(run)[0].state.status == "completed"
