"""The next try of a step is due while nothing goes out: its timer comes once, and so that is kept."""

from typing import Any

import pytest

from domain import workflow
from domain.definition import Work
from tests.domain.plans import ONCE_MORE, Run, dispatched, map_step, step

BEHIND = 1.5
"""Minutes, by the clock of who orders something; by the timers' the pause, of a minute, has ended at 2."""

RETRIED_ITEMS = Work(input={"deal": "item"}, retry=ONCE_MORE)


def paused(run: Run, minutes: float = 1.2) -> Run:
    return run.so(run.ordered(workflow.pause, reason="x", minutes=minutes))


def failed_once() -> Run:
    """Its next try is due at minute 2."""
    return Run.of(step("a", retry=ONCE_MORE)).failed("a")


def mapping() -> Run:
    """An item waits for its next try beside one that is under way."""
    steps = [map_step("m", each=RETRIED_ITEMS), step("z", critical=True)]
    return Run.of(*steps, input={"deals": ["one", "two"]}).failed("m[0]")


def test_a_step_that_was_held_back_by_a_pause_goes_out_with_the_resumption_whatever_its_clock_says() -> None:
    run = paused(failed_once()).held_back("a")
    assert run.status("a") == "retrying"
    assert dispatched(run.ordered(workflow.resume, minutes=BEHIND).happened()) == [("a", 2)]


def test_it_is_held_back_once() -> None:
    paused(failed_once()).held_back("a").tried_again("a", minutes=9).then_nothing()


def test_a_step_whose_timer_is_still_to_come_waits_for_it_also_after_a_pause() -> None:
    run = paused(failed_once())
    run = run.so(run.ordered(workflow.resume, minutes=BEHIND))
    assert run.status("a") == "retrying"
    assert dispatched(run.tried_again("a").happened()) == [("a", 2)]


def test_a_step_of_which_an_earlier_release_kept_nothing_goes_out_when_its_time_has_come() -> None:
    run = paused(failed_once())
    assert dispatched(run.ordered(workflow.resume, minutes=2).happened()) == [("a", 2)]


def test_an_item_that_was_held_back_by_a_pause_goes_out_after_it() -> None:
    run = paused(mapping()).held_back("m[0]")
    assert dispatched(run.ordered(workflow.resume, minutes=BEHIND).happened()) == [("m[0]", 2)]


def test_an_item_that_was_held_back_in_a_workflow_that_failed_goes_out_with_its_retry() -> None:
    run = mapping().failed("z", minutes=1.2).held_back("m[0]")
    assert run.state.status == "failed"
    events = run.ordered(workflow.retry, minutes=BEHIND).happened()
    assert sorted(dispatched(events)) == [("m[0]", 2), ("z", 2)]


def test_an_item_that_was_held_back_while_its_map_step_had_failed_goes_out_when_that_begins_again() -> None:
    steps = [map_step("m", each=RETRIED_ITEMS, tolerate=0), step("z")]
    run = Run.of(*steps, input={"deals": ["one", "two"]}).failed("m[0]").failed("m[1]", reason="rejected")
    assert (run.status("m"), run.status("m[0]")) == ("failed", "retrying")
    run = run.held_back("m[0]")
    events = run.ordered(workflow.retry_step, step_id="m", minutes=BEHIND).happened()
    assert sorted(dispatched(events)) == [("m[0]", 2), ("m[1]", 2)]


def test_while_the_workflow_is_paused_a_map_step_that_is_begun_again_lets_none_of_its_items_out() -> None:
    steps = [map_step("m", each=RETRIED_ITEMS, tolerate=0), step("z")]
    run = Run.of(*steps, input={"deals": ["one", "two"]}).failed("m[0]").failed("m[1]", reason="rejected")
    run = paused(run).held_back("m[0]")
    run = run.so(run.ordered(workflow.retry_step, step_id="m", minutes=BEHIND))
    assert run.under_way == ["m", "z"]
    assert sorted(dispatched(run.ordered(workflow.resume, minutes=BEHIND).happened())) == [
        ("m[0]", 2),
        ("m[1]", 2),
    ]


@pytest.mark.parametrize("order", ["cancel", "skip", "complete", "retry_step"])
def test_nothing_is_kept_of_a_timer_for_which_nothing_waits(order: str) -> None:
    orders: dict[str, Any] = {
        "cancel": lambda run: run.ordered(workflow.cancel, reason="x"),
        "skip": lambda run: run.ordered(workflow.skip_step, step_id="a", reason="x", may_do_all=True),
        "complete": lambda run: run.completing("a"),
        "retry_step": lambda run: run.ordered(workflow.retry_step, step_id="a"),
    }
    run = paused(failed_once())
    run.so(orders[order](run)).tried_again("a").then_nothing()


def test_nothing_is_kept_of_it_once_everything_is_being_undone() -> None:
    """There is no retry after that."""
    undone = Work(parameters={"request": "u"})
    run = Run.of(
        step("done", compensation=undone),
        step("a", retry=ONCE_MORE, compensation=undone),
        step("z", critical=True),
    )
    run = run.completed("done").failed("a").failed("z")
    assert (run.state.status, run.status("a")) == ("compensating", "retrying")
    run.tried_again("a").then_nothing()


def test_items_that_go_out_again_with_their_map_step_go_out_once() -> None:
    each = Work(input={"deal": "item"}, retry=ONCE_MORE)
    run = Run.of(map_step("m", each=each, retry=ONCE_MORE, tolerate=0), input={"deals": ["one", "two"]})
    run = run.failed("m[0]").so(run.failed("m[0]").tried_again("m[0]"))
    run = paused(run, minutes=2.1).failed("m[0]", minutes=2.2).failed("m[1]", minutes=2.3)
    assert (run.status("m"), run.status("m[1]")) == ("retrying", "retrying")
    run = run.held_back("m", minutes=4).held_back("m[1]", minutes=4)
    events = run.ordered(workflow.resume, minutes=5).happened()
    assert sorted(dispatched(events)) == [("m[0]", 3), ("m[1]", 2)]
    assert run.so(run.ordered(workflow.resume, minutes=5)).state.steps["m[1]"].tries == 2
