"""Steps that are approvals, waits and workflows, each event handled twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from application.approval_commands import ApproveApproval, RejectApproval
from application.policies.child_workflows import MOST_DEPTH
from application.workflow_commands import CancelWorkflow, CompleteStep, FailStep, RetryWorkflow, StartWorkflow
from domain import approval
from domain.approval import Approval, Ballot, approval_id_of, approval_stream
from domain.definition import Retry, Work, WorkflowDefinition
from domain.errors import ApprovalNotPending, DefinitionNotFound
from domain.workflow import child_id_of
from tests.application.engine import Engine, engine_of
from tests.builders import TENANT, USER, metadata
from tests.domain.plans import map_step, step
from tests.domain.scenario import fold

pytestmark = pytest.mark.anyio


def definition(name: str, *steps: Any, **how: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name=name, version=1, steps=steps, **how)


REVIEW = definition(
    "review",
    step(
        "sign_off",
        kind="approval",
        critical=True,
        input={"amount": "input.amount", "riskScore": "input.risk", "approverId": "'ann'"},
        timeout_seconds=3600.0,
    ),
    step("close", after=["sign_off"], when="results.sign_off.outcome == 'approved'"),
    step("tell", after=["sign_off"], when="results.sign_off.outcome == 'rejected'"),
)
ELSEWHERE = definition(
    "elsewhere",
    step("sign_off", kind="approval", input={"opportunityId": "input.deal"}, timeout_seconds=None),
)
PAUSES = definition(
    "pauses",
    step("rest", kind="wait", parameters={"seconds": 60}, timeout_seconds=None),
    step("then", after=["rest"]),
)
HURRIED = definition(
    "hurried",
    step(
        "rest",
        kind="wait",
        parameters={"seconds": 60},
        timeout_seconds=1,
        critical=True,
        retry=Retry(attempts=2, delay_seconds=10, jitter=0),
    ),
)
UNTIL = definition(
    "until",
    step("rest", kind="wait", parameters={"until": "at"}, input={"at": "input.at"}, timeout_seconds=None),
)
CHILD = definition("child", step("work"))
PARENT = definition(
    "parent",
    step(
        "run",
        kind="workflow",
        critical=True,
        parameters={"definition": "child"},
        input={"n": "input.n"},
        timeout_seconds=600.0,
        retry=Retry(attempts=2, delay_seconds=5, jitter=0, on=("reported",)),
    ),
)
FORGETS = definition(
    "forgets", step("run", kind="workflow", parameters={"definition": "child", "await": False})
)
LOST = definition("lost", step("run", kind="workflow", parameters={"definition": "nowhere"}, critical=True))
LOST_AND_FORGOTTEN = definition(
    "lost-and-forgotten",
    step(
        "run",
        kind="workflow",
        parameters={"definition": "nowhere", "await": False},
        retry=Retry(attempts=2, on=("rejected",)),
    ),
)
ITSELF = definition(
    "itself", step("run", kind="workflow", parameters={"definition": "itself"}, critical=True)
)
ASKS = definition(
    "asks",
    step(
        "ask",
        kind="approval",
        critical=True,
        input={
            "riskScore": "input.risk",
            **{name: f"input.{name}" for name in ("amount", "opportunityId", "approverId", "approvalUrl")},
        },
    ),
)
FORKS = definition(
    "forks",
    map_step(
        "run",
        over="input.deals",
        each=Work(kind="workflow", parameters={"definition": "forks"}, input={"deals": "input.deals"}),
        critical=True,
    ),
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    all_of_them = (
        REVIEW,
        ELSEWHERE,
        PAUSES,
        HURRIED,
        UNTIL,
        CHILD,
        PARENT,
        FORGETS,
        LOST,
        LOST_AND_FORGOTTEN,
        ITSELF,
        FORKS,
        ASKS,
    )
    async with engine_of(tmp_path, *all_of_them) as engine:
        yield engine


async def approval_of(engine: Engine, workflow_id: str, attempt: int = 1) -> Approval:
    step = (await engine.workflow(workflow_id)).steps["sign_off"]
    events = await engine.store.load(approval_stream(TENANT, approval_id_of(step.step_id, attempt)))
    return fold(approval.evolve, [recorded.event for recorded in events])


async def statuses(engine: Engine, workflow_id: str) -> dict[str, str]:
    return {each.step_type: step.status for each, step in (await engine.workflow(workflow_id)).planned()}


async def test_an_approval_is_for_the_workflows_opportunity_or_else_for_the_inputs(engine: Engine) -> None:
    for own, told in (("opp-1", "opp-1"), (None, "opp-2")):
        workflow_id = await engine.start("elsewhere", {"deal": "opp-2"}, opportunity_id=own)
        assert (await approval_of(engine, workflow_id)).opportunity_id == told


@pytest.mark.parametrize(
    ("verb", "outcome", "ways"),
    [
        (ApproveApproval, "approved", {"close": "running", "tell": "skipped"}),
        (RejectApproval, "rejected", {"close": "skipped", "tell": "running"}),
    ],
)
async def test_a_decision_is_the_steps_result_and_leads_where_the_definition_says(
    engine: Engine, verb: Any, outcome: str, ways: dict[str, str]
) -> None:
    workflow_id = await engine.start("review", {"amount": 5, "risk": 0.9})
    asked = await approval_of(engine, workflow_id)
    assert (asked.status, asked.opportunity_id) == ("pending", "opp-1")
    await engine.do(
        verb(meta=metadata(), approval_id=asked.approval_id, ballot=Ballot(by="ann", comment="fine"))
    )
    result = (await engine.workflow(workflow_id)).results["sign_off"]
    assert (result["outcome"], result["decidedBy"], result["comment"]) == (outcome, "ann", "fine")
    assert result["approvalId"] == asked.approval_id
    assert {**await statuses(engine, workflow_id)} == {"sign_off": "completed", **ways}


async def test_nobody_is_asked_any_longer_once_the_step_is_out_of_time(engine: Engine) -> None:
    workflow_id = await engine.start("review", {"amount": 5, "risk": 0.9})
    await engine.pass_time(hours=1)
    assert (await engine.workflow(workflow_id)).status == "failed"
    asked = await approval_of(engine, workflow_id)
    assert asked.status == "withdrawn"
    late = ApproveApproval(meta=metadata(), approval_id=asked.approval_id, ballot=Ballot(by="ann"))
    with pytest.raises(ApprovalNotPending):
        await engine.do(late)
    await engine.do(RetryWorkflow(meta=metadata(), workflow_id=workflow_id))
    assert (await approval_of(engine, workflow_id, attempt=2)).status == "pending"


async def test_nobody_is_asked_any_longer_once_the_workflow_is_cancelled(engine: Engine) -> None:
    workflow_id = await engine.start("review", {"amount": 5, "risk": 0.9})
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=workflow_id, reason="off"))
    assert (await approval_of(engine, workflow_id)).status == "withdrawn"


async def test_an_approval_without_an_opportunity_fails_its_step(engine: Engine) -> None:
    workflow_id = await engine.start("review", {"amount": 5, "risk": 0.9}, opportunity_id=None)
    assert (await engine.workflow(workflow_id)).failure == "an approval needs an opportunityId"


async def test_a_wait_is_over_after_its_time_and_not_before(engine: Engine) -> None:
    workflow_id = await engine.start("pauses")
    await engine.pass_time(seconds=59)
    assert await statuses(engine, workflow_id) == {"rest": "running", "then": "pending"}
    await engine.pass_time(seconds=1)
    assert await statuses(engine, workflow_id) == {"rest": "completed", "then": "running"}


async def test_a_wait_of_a_cancelled_workflow_wakes_nobody(engine: Engine) -> None:
    workflow_id = await engine.start("pauses")
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=workflow_id, reason="off"))
    before = len(await engine.events(workflow_id))
    await engine.pass_time(hours=1)
    assert len(await engine.events(workflow_id)) == before


async def test_a_wait_that_was_out_of_time_is_not_over_later(engine: Engine) -> None:
    workflow_id = await engine.start("hurried")
    await engine.pass_time(seconds=1)
    assert await statuses(engine, workflow_id) == {"rest": "retrying"}
    await engine.pass_time(seconds=10)
    assert await statuses(engine, workflow_id) == {"rest": "running"}
    await engine.pass_time(seconds=1)
    before = await engine.events(workflow_id)
    assert (await engine.workflow(workflow_id)).status == "failed"
    await engine.pass_time(hours=1)
    assert await engine.events(workflow_id) == before


@pytest.mark.parametrize(
    ("at", "passed", "status"),
    [
        ("2026-11-22T23:10:05.123+00:00", 3_599, "running"),
        ("2026-11-23T00:10:05.123+01:00", 3_600, "completed"),
        ("2020-01-01T00:00:00Z", 0, "completed"),
        ("tomorrow", 0, "failed"),
        ("2026-11-22T23:10:05", 0, "failed"),
        (None, 0, "failed"),
    ],
)
async def test_a_wait_until_a_moment(engine: Engine, at: str | None, passed: float, status: str) -> None:
    workflow_id = await engine.start("until", {"at": at})
    await engine.pass_time(seconds=passed)
    assert await statuses(engine, workflow_id) == {"rest": status}


async def test_a_childs_results_are_the_steps_result(engine: Engine) -> None:
    workflow_id = await engine.start("parent", {"n": 7})
    child_id = child_id_of((await engine.workflow(workflow_id)).steps["run"].step_id, 1)
    child = await engine.workflow(child_id)
    assert (child.input, child.depth, child.opportunity_id) == ({"n": 7}, 1, "opp-1")
    await engine.do(CompleteStep(meta=metadata(), workflow_id=child_id, step="work", result={"x": 1}))
    parent = await engine.workflow(workflow_id)
    assert parent.status == "completed"
    assert parent.results == {"run": {"workflowId": child_id, "results": {"work": {"x": 1}}}}


async def test_a_child_that_fails_fails_its_step_and_a_new_try_is_a_new_child(engine: Engine) -> None:
    workflow_id = await engine.start("parent", {"n": 7})
    step_id = (await engine.workflow(workflow_id)).steps["run"].step_id
    child_id = child_id_of(step_id, 1)
    await engine.do(CancelWorkflow(meta=metadata(), workflow_id=child_id, reason="she is ill"))
    assert await statuses(engine, workflow_id) == {"run": "retrying"}
    error = (await engine.workflow(workflow_id)).steps["run"].error
    assert error == f"workflow {child_id}: it was cancelled"
    await engine.pass_time(seconds=5)
    second = await engine.workflow(child_id_of(step_id, 2))
    assert second.status == "running"
    await engine.do(CompleteStep(meta=metadata(), workflow_id=second.workflow_id, step="work", result={}))
    assert (await engine.workflow(workflow_id)).status == "completed"


async def test_a_child_goes_down_with_its_parent(engine: Engine) -> None:
    for end in ("cancelled", "out of time"):
        workflow_id = await engine.start("parent", {"n": 7})
        child_id = child_id_of((await engine.workflow(workflow_id)).steps["run"].step_id, 1)
        if end == "cancelled":
            await engine.do(CancelWorkflow(meta=metadata(), workflow_id=workflow_id, reason="off"))
        else:
            await engine.pass_time(minutes=10)
        assert (await engine.workflow(child_id)).status == "cancelled"


async def test_a_child_that_is_not_awaited_runs_on_its_own(engine: Engine) -> None:
    workflow_id = await engine.start("forgets")
    parent = await engine.workflow(workflow_id)
    assert parent.status == "completed"
    child_id = parent.results["run"]["workflowId"]
    await engine.do(FailStep(meta=metadata(), workflow_id=child_id, step="work", error="no"))
    assert (await engine.workflow(child_id)).status == "completed"
    assert (await engine.workflow(workflow_id)).status == "completed"


async def test_a_child_that_cannot_be_started_fails_its_step(engine: Engine) -> None:
    workflow_id = await engine.start("lost")
    assert (await engine.workflow(workflow_id)).failure == "there is no workflow definition nowhere"


async def test_a_definition_that_runs_itself_comes_to_an_end(engine: Engine) -> None:
    workflow_id = await engine.start("itself")
    top = await engine.workflow(workflow_id)
    assert top.status == "failed"
    assert f"nested at most {MOST_DEPTH} deep" in str(top.failure)


async def test_a_definition_that_multiplies_comes_to_an_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.policies.child_workflows.MOST_BREADTH", 20)
    workflow_id = await engine.start("forks", {"deals": [1, 2, 3]})
    top = await engine.workflow(workflow_id)
    assert top.status == "failed"
    child = await engine.workflow(child_id_of(top.steps["run[0]"].step_id, 1))
    grandchild = await engine.workflow(child_id_of(child.steps["run[0]"].step_id, 1))
    assert (child.breadth, grandchild.breadth, grandchild.depth) == (3, 9, 2)
    assert "27 workflows would be started side by side; at most 20 may" in str(
        grandchild.steps["run[0]"].error
    )


async def test_a_start_that_comes_again_after_its_definition_has_gone_changes_nothing(
    engine: Engine,
) -> None:
    workflow_id = await engine.start("pauses")
    engine.definitions.by_name = {}
    again = StartWorkflow(meta=metadata(), workflow_id=workflow_id, definition="pauses")
    assert (await engine.dispatch(again)).new == ()
    with pytest.raises(DefinitionNotFound):
        await engine.dispatch(StartWorkflow(meta=metadata(), workflow_id="another", definition="pauses"))


async def test_a_child_that_cannot_be_started_is_not_said_to_be_begun(engine: Engine) -> None:
    workflow_id = await engine.start("lost-and-forgotten")
    assert await statuses(engine, workflow_id) == {"run": "retrying"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", "x"),
        ("amount", 1e16),
        ("risk", True),
        ("opportunityId", "a\nb"),
        ("opportunityId", "x" * 256),
        ("approverId", 5),
        ("approvalUrl", "javascript:alert(1)"),
    ],
)
async def test_an_approval_that_rest_would_refuse_is_not_asked_for(
    engine: Engine, name: str, value: object
) -> None:
    workflow_id = await engine.start("asks", {name: value})
    state = await engine.workflow(workflow_id)
    assert state.status == "failed"
    assert str(state.failure).startswith({"risk": "riskScore"}.get(name, name))


@pytest.mark.parametrize("named", [None, "somebody-else"])
async def test_whoever_started_the_workflow_has_asked_for_its_approvals(
    engine: Engine, named: str | None
) -> None:
    workflow_id = await engine.start("review", {"amount": 5, "risk": 0.9, "requestedBy": named})
    assert (await approval_of(engine, workflow_id)).requested_by == USER
