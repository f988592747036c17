"""Approvals and workflows, of which some have ended, made through the service for tests of archiving."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from config.settings import Settings
from infrastructure.signatures import new_key
from tests.harness import OTHER_TENANT, USER, Service, eventually, settings_in

API = "/api/v1"

CONTAINERS = (
    "workflow_workflows",
    "workflow_steps",
    "workflow_executions",
    "hitl_approvals",
    "workflow_tasks",
    "workflow_definitions",
)

CHILD = {
    "name": "call-back",
    "version": 1,
    "steps": [{"stepType": "call", "kind": "task", "critical": True, "parameters": {"queue": "calls"}}],
}
PARENT = {
    "name": "campaign",
    "version": 1,
    "steps": [
        {"stepType": "calls", "kind": "workflow", "critical": True, "parameters": {"definition": "call-back"}}
    ],
}


class Made:
    """The IDs of what was made."""

    def __init__(self) -> None:
        self.decided: list[str] = []
        self.pending = ""
        self.others = ""
        self.done = ""
        """A workflow that has ended, and its child too."""
        self.open = ""
        """A workflow whose child waits for a worker."""
        self.failed = ""
        """A workflow whose step has failed."""


def signing_settings(folder: Path, *, overlay: Mapping[str, Any] | None = None, **environ: str) -> Settings:
    """Return settings with a signing key, whose public key is beside the data."""
    pem, signer = new_key()
    folder.mkdir(exist_ok=True)
    (folder / "key.pub").write_bytes(signer.public.pem)
    (folder / "key.pem").write_bytes(pem)
    return settings_in(folder, overlay=overlay, AUDIT_SIGNING_KEY_FILE=str(folder / "key.pem"), **environ)


async def posted(client: httpx.AsyncClient, path: str, body: Mapping[str, Any], **headers: str) -> Any:
    """Send a command, and return the response."""
    answer = await client.post(f"{API}{path}", json=body, headers={"X-User-ID": USER, **headers})
    assert answer.is_success, answer.text
    return answer.json()


async def a_past(running: Service) -> Made:
    """Make decided and pending approvals of two tenants, and workflows with children, ended and not."""
    made = Made()
    async with running.client() as client, running.client(OTHER_TENANT) as other:
        for definition in (CHILD, PARENT):
            put = await client.put(f"{API}/workflow-definitions/{definition['name']}", json=definition)
            assert put.is_success, put.text
        for _ in range(3):
            made.decided.append(await _asked(client))
            await posted(client, f"/hitl/approvals/{made.decided[-1]}/reject", {"decidedBy": USER})
        made.pending = await _asked(client)
        made.others = await _asked(other)
        await posted(other, f"/hitl/approvals/{made.others}/reject", {"decidedBy": USER})
        made.done = await _started(client)
        await _work(client, "complete", {"output": {"said": "yes"}})
        await _until(client, made.done, "completed")
        made.failed = await _started(client)
        await _work(client, "fail", {"error": "no line", "retryable": False})
        await _until(client, made.failed, "failed")
        made.open = await _started(client)

        async def offered() -> bool:
            found = await client.get(f"{API}/tasks", params={"status": "offered"})
            return bool(found.json()["total"])

        await eventually(offered)
    await running.caught_up()
    return made


async def _asked(client: httpx.AsyncClient) -> str:
    body = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 3}
    return str((await posted(client, "/hitl/approvals", body))["id"])


async def _started(client: httpx.AsyncClient) -> str:
    return str((await posted(client, "/workflows", {"definition": "campaign"}))["id"])


async def _work(client: httpx.AsyncClient, how: str, body: Mapping[str, Any]) -> None:
    wanted = {"queue": "calls", "workerId": "w", "waitSeconds": 10}
    (task,) = (await posted(client, "/tasks/claim", wanted))["tasks"]
    await posted(client, f"/tasks/{task['id']}/{how}", {"leaseToken": task["leaseToken"], **body})


async def _until(client: httpx.AsyncClient, workflow_id: str, status: str) -> None:
    async def reached() -> bool:
        return bool((await client.get(f"{API}/workflows/{workflow_id}")).json()["status"] == status)

    await eventually(reached)


def documents_in(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all documents as they are stored."""
    with closing(sqlite3.connect(f"file:{data_dir / 'documents.db'}?mode=ro", uri=True)) as connection:
        return {
            name: connection.execute(
                f'SELECT tenant, id, version, CAST(body AS BLOB) FROM "{name}" ORDER BY tenant, id'
            ).fetchall()
            for name in CONTAINERS
        }
