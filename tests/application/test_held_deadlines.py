"""Whole-workflow deadlines that come due while the answers are on their way, on a real log and timers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from application.approval_commands import ApproveApproval
from application.command import Command
from application.held_deadlines import LONGEST_HOLD
from application.task_commands import ClaimTask, CompleteTask
from application.workflow_commands import CompleteStep
from domain.approval import Ballot, approval_id_of
from domain.definition import MapOver, StepDefinition, Work, WorkflowDefinition
from domain.task import task_id_of
from domain.workflow import child_id_of
from domain.workflow.step import item_type
from tests.application.engine import Engine, engine_of
from tests.application.test_step_kinds import definition
from tests.builders import metadata
from tests.domain.plans import step

pytestmark = pytest.mark.anyio


def due_in_an_hour(name: str, *steps: StepDefinition) -> WorkflowDefinition:
    """A plan whose only limit is that of the whole."""
    return WorkflowDefinition(name=name, version=1, steps=steps, deadline_seconds=3600.0)


TASK = Work(kind="task", parameters={"queue": "q"}, timeout_seconds=None)
PLANS = [
    definition("child", step("work", kind="task", parameters={"queue": "q"}, timeout_seconds=None)),
    due_in_an_hour("asks-approval", step("ask", kind="approval", timeout_seconds=None)),
    due_in_an_hour(
        "asks-workflow",
        step("ask", kind="workflow", parameters={"definition": "child"}, timeout_seconds=None),
    ),
    due_in_an_hour("asks-task", step("ask", kind="task", parameters={"queue": "q"}, timeout_seconds=None)),
    due_in_an_hour(
        "asks-map",
        step("ask", kind="map", timeout_seconds=None, map=MapOver(over="input.items", each=TASK)),
    ),
    due_in_an_hour(
        "asks-message",
        step("ask", parameters={"request": "r", "replies": [{"type": "a"}]}, timeout_seconds=None),
    ),
    due_in_an_hour("waits", step("ask", kind="wait", parameters={"seconds": 3590}, timeout_seconds=None)),
    due_in_an_hour(
        "asks-two",
        step("ask", kind="task", parameters={"queue": "q"}, timeout_seconds=None),
        step("next", kind="task", parameters={"queue": "q"}, timeout_seconds=None, after=("ask",)),
    ),
]


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_of(tmp_path, *PLANS) as engine:
        yield engine


async def do_task(engine: Engine, step_id: str) -> None:
    """A worker completes the task of a step; nobody passes it on yet."""
    id = task_id_of(step_id, 1)
    claim = ClaimTask(meta=metadata(), task_id=id, worker_id="w", lease_digest="d", lease_seconds=60.0)
    done: list[Command] = [
        claim,
        CompleteTask(meta=metadata(), task_id=id, lease_digest="d", output={}),
    ]
    for command in done:
        await engine.dispatch(command)


async def answer_task(engine: Engine, workflow_id: str) -> None:
    await do_task(engine, (await engine.workflow(workflow_id)).steps["ask"].step_id)


async def answer_approval(engine: Engine, workflow_id: str) -> None:
    asked = (await engine.workflow(workflow_id)).steps["ask"]
    id = approval_id_of(asked.step_id, 1)
    await engine.dispatch(ApproveApproval(meta=metadata(), approval_id=id, ballot=Ballot(by="ann")))


async def answer_child(engine: Engine, workflow_id: str) -> None:
    child_id = child_id_of((await engine.workflow(workflow_id)).steps["ask"].step_id, 1)
    await engine.dispatch(CompleteStep(meta=metadata(), workflow_id=child_id, step="work", result={}))


async def answer_childs_task(engine: Engine, workflow_id: str) -> None:
    child_id = child_id_of((await engine.workflow(workflow_id)).steps["ask"].step_id, 1)
    await do_task(engine, (await engine.workflow(child_id)).steps["work"].step_id)


async def answer_item(engine: Engine, workflow_id: str) -> None:
    await do_task(engine, (await engine.workflow(workflow_id)).steps[item_type("ask", 0)].step_id)


async def answer_nothing(engine: Engine, workflow_id: str) -> None:
    """The wait's own timer is the answer."""


