"""What a child is given by its parent's step, held against what its definition asks for."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import msgspec
import pytest

from domain.definition import Work, WorkflowDefinition
from domain.workflow import child_id_of
from interfaces.definitions.shipped import read_folder, shipped_folder
from tests.application.engine import Engine, engine_of
from tests.domain.plans import map_step, step

pytestmark = pytest.mark.anyio

CHILD = WorkflowDefinition(
    name="child",
    version=1,
    steps=(step("score"),),
    input_schema={
        "type": "object",
        "required": ["amount"],
        "properties": {"amount": {"type": "number"}},
        "additionalProperties": False,
    },
)


def runs_child(**input: str) -> WorkflowDefinition:
    run: dict[str, Any] = {"kind": "workflow", "parameters": {"definition": "child"}, "input": input}
    return WorkflowDefinition(name="parent", version=1, steps=(step("run", critical=True, **run),))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_of(tmp_path, CHILD) as engine:
        yield engine


async def run_of(engine: Engine, input: dict[str, Any], **mapped: str) -> Any:
    engine.configure(CHILD, runs_child(**mapped))
    workflow_id = await engine.start("parent", input)
    return (await engine.workflow(workflow_id)).steps["run"]


async def test_a_child_that_is_refused_its_input_tells_its_step_what_does_not_suit(engine: Engine) -> None:
    run = await run_of(engine, {"amount": "ann@example.com"}, amount="input.amount", note="input.amount")
    told = "the input is not valid for child: input.amount: is not of type 'number'; input.note: is not known"
    assert run.error == told


async def test_a_childs_deal_is_no_part_of_an_input_whose_schema_knows_no_such_member(engine: Engine) -> None:
    assert await child_of(engine, CHILD) == ("opp-7", {"amount": 5})


async def test_a_childs_deal_that_its_schema_names_is_part_of_its_input_too(engine: Engine) -> None:
    names_it = {
        "properties": {"opportunityId": {"type": "string"}, "amount": {}},
        "additionalProperties": False,
    }
    child = msgspec.structs.replace(CHILD, input_schema=names_it)
    assert await child_of(engine, child) == ("opp-7", {"amount": 5, "opportunityId": "opp-7"})


@pytest.mark.parametrize("schema", [None, {"type": "object", "required": ["amount"]}])
async def test_expressions_of_a_child_without_a_narrow_schema_may_speak_of_its_deal(
    engine: Engine, schema: dict[str, Any] | None
) -> None:
    child = msgspec.structs.replace(CHILD, input_schema=schema)
    assert await child_of(engine, child) == ("opp-7", {"amount": 5, "opportunityId": "opp-7"})


async def test_the_example_to_copy_from_runs_for_each_deal(engine: Engine) -> None:
    example = next(each for each in read_folder(shipped_folder()) if each.name == "deal-review")
    review = Work(
        kind="workflow",
        parameters={"definition": "deal-review"},
        input={"opportunityId": "item.id", "amount": "item.amount"},
    )
    for_all = WorkflowDefinition(name="for-all", version=1, steps=(map_step("reviews", each=review),))
    engine.configure(example, for_all)
    deals = [{"id": "opp-7", "amount": 5}, {"id": "opp-8", "amount": 7}]
    parent = await engine.workflow(await engine.start("for-all", {"deals": deals}))
    children = [await engine.workflow(child_id_of(parent.steps[f"reviews[{n}]"].step_id, 1)) for n in (0, 1)]
    assert [(each.opportunity_id, each.input) for each in children] == [
        ("opp-7", {"amount": 5}),
        ("opp-8", {"amount": 7}),
    ]


async def child_of(engine: Engine, child: WorkflowDefinition) -> tuple[str | None, Any]:
    """The deal and the input of a child that is run for another deal than its parent's."""
    engine.configure(child, runs_child(amount="input.amount", opportunityId="input.deal"))
    parent = await engine.workflow(await engine.start("parent", {"amount": 5, "deal": "opp-7"}))
    began = await engine.workflow(child_id_of(parent.steps["run"].step_id, 1))
    return began.opportunity_id, began.input


async def test_a_schema_that_takes_long_to_check_does_not_hold_up_the_process(engine: Engine) -> None:
    patterns = [{"pattern": rf"^[\w-]{{1,{64 + number}}}$"} for number in range(40)]
    slow = msgspec.structs.replace(CHILD, input_schema={"properties": {"opportunityId": {"allOf": patterns}}})
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            before = monotonic()
            await anyio.sleep(0.01)
            longest = max(longest, monotonic() - before)

    engine.configure(slow, runs_child(opportunityId="input.deal"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        workflow_id = await engine.start("parent", {"deal": "o-1"})
        run = (await engine.workflow(workflow_id)).steps["run"]
        tasks.cancel_scope.cancel()
    assert run.status == "running"
    assert longest < 1
