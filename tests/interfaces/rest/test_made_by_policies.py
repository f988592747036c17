"""What a command's answer names is there for a query with its position, though a policy makes it later."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest

from application.policies.reaction import Reaction
from domain.event import Recorded
from domain.lease import Lease
from tests.harness import SYSTEM_TENANT, Service, service, settings_in
from tests.interfaces.rest.test_freshness import not_before

pytestmark = pytest.mark.anyio

WORKFLOWS = "/api/v1/workflows"
APPROVALS = "/api/v1/hitl/approvals"
TASKS = "/api/v1/tasks"
JOB = "/api/v1/jobs/outcome-sync"
ASK = {"stepType": "ask", "kind": "approval", "resultKey": "said"}
CALL = {"stepType": "call", "kind": "task", "resultKey": "called", "parameters": {"queue": "calls"}}
CHILD = {"stepType": "child", "kind": "workflow", "resultKey": "done", "parameters": {"definition": "ask"}}
WINDOW = {"from": "2026-01-01", "to": "2026-01-02"}


class Held:
    """Policies that act on nothing until they are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.released = anyio.Event()
        handle = Reaction.handle
        held = self

        async def late(reaction: Reaction, events: Sequence[Recorded], lease: Lease) -> None:
            await held.released.wait()
            await handle(reaction, events, lease)

        monkeypatch.setattr(Reaction, "handle", late)

    async def release_soon(self) -> None:
        """While somebody waits for them, it is hoped."""
        await anyio.sleep(0.2)
        self.released.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest.fixture(
    params=["here", pytest.param("elsewhere", marks=[pytest.mark.postgres, pytest.mark.rabbitmq])]
)
async def asked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    """A service whose policies act here, or by another process on the same log."""
    if request.param == "here":
        async with service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running:
            yield running
        return
    shared = {
        "EVENT_STORE_URL": request.getfixturevalue("postgres_store_url"),
        "RABBITMQ_URL": request.getfixturevalue("rabbitmq_url"),
        "BATCH_JOBS_ENABLED": "false",
    }
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    without = settings_in(here, SERVICE_ROLES="api,projector", **shared)
    acting = settings_in(there, SERVICE_ROLES="scheduler", **shared)
    async with service(without) as running, service(acting):
        yield running


async def begun(client: httpx.AsyncClient, step: dict[str, Any]) -> httpx.Response:
    """A workflow of one step."""
    for each in (ASK, step):
        definition = {"name": each["stepType"], "steps": [each]}
        made = await client.put(f"/api/v1/workflow-definitions/{each['stepType']}", json=definition)
        assert made.status_code in (200, 201), made.text
    body = {"definition": step["stepType"], "opportunityId": "opp-1"}
    started = await client.post(WORKFLOWS, json=body)
    assert started.status_code == 202, started.text
    return started


@pytest.mark.parametrize(
    ("step", "name", "path"),
    [
        (ASK, "approvalId", APPROVALS),
        (CALL, "taskId", TASKS),
        (CHILD, "childWorkflowId", WORKFLOWS),
    ],
)
async def test_what_a_start_names_is_there(
    asked: Service, held: Held, step: dict[str, Any], name: str, path: str
) -> None:
    async with asked.client() as client:
        started = await begun(client, step)
        named = f"{path}/{started.json()['steps'][0][name]}"
        assert (await client.get(named)).status_code == 404, "else this test could not fail"
        async with anyio.create_task_group() as group:
            group.start_soon(held.release_soon)
            read = await client.get(named, headers=not_before(started, 20))
        trail = await client.get(f"{named}/events", headers=not_before(started, 20))
    assert (read.status_code, trail.status_code) == (200, 200), read.text


async def test_the_first_run_of_a_backfill_is_there(asked: Service, held: Held) -> None:
    async with asked.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as client:
        started = await client.post(f"{JOB}/backfills", json=WINDOW)
        assert started.status_code == 201, started.text
        run = f"{JOB}/runs/{started.json()['openWindows'][0]['runId']}"
        assert (await client.get(run)).status_code == 404, "else this test could not fail"
        async with anyio.create_task_group() as group:
            group.start_soon(held.release_soon)
            read = await client.get(run, headers=not_before(started, 20))
    assert read.status_code == 200, read.text


async def test_what_nobody_makes_is_not_there_once_the_policies_have_come_so_far(
    asked: Service, held: Held
) -> None:
    held.released.set()
    async with asked.client() as client:
        started = await begun(client, ASK)
        for path in (APPROVALS, TASKS, WORKFLOWS):
            read = await client.get(f"{path}/{uuid4()}", headers=not_before(started, 20))
            assert read.status_code == 404, read.text


async def test_what_may_still_be_made_when_the_wait_is_over_is_not_yet(asked: Service, held: Held) -> None:
    async with asked.client() as client:
        started = await begun(client, ASK)
        named = f"{APPROVALS}/{started.json()['steps'][0]['approvalId']}"
        for wait in (0, 1):
            read = await client.get(named, headers=not_before(started, wait))
            assert (read.status_code, read.json()["error"]["code"]) == (503, "NOT_YET")
            assert read.headers["retry-after"] == "1"
        other = await client.get(f"{WORKFLOWS}/{uuid4()}", headers=not_before(started, 20))
        assert other.status_code == 404, "who makes workflows wants nothing of this"
        held.released.set()