ANSWERS: list[tuple[str, Callable[[Engine, str], Awaitable[None]]]] = [
    ("asks-task", answer_task),
    ("asks-approval", answer_approval),
    ("asks-workflow", answer_child),
    ("asks-workflow", answer_childs_task),
    ("asks-map", answer_item),
    ("waits", answer_nothing),
]


@pytest.mark.parametrize("minutes_away", [2, 120], ids=["a moment", "hours"])
@pytest.mark.parametrize(("plan", "answer"), ANSWERS, ids=[answer.__name__ for _, answer in ANSWERS])
async def test_what_was_answered_in_the_workflows_time_counts_however_late_it_is_passed_on(
    engine: Engine, plan: str, answer: Callable[[Engine, str], Awaitable[None]], minutes_away: float
) -> None:
    workflow_id = await engine.start(plan, {"items": [1]})
    engine.clock.advance(minutes=59)
    await answer(engine, workflow_id)
    await engine.pass_time(minutes=minutes_away)
    for _ in range(3):
        await engine.pass_time(minutes=1)
    assert (await engine.workflow(workflow_id)).status == "completed"


@pytest.mark.parametrize("plan", ["asks-task", "asks-workflow", "asks-map", "asks-message"])
async def test_what_nobody_has_answered_is_given_up_at_once_and_where_that_is_late_at_the_second_look(
    engine: Engine, plan: str
) -> None:
    watched = await engine.start(plan, {"items": [1]})
    await engine.pass_time(hours=1)
    assert (await engine.workflow(watched)).status == "failed"
    unwatched = await engine.start(plan, {"items": [1]})
    await engine.pass_time(hours=2)
    assert (await engine.workflow(unwatched)).status == "running"
    await engine.pass_time(seconds=5)
    assert (await engine.workflow(unwatched)).failure == "not completed within 3600 s"


async def test_while_messages_wait_the_deadline_does_and_an_answer_among_them_counts(engine: Engine) -> None:
    workflow_id = await engine.start("asks-message")
    engine.is_taken_in = False
    await engine.pass_time(hours=1)
    await engine.pass_time(hours=3)
    assert (await engine.workflow(workflow_id)).status == "running"
    await engine.do(CompleteStep(meta=metadata(), workflow_id=workflow_id, step="ask", result={}))
    assert (await engine.workflow(workflow_id)).status == "completed"


async def test_messages_that_wait_are_nothing_to_who_is_not_answered_by_any(engine: Engine) -> None:
    workflow_id = await engine.start("asks-task")
    engine.is_taken_in = False
    await engine.pass_time(hours=1)
    assert (await engine.workflow(workflow_id)).status == "failed"


async def test_what_has_just_left_the_queue_is_waited_for_too(engine: Engine) -> None:
    workflow_id = await engine.start("asks-message")
    engine.is_taken_in = False
    await engine.pass_time(hours=1)
    engine.is_taken_in = True
    await engine.pass_time(seconds=5)
    assert (await engine.workflow(workflow_id)).status == "running"
    await engine.pass_time(seconds=5)
    assert (await engine.workflow(workflow_id)).status == "failed"


async def test_a_deadline_is_passed_in_the_end_whatever_waits(engine: Engine) -> None:
    workflow_id = await engine.start("asks-message")
    engine.is_taken_in = False
    await engine.pass_time(hours=1)
    await engine.pass_time(seconds=LONGEST_HOLD.total_seconds() - 1)
    assert (await engine.workflow(workflow_id)).status == "running"
    await engine.pass_time(minutes=1)
    assert (await engine.workflow(workflow_id)).status == "failed"


async def test_an_answer_that_comes_late_gives_no_time_to_the_steps_after_it(engine: Engine) -> None:
    workflow_id = await engine.start("asks-two")
    engine.clock.advance(minutes=59)
    await answer_task(engine, workflow_id)
    await engine.pass_time(hours=2)
    state = await engine.workflow(workflow_id)
    assert (state.status, state.steps["next"].status) == ("running", "running")
    for _ in range(3):
        await engine.pass_time(seconds=5)
    assert (await engine.workflow(workflow_id)).status == "failed"
