"""What people and operators ask a service for over HTTP, and what the neighbours must then be told of it."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import anyio
import httpx

from tests.harness import SYSTEM_TENANT, TENANT, USER, ServiceProcess, eventually
from tests.neighbours import Neighbour

Decision = Literal["approve", "reject"]

JOB = "outcome-sync"
REQUESTS = (
    "workflow.risk.analysis.requested",
    "workflow.risk.scoring.requested",
    "workflow.forecast.requested",
    "workflow.recommendation.requested",
)


@dataclass
class Answered:
    """What the service has said yes to."""

    approvals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The decided approvals, as they were answered."""
    workflows: list[str] = field(default_factory=list)
    triggers: list[str] = field(default_factory=list)
    """A mark in each trigger's metadata, in the order of the answers."""


async def ask(client: httpx.AsyncClient, opportunity: str | None = None) -> str:
    """Ask for an approval over HTTP; its id."""
    body = {"opportunityId": opportunity or f"opp-{uuid4().hex[:8]}", "riskScore": 0.9, "amount": 120_000}
    answer = await client.post("/api/v1/hitl/approvals", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def decide(
    client: httpx.AsyncClient, approval_id: str, answered: Answered, decision: Decision = "approve"
) -> httpx.Response:
    """Decide, and note it once the answer is 200."""
    path = f"/api/v1/hitl/approvals/{approval_id}/{decision}"
    answer = await client.post(path, json={"decidedBy": USER})
    if answer.status_code == 200:
        answered.approvals[approval_id] = answer.json()
    return answer


async def start_workflow(client: httpx.AsyncClient, answered: Answered) -> httpx.Response:
    """Start a workflow, and note it once the answer is 202."""
    answer = await client.post("/api/v1/workflows", json={"opportunityId": f"opp-{uuid4().hex[:8]}"})
    if answer.status_code == 202:
        answered.workflows.append(answer.json()["workflowId"])
    return answer


async def trigger_job(client: httpx.AsyncClient, answered: Answered) -> httpx.Response:
    """Trigger a job, and note it once the answer is 202."""
    mark = uuid4().hex
    answer = await client.post(
        f"/api/v1/jobs/{JOB}/trigger",
        json={"metadata": {"mark": mark}},
        headers={"X-Tenant-ID": SYSTEM_TENANT},
    )
    if answer.status_code == 202:
        answered.triggers.append(mark)
    return answer


async def decide_a_bit_of_everything(service: ServiceProcess, answered: Answered, *, count: int = 6) -> None:
    """Approvals, rejections, workflows and triggers, each of which is answered well."""
    async with service.async_client() as client:

        async def one(number: int) -> None:
            approval_id = await ask(client)
            answer = await decide(client, approval_id, answered, "reject" if number % 3 == 0 else "approve")
            assert answer.status_code == 200, answer.text
            answer = await start_workflow(client, answered)
            assert answer.status_code == 202, answer.text

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)
        for _ in range(count):
            answer = await trigger_job(client, answered)
            assert answer.status_code == 202, answer.text


async def all_published(crm: Neighbour, answered: Answered, *, seconds: float = 20) -> None:
    """Wait until the neighbours have been told of all that was answered."""

    async def told() -> bool:
        return (
            set(answered.approvals) <= set(decided_ids(crm))
            and set(answered.triggers) <= set(marks(crm))
            and all(
                set(answered.workflows) <= {each["data"]["workflowId"] for each in crm.messages(request)}
                for request in REQUESTS
            )
        )

    await eventually(told, seconds=seconds)


def decided_ids(crm: Neighbour) -> list[str]:
    """The approvals that the neighbours were told to be decided."""
    return [each["data"]["approvalId"] for each in crm.messages("hitl.approval.completed")]


def marks(crm: Neighbour) -> list[str]:
    """The marks of the triggers that went out, in their order; one of cron's own may fall on the test."""
    told = (each["data"]["metadata"] for each in crm.messages("workflow.job.trigger"))
    return [metadata["mark"] for metadata in told if "mark" in metadata]


