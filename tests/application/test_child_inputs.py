"""What a child is given by its parent's step, held against what its definition asks for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.definition import WorkflowDefinition
from tests.application.engine import Engine, engine_of
from tests.domain.plans import step

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
    told = "the input is none for child: input.amount: is not of type 'number'; input.note: is not known"
    assert run.error == told
