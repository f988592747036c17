"""kill -9 at random while workflows of all kinds of steps run: each ends, and what is done is not done again.

``ENGINE_WORKFLOWS`` says how many (24 if silent; 200 for a long run), ``ENGINE_SEED`` by which chance.
What is promised of a step: it is carried out at least once, and after its completion is stored, never again.
So a service may see a call twice under one key while its answer is not stored, and a task may come back.
"""

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.decisions import in_thread
from tests.harness import TENANT, ServiceProcess, eventually
from tests.lying_service import Neighbour, lying_service

pytestmark = pytest.mark.anyio

WORKFLOWS = int(os.environ.get("ENGINE_WORKFLOWS", "24"))
SEED = int(os.environ.get("ENGINE_SEED", "7"))
KILLS = max(3, WORKFLOWS // 20)

CHILD = {
    "name": "child",
    "version": 1,
    "steps": [{"stepType": "rest", "kind": "wait", "parameters": {"seconds": 1}}],
}
MIXED = {
    "name": "mixed",
    "version": 1,
    "steps": [
        {
            "stepType": "score",
            "kind": "http",
            "parameters": {"service": "risk_analytics", "method": "POST", "path": "/slow/0.2/{workflowId}"},
            "input": {"workflowId": "workflow.id"},
            "retry": {"attempts": 10, "delay": 0.2},
            "critical": True,
        },
        {
            "stepType": "calls",
            "kind": "map",
            "after": ["score"],
            "map": {
                "over": "input.who",
                "atOnce": 2,
                "each": {"kind": "task", "parameters": {"queue": "calls"}, "input": {"who": "item"}},
            },
            "critical": True,
        },
        {
            "stepType": "nested",
            "kind": "workflow",
            "after": ["score"],
            "parameters": {"definition": "child"},
            "critical": True,
        },
        {
            "stepType": "rest",
            "kind": "wait",
            "after": ["calls", "nested"],
            "parameters": {"seconds": 0.5},
            "critical": True,
        },
    ],
}


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    with lying_service() as neighbour:
        yield neighbour


@pytest.fixture
def service(tmp_path: Path, neighbour: Neighbour) -> Iterator[ServiceProcess]:
    process = ServiceProcess(tmp_path, RISK_ANALYTICS_URL=neighbour.url)
    yield process
    process.stop()


async def insist(service: ServiceProcess, method: str, path: str, **what: Any) -> httpx.Response:
    """Ask until there is an answer, whoever is killed meanwhile."""

    async def answer() -> httpx.Response | None:
        try:
            async with service.async_client() as client:
                found = await client.request(method, f"/api/v1/{path}", **what)
        except httpx.TransportError:
            return None
        return None if found.status_code >= 500 else found

    found: httpx.Response = await eventually(answer, seconds=60, every=0.1)
    return found


class Worker:
    """Does whatever is offered, and remembers what it was told that it had done."""

    def __init__(self, service: ServiceProcess) -> None:
        self.accepted: Counter[tuple[str, str]] = Counter()
        self._service = service

    async def run(self) -> None:
        while True:
            claim = {"queue": "calls", "workerId": "w", "max": 20, "leaseSeconds": 5, "waitSeconds": 1}
            answer = await insist(self._service, "POST", "tasks/claim", json=claim)
            for task in answer.json()["tasks"]:
                done = {"leaseToken": task["leaseToken"], "output": {"who": task["input"]["who"]}}
                said = await insist(self._service, "POST", f"tasks/{task['id']}/complete", json=done)
                if said.status_code == 200:
                    self.accepted[task["workflowId"], task["stepId"]] += 1


@pytest.mark.timeout(600)
async def test_every_workflow_ends_and_no_completed_step_runs_again(
    service: ServiceProcess, neighbour: Neighbour
) -> None:
    chance = random.Random(SEED)
    await in_thread(service.start)
    for definition in (CHILD, MIXED):
        published = await insist(
            service, "PUT", f"workflow-definitions/{definition['name']}", json=definition
        )
        assert published.status_code == 201, published.text
    worker = Worker(service)
    workflows: list[str] = []

    async def start_all() -> None:
        for number in range(WORKFLOWS):
            body = {"definition": "mixed", "input": {"who": [f"{number}-{each}" for each in range(3)]}}
            key = {"Idempotency-Key": f"mixed-{SEED}-{number}"}
            answer = await insist(service, "POST", "workflows", json=body, headers=key)
            assert answer.status_code == 202, answer.text
            workflows.append(answer.json()["workflowId"])
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(worker.run)
        async with anyio.create_task_group() as load:
            load.start_soon(start_all)
            for _ in range(KILLS):
                await anyio.sleep(chance.uniform(0.3, 2.0))
                service.kill()
                await in_thread(service.start)

        async def all_ended() -> bool:
            running = await insist(service, "GET", "workflows?status=running&limit=1")
            return bool(running.json()["total"] == 0)

        await eventually(all_ended, seconds=240, every=0.5)
        tasks.cancel_scope.cancel()

    assert len(set(workflows)) == WORKFLOWS, "a repeated start under its key is one workflow"
    for workflow_id in workflows:
        await check(service, workflow_id)
    check_calls(neighbour, workflows, {each: await ended_at(service, each, "score") for each in workflows})
    assert len(worker.accepted) == WORKFLOWS * 3
    assert set(worker.accepted.values()) == {1}, "a task was accepted twice"


async def check(service: ServiceProcess, workflow_id: str) -> None:
    """It completed, and its log holds one completion of each step, and none after a completion."""
    workflow = (await insist(service, "GET", f"workflows/{workflow_id}")).json()
    assert workflow["status"] == "completed", workflow
    events = (await insist(service, "GET", f"workflows/{workflow_id}/events?limit=200")).json()["events"]
    completions = Counter(
        each["data"]["stepType"] for each in events if each["type"].endswith("step_completed")
    )
    assert completions == Counter(["score", "calls", "calls[0]", "calls[1]", "calls[2]", "nested", "rest"])
    dispatched = Counter(
        (each["data"]["stepType"], each["data"]["attempt"])
        for each in events
        if each["type"].endswith("step_dispatched")
    )
    assert set(dispatched.values()) == {1}
    assert [each["who"] for each in workflow["results"]["calls"]] == workflow["input"]["who"]


async def ended_at(service: ServiceProcess, workflow_id: str, step_type: str) -> float:
    """When a step was completed, in seconds."""
    workflow = (await insist(service, "GET", f"workflows/{workflow_id}")).json()
    (step,) = [each for each in workflow["steps"] if each["stepType"] == step_type]
    return datetime.fromisoformat(step["completedAt"]).timestamp()


def check_calls(neighbour: Neighbour, workflows: list[str], ended: dict[str, float]) -> None:
    """Each workflow's calls came under one key, and none after the step was completed."""
    calls: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in neighbour.seen():
        calls[each["path"].rsplit("/", 1)[1]].append(each)
    assert set(calls) == set(workflows)
    for workflow_id, made in calls.items():
        assert len({each["headers"]["idempotency-key"] for each in made}) == 1
        assert {each["headers"]["x-tenant-id"] for each in made} == {TENANT}
        assert all(each["at"] <= ended[workflow_id] + 0.001 for each in made), "called again"