def assert_told_truly(crm: Neighbour, answered: Answered) -> None:
    """Each answered decision is told with the documented body; repeats are the same message."""
    by_approval = defaultdict(list)
    for message in crm.messages("hitl.approval.completed"):
        by_approval[message["data"]["approvalId"]].append(message)
    for approval_id, approval in answered.approvals.items():
        told = by_approval[approval_id]
        assert told, f"nobody was told of {approval_id}"
        assert {each["tenantId"] for each in told} == {TENANT}
        for each in told:
            assert each["data"] == {
                "tenantId": TENANT,
                "opportunityId": approval["opportunityId"],
                "approvalId": approval_id,
                "approved": approval["status"] == "approved",
                "decidedBy": USER,
                "decidedAt": approval["decidedAt"],
            }
    assert_repeats_are_the_same_message(crm)


def assert_repeats_are_the_same_message(crm: Neighbour) -> None:
    """What is said twice of one thing is one message, with one id: a receiver can tell."""
    ids = defaultdict(set)
    bodies: dict[str, dict[str, Any]] = {}
    for message in crm.messages():
        data = message["data"]
        thing = data.get("stepId") or _thing_of(message)
        ids[message["type"], thing].add(message["id"])
        said = {name: value for name, value in message.items() if name != "source"}
        assert bodies.setdefault(message["id"], said) == said
    assert {thing: each for thing, each in ids.items() if len(each) > 1} == {}


def _thing_of(message: dict[str, Any]) -> str:
    """The workflow, the approval, or the mark of the trigger that a message is about; or cron's job."""
    data = message["data"]
    if message["type"] == "workflow.job.trigger":
        return str(data["metadata"].get("mark", data["job"]))
    return str(data.get("workflowId") or data["approvalId"])


def assert_told_once_in_order(crm: Neighbour, answered: Answered) -> None:
    """Each answered decision is told exactly once, and each aggregate's messages are in its order.

    What was answered before may have been told twice: its confirmation can be lost with the broker.
    """
    assert_told_truly(crm, answered)
    wanted = {*answered.approvals, *answered.workflows, *answered.triggers}
    published = [message["id"] for message in crm.messages() if _thing_of(message) in wanted]
    assert len(published) == len(set(published)), "a message was published twice"
    assert [mark for mark in marks(crm) if mark in set(answered.triggers)] == answered.triggers
    for workflow_id in answered.workflows:
        types = [each["type"] for each in crm.messages() if each["data"].get("workflowId") == workflow_id]
        assert types[0] == "workflow.opportunity.analysis.started"
        assert sorted(types[1:]) == sorted(REQUESTS)


async def until(service: ServiceProcess, ready: Callable[[dict[str, Any]], bool], seconds: float = 20) -> Any:
    """Wait until what ``/ready`` says is so, and return it with its status code."""

    async def said() -> tuple[int, dict[str, Any]] | None:
        async with service.async_client() as client:
            answer = await client.get("/ready")
        body: dict[str, Any] = answer.json()
        return (answer.status_code, body) if ready(body) else None

    return await eventually(said, seconds=seconds, every=0.1)


async def until_ready(service: ServiceProcess, seconds: float = 20) -> None:
    """Wait until all is up, and every follower has handled what there is, or leaves that to another."""
    status, _ = await until(
        service,
        lambda body: (
            body["status"] == "ready"
            and all(each["status"] in ("running", "standby") for each in body["checks"]["followers"])
        ),
        seconds,
    )
    assert status == 200


async def in_thread(work: Callable[[], Any]) -> Any:
    """Blocking work beside the loop, so that connections to the broker live on."""
    return await anyio.to_thread.run_sync(work)


async def get(service: ServiceProcess, path: str, tenant: str = TENANT, **params: Any) -> dict[str, Any]:
    """The answer to a GET that must be 200."""
    async with service.async_client(tenant) as client:
        answer = await client.get(f"/api/v1{path}", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
