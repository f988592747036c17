"""Steps that nobody is to carry out, and withdrawals that are nobody's decision; each event handled twice."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from application.approval_commands import (
    ApprovalCommand,
    ApproveApproval,
    RejectApproval,
    WithdrawApproval,
)
from application.task_commands import ClaimTask, CompleteTask
from application.workflow_commands import CancelWorkflow, CompleteStep, FailStep, RetryWorkflow
from domain.approval import Ballot, approval_id_of, approval_stream
from domain.definition import FailureReason, Retry, Work
from domain.scopes import Scopes
from domain.task import task_id_of, task_stream
from domain.values import timestamp
from domain.workflow import child_id_of, workflow_stream
from tests.application.engine import Engine, engine_of
from tests.application.test_step_kinds import CHILD, approval_of, definition, statuses
from tests.builders import TENANT, USER, metadata
from tests.domain.plans import step

pytestmark = pytest.mark.anyio

ASKS_TWICE = definition(
    "asks-twice",
    step(
        "sign_off",
        kind="approval",
        timeout_seconds=3600.0,
        retry=Retry(attempts=2, delay_seconds=60, jitter=0, on=("timed_out",)),
        compensation=Work(kind="task", parameters={"queue": "undone"}),
    ),
)
UNMADE = definition(
    "unmade",
    *(
        step(name, kind=kind, parameters=parameters, input={"amount": "length(input.n)"})
        for name, kind, parameters in (
            ("sign_off", "approval", {}),
            ("run", "workflow", {"definition": "child"}),
            ("work", "task", {"queue": "q"}),
            ("rest", "wait", {"seconds": 60}),
        )
    ),
)


WAITING = [
    definition(f"waits-for-{kind}", step("ask", kind=kind, parameters=parameters, timeout_seconds=3600.0))
    for kind, parameters in (
        ("approval", {}),
        ("workflow", {"definition": "child"}),
        ("task", {"queue": "q"}),
    )
]


ASKS_UNTIL = definition("asks-until", step("sign_off", kind="approval", input={"dueAt": "input.dueAt"}))
FAILS = definition("fails", step("work", critical=True))
RUNS_IT = definition("runs-it", step("run", kind="workflow", parameters={"definition": "fails"}))
ALL = (ASKS_TWICE, ASKS_UNTIL, UNMADE, CHILD, *WAITING, FAILS, RUNS_IT)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with engine_of(tmp_path, *ALL) as engine:
        yield engine


async def test_what_was_not_decided_in_time_is_asked_again_as_the_rule_says(
    engine: Engine,
) -> None:
    workflow_id = await engine.start("asks-twice")
    await engine.pass_time(hours=1)
    assert (await approval_of(engine, workflow_id)).status == "withdrawn"
    assert await statuses(engine, workflow_id) == {"sign_off": "retrying"}
    await engine.pass_time(minutes=1)
    assert (await approval_of(engine, workflow_id, attempt=2)).status == "pending"


async def test_what_nobody_has_decided_is_not_undone(engine: Engine) -> None:
    workflow_id = await engine.start("asks-twice")
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=workflow_id, reason="off"))
    assert (await approval_of(engine, workflow_id)).status == "withdrawn"
    assert (await engine.workflow(workflow_id)).status == "cancelled"


async def test_somebody_elses_withdrawal_is_the_steps_result(engine: Engine) -> None:
    workflow_id = await engine.start("asks-twice")
    asked = await approval_of(engine, workflow_id)
    by_hand = WithdrawApproval(
        meta=metadata(), approval_id=asked.approval_id, by="ann", reason="sold", may_do_all=True
    )
    await engine.do(by_hand)
    result = (await engine.workflow(workflow_id)).results["sign_off"]
    assert (result["outcome"], result["reason"], result["withdrawnBy"]) == ("withdrawn", "sold", USER)


@pytest.mark.parametrize(
    ("decide", "more", "members"),
    [
        (WithdrawApproval, {"by": "ann", "reason": "sold", "may_do_all": True}, 4),
        (ApproveApproval, {"ballot": Ballot(by="ann", comment="fine")}, 5),
        (RejectApproval, {"ballot": Ballot(by="ann", comment="too dear")}, 5),
    ],
)
async def test_expressions_may_speak_of_all_that_is_decided(
    engine: Engine, decide: type[ApprovalCommand], more: dict[str, Any], members: int
) -> None:
    workflow_id = await engine.start("asks-twice")
    asked = await approval_of(engine, workflow_id)
    await engine.do(decide(meta=metadata(), approval_id=asked.approval_id, **more))
    result = (await engine.workflow(workflow_id)).results["sign_off"]
    known = Scopes(ASKS_TWICE).of_compensation.context["results"]["sign_off"]
    assert len(result) == members
    assert set(result) <= set(known)
    assert result["outcome"] in known["outcome"].texts


async def test_a_decision_that_nobody_takes_until_it_is_due_is_the_steps_result(engine: Engine) -> None:
    due_at = timestamp(engine.clock.now() + timedelta(minutes=30))
    workflow_id = await engine.start("asks-until", {"dueAt": due_at})
    await engine.pass_time(hours=1)
    asked = await approval_of(engine, workflow_id)
    assert asked.status == "expired"
    results = (await engine.workflow(workflow_id)).results
    assert results["sign_off"] == {"approvalId": asked.approval_id, "outcome": "expired"}
    known = Scopes(ASKS_UNTIL).of_compensation.context["results"]["sign_off"]
    assert "expired" in known["outcome"].texts


async def test_nobody_is_given_what_has_no_input(engine: Engine) -> None:
    workflow_id = await engine.start("unmade", {"n": 5})
    state = await engine.workflow(workflow_id)
    assert {step.status for _, step in state.planned()} == {"failed"}
    steps = state.steps
    for stream in (
        approval_stream(TENANT, approval_id_of(steps["sign_off"].step_id, 1)),
        workflow_stream(TENANT, child_id_of(steps["run"].step_id, 1)),
        task_stream(TENANT, task_id_of(steps["work"].step_id, 1)),
    ):
        assert await engine.store.load(stream) == ()


@pytest.mark.parametrize("kind", ["approval", "workflow", "task"])
async def test_what_was_answered_in_time_counts_however_late_it_is_passed_on(
    engine: Engine, kind: str
) -> None:
    workflow_id = await engine.start(f"waits-for-{kind}")
    asked = (await engine.workflow(workflow_id)).steps["ask"]
    engine.clock.advance(minutes=59)
    if kind == "approval":
        id, ballot = approval_id_of(asked.step_id, 1), Ballot(by="ann")
        await engine.dispatch(ApproveApproval(meta=metadata(), approval_id=id, ballot=ballot))
    elif kind == "task":
        id = task_id_of(asked.step_id, 1)
        await engine.dispatch(
            ClaimTask(meta=metadata(), task_id=id, worker_id="w", lease_digest="d", lease_seconds=60.0)
        )
        await engine.dispatch(CompleteTask(meta=metadata(), task_id=id, lease_digest="d", output={}))
    else:
        id = child_id_of(asked.step_id, 1)
        await engine.dispatch(CompleteStep(meta=metadata(), workflow_id=id, step="work", result={}))
    await engine.pass_time(minutes=2)
    assert (await engine.workflow(workflow_id)).steps["ask"].status == "completed"


@pytest.mark.parametrize("kind", ["approval", "workflow", "task"])
async def test_what_was_not_answered_in_time_is_given_up(engine: Engine, kind: str) -> None:
    workflow_id = await engine.start(f"waits-for-{kind}")
    await engine.pass_time(minutes=60)
    assert (await engine.workflow(workflow_id)).steps["ask"].status == "failed"


@pytest.mark.parametrize(
    ("by", "reason"), [(USER, "reported"), ("system:approval-steps", "rejected")], ids=["told", "given up"]
)
async def test_nobody_is_asked_any_longer_once_the_step_has_failed(
    engine: Engine, by: str, reason: FailureReason
) -> None:
    workflow_id = await engine.start("asks-twice")
    meta = metadata(actor=by)
    await engine.do(FailStep(meta=meta, workflow_id=workflow_id, step="sign_off", error="no", reason=reason))
    assert await statuses(engine, workflow_id) == {"sign_off": "failed"}
    assert (await approval_of(engine, workflow_id)).status == "withdrawn"


@pytest.mark.parametrize(
    ("by", "reason"), [(USER, "reported"), ("system:child-workflows", "rejected")], ids=["told", "given up"]
)
async def test_a_child_is_cancelled_whose_step_has_failed_without_it(
    engine: Engine, by: str, reason: FailureReason
) -> None:
    workflow_id = await engine.start("runs-it")
    child_id = child_id_of((await engine.workflow(workflow_id)).steps["run"].step_id, 1)
    meta = metadata(actor=by)
    await engine.do(FailStep(meta=meta, workflow_id=workflow_id, step="run", error="no", reason=reason))
    assert (await engine.workflow(child_id)).status == "cancelled"


async def test_a_child_that_has_failed_and_is_tried_again_is_not_cancelled_for_it(engine: Engine) -> None:
    workflow_id = await engine.start("runs-it")
    child_id = child_id_of((await engine.workflow(workflow_id)).steps["run"].step_id, 1)
    await engine.do(FailStep(meta=metadata(), workflow_id=child_id, step="work", error="no"))
    assert await statuses(engine, workflow_id) == {"run": "failed"}
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=child_id))
    engine.configure(*ALL)
    await engine.settle()
    assert (await engine.workflow(child_id)).status == "running"
