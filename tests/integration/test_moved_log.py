"""A service goes on on another store: nothing is said twice, and nothing is forgotten."""

import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.harness import USER, Service, eventually, run_command, service, settings_in
from tests.integration.conftest import is_connected
from tests.moved_logs import held
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

PATH = "/api/v1/hitl/approvals"


async def asked(running: Service, count: int) -> list[str]:
    """Ask for approvals; their ids."""
    async with running.client() as client:
        deals = [{"opportunityId": f"opp-{each}", "riskScore": 1, "amount": 1} for each in range(count)]
        return [(await client.post(PATH, json=deal)).json()["id"] for deal in deals]


async def decided(running: Service, approval_id: str) -> int:
    """Approve; the id of the event that says so."""
    async with running.client() as client:
        answer = await client.post(f"{PATH}/{approval_id}/approve", json={"decidedBy": USER})
    assert answer.status_code == 200, answer.text
    return int(answer.headers["x-position"].split("-")[1])


async def statuses(running: Service) -> dict[str, str]:
    """What the list says of each approval."""
    async with running.client() as client:
        return {each["id"]: each["status"] for each in (await client.get(PATH)).json()["approvals"]}


async def moved(source: str, target: str) -> None:
    """Copy the log, as an operator does between two lives of the service."""

    def run() -> "subprocess.CompletedProcess[str]":
        return run_command("copy-log", "--from", source, "--to", target)

    ended = await anyio.to_thread.run_sync(run)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.rabbitmq
@pytest.mark.parametrize("documents", ["kept", "derived anew"])
async def test_nothing_is_published_again_there_and_back_and_what_is_pending_is_decided_once(
    tmp_path: Path, rabbitmq_url: str, postgres_store_url: str, names: Names, crm: Neighbour, documents: str
) -> None:
    def folder(name: str) -> Path:
        made = tmp_path / ("first" if documents == "kept" else name)
        made.mkdir(exist_ok=True)
        return made

    def told() -> list[Any]:
        return [message["id"] for message in crm.messages()]

    first = f"sqlite:///{tmp_path / 'first' / 'data' / 'events.db'}"
    stores = [first, postgres_store_url, f"sqlite:///{tmp_path / 'back' / 'events.db'}"]
    settings = [
        settings_in(folder(name), overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=store)
        for name, store in zip(("first", "second", "third"), stores, strict=True)
    ]
    async with service(settings[0]) as running:
        await is_connected(running)
        approvals = await asked(running, 5)
        newest = [await decided(running, each) for each in approvals[:2]][-1]
        async with running.client() as client:
            await client.post("/api/v1/workflows", json={"opportunityId": "opp-9"})
        await crm.expect("hitl.approval.completed", 2)
        await crm.expect("workflow.recommendation.requested")
        await running.caught_up()
        listed = await statuses(running)

    for life, (source, target) in enumerate(pairwise(stores), start=1):
        before = told()
        await moved(source, target)
        async with service(settings[life]) as running:
            await is_connected(running)
            await running.caught_up()
            await anyio.sleep(0.3)
            assert told() == before
            assert await statuses(running) == listed
            if documents == "kept":
                handled = {each.name: each.status.handled for each in running.container.parts.followers}
                del handled["audit"]  # its index does not move: it is made anew
                assert set(handled.values()) == {0}
            position = await decided(running, approvals[1 + life])
            assert position > newest
            newest = position
            await crm.expect("hitl.approval.completed", 2 + life)
            await running.caught_up()
            await anyio.sleep(0.3)
            assert len(told()) == len(before) + 1
            listed = await statuses(running)
    assert sorted(listed.values()) == ["approved"] * 4 + ["pending"]


async def test_a_step_whose_answer_is_waited_for_times_out_on_the_new_store(
    tmp_path: Path, postgres_store_url: str, rabbitmq_url: str, names: Names
) -> None:
    settings = settings_in(tmp_path, WORKFLOW_STEP_TIMEOUT_SECONDS="3")
    async with service(settings) as running, running.client() as client:
        answer = await client.post("/api/v1/workflows", json={"opportunityId": "opp-9"})
        workflow_id = answer.json()["workflowId"]
        await running.caught_up()
    await moved(settings.storage.effective_event_store_url.get_secret_value(), postgres_store_url)
    assert held(postgres_store_url).timers
    settings = settings_in(
        tmp_path, overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url, EVENT_STORE_URL=postgres_store_url
    )
    async with service(settings) as running, running.client() as client:

        async def failed() -> bool:
            workflow = (await client.get(f"/api/v1/workflows/{workflow_id}")).json()
            return bool(workflow["status"] == "failed")

        await eventually(failed)
