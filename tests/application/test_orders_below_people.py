"""What people decide in a workflow is not to be had through the children of its steps either."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.command import Command
from application.workflow_commands import (
    CancelWorkflow,
    CompleteStepByHand,
    FailStep,
    RetryWorkflow,
    SkipStep,
)
from domain.definition import Work, WorkflowDefinition
from domain.errors import NotAllowed
from domain.workflow import child_id_of
from tests.application.engine import Engine, engine_of
from tests.builders import metadata
from tests.domain.plans import map_step, step

pytestmark = pytest.mark.anyio

RUN_CHILD: dict[str, Any] = {"kind": "workflow", "parameters": {"definition": "child"}}
RUN_BETWEEN: dict[str, Any] = {"kind": "workflow", "parameters": {"definition": "between"}}


def definition(name: str, *steps: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name=name, version=1, steps=steps)


CHILD = definition(
    "child",
    step("score", input={"amount": "input.amount"}, critical=True),
    step("told", kind="http", parameters={"accepted": True}),
)
BETWEEN = definition("between", step("run", input={"amount": "input.amount"}, **RUN_CHILD))
ASKS_AFTER = definition("asks-after", step("run", **RUN_CHILD), step("ask", kind="approval", after=["run"]))
ASKS_FURTHER_UP = definition(
    "asks-further-up", step("run", **RUN_BETWEEN), step("ask", kind="approval", after=["run"])
)
ASKS_AFTER_MANY = definition(
    "asks-after-many",
    map_step("run", each=Work(**RUN_CHILD)),
    step("ask", kind="approval", after=["run"]),
)
ASKS = definition("asks", step("ask", kind="approval"))
RUNS_WHO_ASKS = definition("runs-who-asks", step("run", kind="workflow", parameters={"definition": "asks"}))
ASKS_BESIDE = definition("asks-beside", step("run", **RUN_CHILD), step("ask", kind="approval"))
ASKS_NOBODY = definition("asks-nobody", step("run", **RUN_CHILD), step("z"))
FORGETS_TWO = definition(
    "forgets-two", step("run", kind="workflow", parameters={"definition": "between", "await": False})
)
FORGETS = definition(
    "forgets", step("run", kind="workflow", parameters={"definition": "child", "await": False})
)

BEFORE_PEOPLE = pytest.mark.parametrize("parent", ["asks-after", "asks-further-up", "asks-after-many"])


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    parents = [ASKS_AFTER, ASKS_FURTHER_UP, ASKS_AFTER_MANY, ASKS_BESIDE, ASKS_NOBODY, FORGETS, FORGETS_TWO]
    async with engine_of(tmp_path, CHILD, BETWEEN, ASKS, RUNS_WHO_ASKS, *parents) as engine:
        yield engine


async def child_of(engine: Engine, parent: str) -> str:
    """The child that a workflow of this definition has begun, or the one below that."""
    workflow_id = await engine.start(parent, {"amount": 1, "deals": ["one"]})
    step_type = "run[0]" if parent == "asks-after-many" else "run"
    while True:
        state = await engine.workflow(workflow_id)
        if state.definition_name in ("child", "asks"):
            return workflow_id
        workflow_id = child_id_of(state.steps[step_type].step_id, 1)
        step_type = "run"


async def by_hand(engine: Engine, child: str, step_type: str, **how: bool) -> list[Command]:
    """Each way to do without what a step comes to."""
    step_id = (await engine.workflow(child)).steps[step_type].step_id
    about: dict[str, Any] = {"workflow_id": child, "step_id": step_id, **how}
    return [
        SkipStep(meta=metadata(), reason="no need", **about),
        CompleteStepByHand(meta=metadata(), result={"risk": 0}, **about),
    ]


@BEFORE_PEOPLE
async def test_a_childs_step_is_an_operators_to_settle_where_people_are_asked_about_it(
    engine: Engine, parent: str
) -> None:
    child = await child_of(engine, parent)
    for order in await by_hand(engine, child, "score"):
        with pytest.raises(NotAllowed):
            await engine.do(order)
    _, complete = await by_hand(engine, child, "score", may_do_all=True)
    await engine.do(complete)
    assert (await engine.workflow(child)).steps["score"].status == "completed"


@BEFORE_PEOPLE
async def test_a_service_that_answers_later_completes_its_step_below_people_too(
    engine: Engine, parent: str
) -> None:
    child = await child_of(engine, parent)
    _, complete = await by_hand(engine, child, "told")
    await engine.do(complete)
    assert (await engine.workflow(child)).steps["told"].status == "completed"


@pytest.mark.parametrize("parent", ["asks-beside", "asks-nobody", "forgets"])
async def test_a_childs_step_is_anybodys_to_settle_where_nobody_is_asked_about_it(
    engine: Engine, parent: str
) -> None:
    child = await child_of(engine, parent)
    skip, _ = await by_hand(engine, child, "score")
    await engine.do(skip)
    assert (await engine.workflow(child)).steps["score"].status == "skipped"


async def with_other_input(engine: Engine, child: str, *, may_do_all: bool = False) -> None:
    """Retry a child whose step has failed, for a million; who does has started all of it."""
    state = await engine.workflow(child)
    if state.status != "failed":
        await engine.do(FailStep(meta=metadata(), workflow_id=child, step="score", attempt=1, error="no"))
    await engine.do(
        RetryWorkflow(
            meta=metadata(),
            workflow_id=child,
            from_step="score",
            input={"amount": 1_000_000},
            may_do_all=may_do_all,
        )
    )


@pytest.mark.parametrize("parent", ["asks-after", "asks-further-up", "asks-beside", "forgets", "forgets-two"])
async def test_a_childs_input_is_an_operators_to_change_where_people_decide_on_it(
    engine: Engine, parent: str
) -> None:
    child = await child_of(engine, parent)
    with pytest.raises(NotAllowed):
        await with_other_input(engine, child)
    await with_other_input(engine, child, may_do_all=True)
    assert (await engine.workflow(child)).input == {"amount": 1_000_000}


async def test_a_childs_input_is_anybodys_to_change_where_nobody_decides(engine: Engine) -> None:
    child = await child_of(engine, "asks-nobody")
    await with_other_input(engine, child)
    assert (await engine.workflow(child)).input == {"amount": 1_000_000}


async def test_the_same_input_is_no_other(engine: Engine) -> None:
    child = await child_of(engine, "asks-beside")
    given = (await engine.workflow(child)).input
    await engine.do(FailStep(meta=metadata(), workflow_id=child, step="score", attempt=1, error="no"))
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=child, from_step="score", input=given))
    assert (await engine.workflow(child)).attempt == 2


@pytest.mark.parametrize("parent", ["asks-after", "asks-further-up", "asks-after-many", "runs-who-asks"])
async def test_a_child_is_an_operators_to_cancel_where_people_would_not_be_asked(
    engine: Engine, parent: str
) -> None:
    child = await child_of(engine, parent)
    with pytest.raises(NotAllowed):
        await engine.do(CancelWorkflow(meta=metadata(), workflow_id=child, reason="no need"))
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=child, reason="no need", may_do_all=True))
    assert (await engine.workflow(child)).status == "cancelled"


@pytest.mark.parametrize("parent", ["asks-beside", "asks-nobody", "forgets", "asks"])
async def test_a_workflow_is_anybodys_to_cancel_where_no_other_goes_on_without_people(
    engine: Engine, parent: str
) -> None:
    child = await child_of(engine, parent)
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=child, reason="no need"))
    assert (await engine.workflow(child)).status == "cancelled"


async def test_the_whole_of_it_is_anybodys_to_cancel(engine: Engine) -> None:
    child = await child_of(engine, "asks-after")
    parent = (await engine.workflow(child)).parent
    assert parent is not None
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=parent.workflow_id, reason="no need"))
    assert (await engine.workflow(child)).status == "cancelled"
