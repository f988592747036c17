"""A step whose child is to end: what waits for that, and what its end is told by."""

from typing import Any

import msgspec

from domain import workflow
from domain.definition import Retry
from domain.event import Event
from domain.workflow import (
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepSettled,
    WorkflowCancelled,
    WorkflowFailed,
    cancel,
    retry,
)
from tests.builders import after
from tests.domain.plans import Run, dispatched, step

RUN: dict[str, Any] = {"kind": "workflow", "parameters": {"definition": "child"}}
GROUP = "plan/one"


def of_a_group(run: Run) -> Run:
    started, *rest = run.events
    return Run(workflow.evolve, msgspec.structs.replace(started, concurrency_group=GROUP), *rest)


def out_of_time(run: Run) -> Run:
    return run.so(
        run.when(
            lambda state: workflow.time_out_step(state, step_type="run", attempt=1, now=after(minutes=2))
        )
    )


def child_ended(run: Run, *, completed: bool = False) -> tuple[Event, ...]:
    end = workflow.complete_step if completed else workflow.fail_step
    how: dict[str, Any] = {"result": {}} if completed else {"error": "it was cancelled"}
    return tuple(end(run.state, step_type="run", attempt=1, now=after(minutes=9), **how))


def test_the_last_child_that_ends_ends_a_cancelled_workflow_for_its_group() -> None:
    run = of_a_group(Run.of(step("run", **RUN), step("beside", **RUN)))
    run = run.so(run.ordered(cancel, reason="off"))
    (told,) = (each for each in run.events if isinstance(each, WorkflowCancelled))
    assert told.concurrency_group is None
    assert run.state.will_make_room_in(GROUP)
    beside = workflow.fail_step(run.state, step_type="beside", attempt=1, error="no", now=after(minutes=8))
    assert [each.concurrency_group for each in beside if isinstance(each, StepSettled)] == [None]
    run = Run(workflow.evolve, *run.events, *beside)
    (settled,) = child_ended(run)
    assert isinstance(settled, StepSettled)
    assert (settled.concurrency_group, settled.error) == (GROUP, None)
    run = Run(workflow.evolve, *run.events, settled)
    assert not run.state.will_make_room_in(GROUP)
    assert child_ended(run) == (), "it is told once"


def test_a_child_that_ends_well_after_all_ends_a_failed_workflow_too() -> None:
    again = Retry(attempts=2, delay_seconds=600, jitter=0)
    run = of_a_group(
        Run.of(step("run", timeout_seconds=60, retry=again, **RUN), step("other", critical=True))
    )
    run = out_of_time(run).failed("other", minutes=3)
    (told,) = (each for each in run.events if isinstance(each, WorkflowFailed))
    assert told.concurrency_group is None
    completed, settled = child_ended(run, completed=True)
    assert isinstance(completed, StepCompleted)
    assert isinstance(settled, StepSettled)
    assert settled.concurrency_group == GROUP


def test_a_next_try_that_comes_due_before_the_child_has_ended_is_held_back() -> None:
    again = Retry(attempts=2, delay_seconds=60, jitter=0)
    run = out_of_time(Run.of(step("run", timeout_seconds=60, retry=again, critical=True, **RUN)))
    run = run.held_back("run", minutes=4)
    assert dispatched(child_ended(run)) == [("run", 2)]


def test_what_was_stored_before_is_waited_for_by_nobody() -> None:
    run = Run.of(step("run", **RUN))
    run = run.so(run.ordered(cancel, reason="off"))
    of_old = [
        msgspec.structs.replace(each, unsettled=False) if isinstance(each, StepCancelled) else each
        for each in run.events
    ]
    run = Run(workflow.evolve, *of_old)
    assert child_ended(run) == ()
    assert any(isinstance(each, StepDispatched) for each in run.ordered(retry).happened())


def test_a_step_that_does_not_wait_has_no_child_to_wait_for() -> None:
    forgets: dict[str, Any] = {"kind": "workflow", "parameters": {"definition": "child", "await": False}}
    run = Run.of(step("run", **forgets))
    assert run.so(run.ordered(cancel, reason="off")).state.unsettled == 0
