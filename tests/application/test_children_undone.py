"""A child has ended once what it did is undone: nothing is done on top of it, nor undone below it, before."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.workflow_commands import (
    CancelWorkflow,
    CompleteStep,
    FailStep,
    RetryStep,
    RetryWorkflow,
    SkipStep,
)
from domain.definition import Retry, Work, WorkflowDefinition
from domain.errors import StepNotOpen
from domain.workflow import CompensationBegan, StepDispatched, StepSettled, Workflow, child_id_of
from tests.application.engine import Engine, engine_of
from tests.builders import metadata
from tests.domain.plans import map_step, step

pytestmark = pytest.mark.anyio

UNDO = Work(parameters={"request": "undo"})
RUN: dict[str, Any] = {"kind": "workflow", "parameters": {"definition": "child"}}
AGAIN = Retry(attempts=2, delay_seconds=1, jitter=0, on=("reported", "timed_out"))


def definition(name: str, *steps: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name=name, version=1, steps=steps)


CHILD = definition(
    "child",
    step("reserve", critical=True, compensation=UNDO),
    step("pay", after=["reserve"], critical=True),
)
PARENTS = (
    definition("retrying", step("run", retry=AGAIN, critical=True, **RUN)),
    definition("timed", step("run", retry=AGAIN, critical=True, timeout_seconds=60, **RUN)),
    definition("impatient", step("run", critical=True, timeout_seconds=60, **RUN)),
    definition(
        "based",
        step("base", critical=True, compensation=UNDO),
        step("run", after=["base"], critical=True, **RUN),
    ),
    definition("plain", step("run", critical=True, **RUN)),
    definition("above", step("run", critical=True, kind="workflow", parameters={"definition": "based"})),
    definition("for-each", map_step("runs", each=Work(**RUN), at_once=2)),
    definition(
        "forgets",
        step("base", compensation=UNDO),
        step("run", kind="workflow", parameters={**RUN["parameters"], "await": False}),
        step("last", critical=True),
    ),
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_of(tmp_path, CHILD, *PARENTS) as engine:
        yield engine


def child_of(state: Workflow, step_type: str = "run", attempt: int = 1) -> str:
    return child_id_of(state.steps[step_type].step_id, attempt)


async def answer(engine: Engine, workflow_id: str, *steps: str) -> None:
    for each in steps:
        await engine.do(CompleteStep(meta=metadata(), workflow_id=workflow_id, step=each, result={}))


async def fail(engine: Engine, workflow_id: str, step_type: str) -> None:
    await engine.do(FailStep(meta=metadata(), workflow_id=workflow_id, step=step_type, error="no"))


async def cancel(engine: Engine, workflow_id: str) -> None:
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=workflow_id, reason="off", may_do_all=True))


async def begun(engine: Engine, parent: str) -> tuple[str, str]:
    """A parent, and its child that has reserved something."""
    workflow_id = await engine.start(parent, {"deals": ["one"]})
    state = await engine.workflow(workflow_id)
    if "base" in state.steps:
        await answer(engine, workflow_id, "base")
    child = child_of(state, "runs[0]" if parent == "for-each" else "run")
    await answer(engine, child, "reserve")
    return workflow_id, child


async def statuses(engine: Engine, *workflow_ids: str) -> list[str]:
    return [(await engine.workflow(each)).status for each in workflow_ids]


async def settled(engine: Engine, workflow_id: str) -> list[StepSettled]:
    return [each for each in await engine.events(workflow_id) if isinstance(each, StepSettled)]


async def test_a_step_is_tried_again_once_what_its_child_did_is_undone(engine: Engine) -> None:
    parent, child = await begun(engine, "retrying")
    await fail(engine, child, "pay")
    await engine.pass_time(seconds=5)
    assert (await engine.workflow(parent)).steps["run"].status == "running"
    assert await statuses(engine, child) == ["compensating"]
    await answer(engine, child, "reserve.compensation")
    run = (await engine.workflow(parent)).steps["run"]
    assert (run.status, run.error) == ("retrying", f"workflow {child}: no")
    await engine.pass_time(seconds=5)
    run = (await engine.workflow(parent)).steps["run"]
    assert (run.status, run.attempt) == ("running", 2)


async def test_a_step_is_not_tried_again_on_top_of_what_is_not_undone(engine: Engine) -> None:
    parent, child = await begun(engine, "retrying")
    await fail(engine, child, "pay")
    await fail(engine, child, "reserve.compensation")
    await engine.pass_time(seconds=5)
    state = await engine.workflow(parent)
    told = f"workflow {child}: no; what it did was not undone: reserve.compensation: no"
    assert (state.status, state.steps["run"].attempt, state.steps["run"].error) == (
        "compensation_failed",
        1,
        told,
    )
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=child))
    await answer(engine, child, "reserve.compensation")
    assert await statuses(engine, child, parent) == ["compensated", "compensated"]


async def test_a_step_that_is_out_of_time_is_tried_again_once_its_child_has_ended(engine: Engine) -> None:
    parent, child = await begun(engine, "timed")
    await engine.pass_time(seconds=61)
    run = (await engine.workflow(parent)).steps["run"]
    assert (run.status, run.is_unsettled) == ("retrying", True)
    with pytest.raises(StepNotOpen):
        await engine.do(RetryStep(meta=metadata(), workflow_id=parent, step_id=run.step_id))
    await engine.pass_time(seconds=5)
    assert (await engine.workflow(parent)).steps["run"].attempt == 1
    await answer(engine, child, "reserve.compensation")
    run = (await engine.workflow(parent)).steps["run"]
    assert (run.status, run.attempt, run.is_unsettled) == ("running", 2, False)


async def test_time_passes_for_a_step_while_its_child_is_undone(engine: Engine) -> None:
    parent, child = await begun(engine, "impatient")
    await fail(engine, child, "pay")
    await engine.pass_time(seconds=61)
    state = await engine.workflow(parent)
    assert (state.status, state.failure) == ("failed", "no answer within 60 s")
    await answer(engine, child, "reserve.compensation")
    assert await statuses(engine, child, parent) == ["compensated", "failed"]


async def test_what_lies_below_a_child_is_undone_after_it(engine: Engine) -> None:
    parent, child = await begun(engine, "based")
    await cancel(engine, parent)
    assert await statuses(engine, parent, child) == ["compensating", "compensating"]
    assert "base.compensation" not in (await engine.workflow(parent)).steps
    await answer(engine, child, "reserve.compensation")
    assert (await engine.workflow(parent)).steps["base.compensation"].status == "running"
    await answer(engine, parent, "base.compensation")
    assert await statuses(engine, parent, child) == ["compensated", "compensated"]


async def test_where_a_child_is_not_undone_the_undoing_stops_and_goes_on_with_the_childs(
    engine: Engine,
) -> None:
    parent, child = await begun(engine, "based")
    await cancel(engine, parent)
    await fail(engine, child, "reserve.compensation")
    state = await engine.workflow(parent)
    assert state.status == "compensation_failed"
    assert "base.compensation" not in state.steps
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=parent))
    assert await statuses(engine, parent) == ["compensation_failed"], "it is the child's to undo"
    step_id = (await engine.workflow(child)).steps["reserve.compensation"].step_id
    await engine.do(
        SkipStep(meta=metadata(), workflow_id=child, step_id=step_id, reason="by hand", may_do_all=True)
    )
    assert (await engine.workflow(parent)).steps["base.compensation"].status == "running"
    await answer(engine, parent, "base.compensation")
    assert await statuses(engine, parent, child) == ["compensated", "compensated"]


async def test_what_a_child_has_left_may_be_said_to_be_undone_by_other_means(engine: Engine) -> None:
    parent, child = await begun(engine, "based")
    await cancel(engine, parent)
    await fail(engine, child, "reserve.compensation")
    step_id = (await engine.workflow(parent)).steps["run"].step_id
    await engine.do(
        SkipStep(meta=metadata(), workflow_id=parent, step_id=step_id, reason="by hand", may_do_all=True)
    )
    await answer(engine, parent, "base.compensation")
    assert await statuses(engine, parent, child) == ["compensated", "compensation_failed"]


async def test_a_workflow_that_has_nothing_to_undo_has_ended_for_others_once_its_child_has(
    engine: Engine,
) -> None:
    parent, child = await begun(engine, "plain")
    await cancel(engine, parent)
    assert await statuses(engine, parent, child) == ["cancelled", "compensating"]
    assert await settled(engine, parent) == []
    await answer(engine, child, "reserve.compensation")
    assert [each.error for each in await settled(engine, parent)] == [None]
    assert await statuses(engine, parent, child) == ["cancelled", "compensated"]


async def test_a_cancelled_workflow_whose_child_is_not_undone_is_not_either(engine: Engine) -> None:
    parent, child = await begun(engine, "plain")
    await cancel(engine, parent)
    await fail(engine, child, "reserve.compensation")
    assert await statuses(engine, parent) == ["compensation_failed"]
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=child))
    await answer(engine, child, "reserve.compensation")
    assert await statuses(engine, parent, child) == ["compensated", "compensated"]


async def test_a_cancelled_workflow_that_is_tried_again_waits_for_its_child(engine: Engine) -> None:
    parent, child = await begun(engine, "plain")
    await cancel(engine, parent)
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=parent))
    run = (await engine.workflow(parent)).steps["run"]
    assert (run.status, run.attempt) == ("pending", 1)
    await answer(engine, child, "reserve.compensation")
    run = (await engine.workflow(parent)).steps["run"]
    assert (run.status, run.attempt) == ("running", 2)


async def test_what_is_undone_further_down_is_waited_for_further_up(engine: Engine) -> None:
    top = await engine.start("above")
    between = child_of(await engine.workflow(top))
    await answer(engine, between, "base")
    child = child_of(await engine.workflow(between))
    await answer(engine, child, "reserve")
    await cancel(engine, top)
    assert await statuses(engine, top, between, child) == ["cancelled", "compensating", "compensating"]
    await answer(engine, child, "reserve.compensation")
    assert await settled(engine, top) == []
    await answer(engine, between, "base.compensation")
    assert len(await settled(engine, top)) == 1
    assert await statuses(engine, top, between, child) == ["cancelled", "compensated", "compensated"]


async def test_the_items_of_a_map_are_done_again_once_their_children_have_ended(engine: Engine) -> None:
    parent, child = await begun(engine, "for-each")
    await cancel(engine, parent)
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=parent))
    assert (await engine.workflow(parent)).steps["runs[0]"].attempt == 1
    await answer(engine, child, "reserve.compensation")
    state = await engine.workflow(parent)
    assert (state.steps["runs[0]"].status, state.steps["runs[0]"].attempt) == ("running", 2)
    again = child_of(state, "runs[0]", attempt=2)
    await answer(engine, again, "reserve", "pay")
    assert await statuses(engine, parent, again) == ["completed", "completed"]


async def test_the_items_of_a_map_for_other_elements_wait_as_well(engine: Engine) -> None:
    parent, child = await begun(engine, "for-each")
    await cancel(engine, parent)
    again = RetryWorkflow(
        meta=metadata(), workflow_id=parent, from_step="runs", input={"deals": []}, may_do_all=True
    )
    await engine.do(again)
    assert await statuses(engine, parent) == ["running"]
    await answer(engine, child, "reserve.compensation")
    assert await statuses(engine, parent) == ["completed"]


async def test_a_child_that_had_ended_well_has_nothing_to_be_waited_for(engine: Engine) -> None:
    parent, child = await begun(engine, "based")
    await engine.dispatch(CompleteStep(meta=metadata(), workflow_id=child, step="pay", result={}))
    await engine.dispatch(CancelWorkflow(meta=metadata(), workflow_id=parent, reason="off", may_do_all=True))
    await engine.settle()
    assert (await engine.workflow(parent)).steps["base.compensation"].status == "running"


async def test_a_child_that_never_was_has_nothing_to_be_waited_for(engine: Engine) -> None:
    engine.configure(*(each for each in PARENTS if each.name == "based"))
    parent = await engine.start("based")
    await engine.dispatch(CompleteStep(meta=metadata(), workflow_id=parent, step="base", result={}))
    await engine.dispatch(CancelWorkflow(meta=metadata(), workflow_id=parent, reason="off", may_do_all=True))
    await engine.settle()
    assert (await engine.workflow(parent)).steps["base.compensation"].status == "running"


async def test_a_child_that_nobody_waits_for_holds_up_no_undoing(engine: Engine) -> None:
    parent, child = await begun(engine, "forgets")
    await fail(engine, parent, "last")
    events = await engine.events(parent)
    assert isinstance(events[-2], CompensationBegan)
    assert isinstance(events[-1], StepDispatched)
    assert await statuses(engine, parent, child) == ["compensating", "running"]
