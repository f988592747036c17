"""`rebuild` after a life of kills: the same documents byte for byte, and not a word to anyone."""

import sqlite3
import subprocess
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from application.event_log import number_of
from tests.chaos.decisions import (
    Answered,
    all_published,
    ask,
    decide_a_bit_of_everything,
    get,
    in_thread,
    until_ready,
)
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually, run_command
from tests.integration.test_opportunity_analysis import REPLIES
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

CONTAINERS = (
    "workflow_workflows",
    "workflow_steps",
    "workflow_executions",
    "hitl_approvals",
    "workflow_job_runs",
    "workflow_backfills",
    "workflow_tasks",
    "workflow_definitions",
)

CALL_BACK = {
    "name": "call-back",
    "version": 1,
    "steps": [{"stepType": "call", "kind": "task", "parameters": {"queue": "calls"}}],
}


def dump(data_dir: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every container, as it is stored."""
    with closing(sqlite3.connect(f"file:{data_dir / 'documents.db'}?mode=ro", uri=True)) as connection:
        return {
            name: connection.execute(
                f'SELECT tenant, id, version, CAST(body AS BLOB) FROM "{name}" ORDER BY tenant, id'
            ).fetchall()
            for name in CONTAINERS
        }


async def a_mixed_history(service: ServiceProcess, crm: Neighbour) -> None:
    """Decided and pending approvals; workflows that run, complete, fail and are retried; runs of jobs, and a
    backfill; a task of a tenant's own definition."""
    answered = Answered()
    await decide_a_bit_of_everything(service, answered, count=6)
    await all_published(crm, answered)
    async with service.async_client() as client:
        await ask(client)
        completed, failed, retried, *_ = answered.workflows
        for reply, data in REPLIES.items():
            await crm.send(reply, {"workflowId": completed, **data})
        for workflow_id in (failed, retried):
            await crm.send("recommendation.generation.failed", {"workflowId": workflow_id, "error": "tired"})
            await crm.send("risk.evaluation.failed", {"workflowId": workflow_id, "error": "no data"})
        await crm.expect("workflow.opportunity.analysis.completed")
        await crm.expect("workflow.opportunity.analysis.failed", 2)
        answer = await client.post(f"/api/v1/workflows/{retried}/retry")
        assert answer.status_code == 200, answer.text
        answer = await client.put("/api/v1/workflow-definitions/call-back", json=CALL_BACK)
        assert answer.status_code == 201, answer.text
        answer = await client.post("/api/v1/workflows", json={"definition": "call-back"})
        assert answer.status_code == 202, answer.text
    await crm.expect("workflow.recommendation.requested", 7)
    for message_type in ("workflow.job.completed", "workflow.job.failed"):
        data = {"job": "outcome-sync", "status": "success", "error": "none"}
        await crm.send(message_type, data, tenant=SYSTEM_TENANT)

    async def runs_are_closed() -> bool:
        runs = (await get(service, "/jobs/outcome-sync/runs", SYSTEM_TENANT))["runs"]
        return {run["status"] for run in runs} == {"published", "completed", "failed"}

    await eventually(runs_are_closed)
    async with service.async_client(SYSTEM_TENANT) as client:
        days = {"from": "2026-01-01", "to": "2026-01-06"}
        answer = await client.post("/api/v1/jobs/propagation/backfills", json=days)
        assert answer.status_code == 201, answer.text

    async def a_task_is_offered() -> bool:
        return bool((await get(service, "/tasks"))["total"] == 1)

    await eventually(a_task_is_offered)


async def test_a_rebuild_gives_the_same_documents_and_sends_no_message(
    service: ServiceProcess, crm: Neighbour, rabbitmq_url: str
) -> None:
    def rebuild(*names: str) -> "subprocess.CompletedProcess[str]":
        return run_command("rebuild", *names, DATA_DIR=str(service.data_dir), RABBITMQ_URL=rabbitmq_url)

    await in_thread(service.start)
    await until_ready(service)
    await a_mixed_history(service, crm)
    await until_ready(service)
    service.kill()
    await in_thread(service.start)
    await until_ready(service)
    before = dump(service.data_dir)
    assert all(before.values())
    told = len(crm.messages())
    for stopped in (False, True):
        if stopped:
            assert await in_thread(lambda: service.terminate()) == 0
        for names in ((), ("hitl_approvals",), ("workflow_steps", "workflow_workflows")):
            rebuilt = await in_thread(partial(rebuild, *names))
            assert rebuilt.returncode == 0, rebuilt.stderr
            assert dump(service.data_dir) == before
            for name in names or CONTAINERS:
                assert name in rebuilt.stdout
    await anyio.sleep(0.3)
    assert len(crm.messages()) == told

    await in_thread(service.start)
    await until_ready(service)
    await anyio.sleep(0.3)
    assert dump(service.data_dir) == before
    assert len(crm.messages()) == told


@pytest.mark.parametrize("is_running", [True, False])
async def test_a_comparison_names_what_was_damaged_and_a_rebuild_mends_it(
    service: ServiceProcess, is_running: bool
) -> None:
    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_command(*arguments, DATA_DIR=str(service.data_dir))

    await in_thread(service.start)
    await decide_a_bit_of_everything(service, Answered(), count=2)
    await until_ready(service)
    await until_published(service)
    await until_saved(service)
    if not is_running:
        assert await in_thread(lambda: service.terminate()) == 0
    before = dump(service.data_dir)
    compared = await in_thread(lambda: command("rebuild", "--verify"))
    assert (compared.returncode, compared.stderr) == (0, "")
    with closing(sqlite3.connect(service.data_dir / "documents.db", timeout=10)) as file, file:
        edited = "UPDATE hitl_approvals SET body = json_set(body, '$.status', 'lost') RETURNING tenant, id"
        wrong = {(*row, "differs in status") for row in file.execute(edited).fetchall()}
        deleted = "DELETE FROM workflow_steps RETURNING tenant, id, version"
        for tenant, id, version in file.execute(deleted).fetchall():
            wrong.add((tenant, id, f"is missing; the log makes it, at version {version}"))
        tenant = next(iter(wrong))[0]
        file.execute(
            "INSERT INTO workflow_tasks (tenant, id, version, body) VALUES (?, 'x', 3, '{}')", [tenant]
        )
        wrong.add((tenant, "x", "is there at version 3; the log makes none"))
    damaged = dump(service.data_dir)
    compared = await in_thread(lambda: command("rebuild", "--verify"))
    assert compared.returncode == 1
    assert compared.stderr.strip() == (
        f"{len(wrong)} documents differ from the log; rebuild these projections"
    )
    named = [line.split(" ", 3) for line in compared.stdout.splitlines() if not line.startswith("folding")]
    assert {(tenant, id, what) for _, tenant, id, what in named} == wrong
    assert dump(service.data_dir) == damaged
    rebuilt = await in_thread(lambda: command("rebuild"))
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert dump(service.data_dir) == before
    compared = await in_thread(lambda: command("rebuild", "--verify", "hitl_approvals", "workflow_tasks"))
    assert (compared.returncode, compared.stderr) == (0, "")
    assert sorted(each.name for each in service.data_dir.glob("*.db")) == [
        "documents.db",
        "events-audit.db",
        "events-followers.db",
        "events-keys.db",
        "events.db",
    ]


async def until_published(service: ServiceProcess) -> None:
    """Until nothing changes any more of itself."""

    async def all_published() -> bool:
        runs = (await get(service, "/jobs/outcome-sync/runs", SYSTEM_TENANT))["runs"]
        return all(run["status"] == "published" for run in runs)

    await eventually(all_published)
    await until_ready(service)


async def until_saved(service: ServiceProcess) -> None:
    """Until every projection's position is kept, which a comparison goes up to."""

    async def all_saved() -> bool:
        with closing(sqlite3.connect(service.data_dir / "documents.db")) as file:
            positions = file.execute(
                "SELECT DISTINCT position FROM follower_positions WHERE partition <> 'recipe'"
            ).fetchall()
        with closing(sqlite3.connect(service.data_dir / "events.db")) as file:
            (last,) = file.execute("SELECT max(rowid) FROM stored_events").fetchone()
        return [number_of(position) for (position,) in positions] == [last]

    await eventually(all_saved)


def test_a_rebuild_of_something_unknown_is_refused_with_one_clear_line(tmp_path: Path) -> None:
    refused = run_command("rebuild", "hitl_aprovals", DATA_DIR=str(tmp_path / "data"))
    assert refused.returncode != 0
    (line,) = (refused.stdout + refused.stderr).strip().splitlines()
    assert "hitl_aprovals" in line
    assert "hitl_approvals" in line
