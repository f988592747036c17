"""The whole service with its documents in Cosmos DB."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from application.workflow_commands import CompleteStep
from config.commands.rebuild import rebuild
from config.projections import Projections
from config.settings import Settings
from tests.builders import metadata
from tests.cosmos import Account, administrator, dropped_afterwards, fresh_database
from tests.cosmos_gate import Refusal, gate_before
from tests.harness import (
    OTHER_TENANT,
    SYSTEM_TENANT,
    USER,
    Service,
    ServiceProcess,
    eventually,
    run_command,
    service,
    settings_in,
)
from tests.services import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

Dump = dict[str, dict[tuple[str, str], Mapping[str, Any]]]

LISTS = ("/api/v1/workflows", "/api/v1/hitl/approvals")
OMITTED = {"omittedBytes": 6 * 900_000 + len('{"text":""}')}
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 250_000}


@pytest.fixture
async def settings(tmp_path: Path, cosmos: Account) -> AsyncIterator[Settings]:
    """Settings with the documents in a database of this test's own."""
    database = fresh_database()
    async with dropped_afterwards(cosmos, database):
        yield settings_in(tmp_path, overlay=None, **cosmos.environ(database))


async def dump(account: Account, settings: Settings) -> Dump:
    """Every item of every container, but for what Cosmos DB adds to it."""
    dumped: Dump = {}
    async with administrator(account) as client:
        database = client.get_database_client(settings.cosmos_db.database_id)
        for projection in Projections.named_by(settings).all():
            name = projection.container.name
            dumped[name] = {
                (item["tenantId"], item["id"]): {
                    key: value for key, value in item.items() if not key.startswith("_")
                }
                async for item in database.get_container_client(name).read_all_items()
            }
    return dumped


async def some_work(running: Service) -> dict[str, Any]:
    """A workflow, an approval of two tenants, one of them approved, and a run of a job."""
    async with running.client(**{"X-User-ID": USER}) as client:
        workflow = (await client.post("/api/v1/workflows", json={"opportunityId": "opp-1"})).json()
        approval = (await client.post("/api/v1/hitl/approvals", json=ASKED)).json()
        pending = (await client.post("/api/v1/hitl/approvals", json=ASKED)).json()
        approved = await client.post(
            f"/api/v1/hitl/approvals/{approval['id']}/approve",
            json={"decidedBy": "ada"},
            headers={"X-User-ID": "ada"},
        )
        assert approved.json()["status"] == "approved"
    async with running.client(OTHER_TENANT) as client:
        assert (await client.post("/api/v1/hitl/approvals", json=ASKED)).status_code == 201
    async with running.client(SYSTEM_TENANT) as client:
        assert (await client.post("/api/v1/jobs/outcome-sync/trigger", json={})).status_code == 202
    await running.caught_up()
    return {"workflow": workflow, "approved": approved.json(), "pending": pending}


async def test_what_is_done_is_listed_and_a_rebuild_gives_it_again(
    settings: Settings, cosmos: Account
) -> None:
    async with service(settings) as running:
        done = await some_work(running)
        async with running.client() as client:
            workflows = (await client.get(LISTS[0])).json()
            assert workflows == {"workflows": [done["workflow"]], "total": 1}
            steps = (await client.get(f"{LISTS[0]}/{done['workflow']['workflowId']}/steps")).json()
            assert steps["total"] == 4
            found = await client.get(f"{LISTS[1]}/{done['approved']['id']}")
            assert (found.json(), found.headers["etag"]) == (done["approved"], '"2"')
            first = (await client.get(LISTS[1], params={"limit": 1})).json()
            second = (await client.get(LISTS[1], params={"limit": 1, "cursor": first["nextCursor"]})).json()
            assert first["total"] == second["total"] == 2
            assert "nextCursor" not in second
            listed = [*first["approvals"], *second["approvals"]]
            assert sorted(each["id"] for each in listed) == sorted(
                (done["approved"]["id"], done["pending"]["id"])
            )
            by_status = (await client.get(LISTS[1], params={"status": "approved"})).json()
            assert by_status["approvals"] == [done["approved"]]
            ready = (await client.get("/ready")).json()
            assert ready["checks"]["documents"] == {"status": "up"}
            metrics = (await client.get("/metrics")).text
            for line in (
                'cosmos_request_charge_total{container="hitl_approvals",operation="create"}',
                'cosmos_request_duration_seconds_count{container="workflow_positions",operation="batch"}',
            ):
                assert line in metrics
        before = await dump(cosmos, settings)
    assert [len(documents) for documents in before.values()] == [1, 4, 1, 3, 0, 1, 0, 0, 0]
    await rebuild(settings, ())
    assert await dump(cosmos, settings) == before
    async with service(settings) as running:
        await running.caught_up()
        assert await dump(cosmos, settings) == before


async def test_a_container_that_was_deleted_comes_back_with_its_documents_at_the_next_start(
    settings: Settings, cosmos: Account
) -> None:
    async with service(settings) as running:
        await some_work(running)
    before = await dump(cosmos, settings)
    async with administrator(cosmos) as client:
        await client.get_database_client(settings.cosmos_db.database_id).delete_container("hitl_approvals")
    async with service(settings) as running:
        await running.caught_up()
        assert await dump(cosmos, settings) == before


async def test_a_workflow_that_is_too_large_for_a_document_keeps_no_other_waiting(settings: Settings) -> None:
    large = {"text": "ä" * 900_000}
    async with service(settings) as running, running.client() as client:
        workflow = (await client.post("/api/v1/workflows", json={"opportunityId": "opp-1"})).json()[
            "workflowId"
        ]
        for step in ("risk_analysis", "forecast"):
            await running.container.dispatch(
                CompleteStep(meta=metadata(), workflow_id=workflow, step=step, result=large)
            )
        other = (await client.post("/api/v1/workflows", json={"opportunityId": "opp-2"})).json()["workflowId"]
        await running.caught_up()
        shown = (await client.get(f"/api/v1/workflows/{workflow}")).json()
        assert [step["status"] for step in shown["steps"]] == ["completed", "running", "completed", "running"]
        assert [step.get("result") for step in shown["steps"] if "result" in step] == [OMITTED, OMITTED]
        assert (await client.get(f"/api/v1/workflows/{other}")).json()["status"] == "running"
        listed = (await client.get("/api/v1/workflows")).json()
        assert {each["workflowId"] for each in listed["workflows"]} == {workflow, other}


async def test_commands_are_taken_while_cosmos_is_away_and_documents_follow_when_it_is_back(
    tmp_path: Path, plain_cosmos: Account
) -> None:
    database = fresh_database()
    async with (
        dropped_afterwards(plain_cosmos, database),
        gate_before(plain_cosmos) as (gate, account),
        service(settings_in(tmp_path, overlay=None, **account.environ(database))) as running,
        running.client() as client,
    ):
        gate.refuses_everything = Refusal(503, {"Retry-After": "30"})
        asked = await client.post(LISTS[1], json=ASKED)
        assert asked.status_code == 201
        listed = await client.get(LISTS[1])
        assert (listed.status_code, listed.json()["error"]["code"]) == (503, "STORE_UNAVAILABLE")
        assert int(listed.headers["retry-after"]) > 0
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["checks"]["documents"]["status"]) == (503, "down")
        gate.refuses_everything = None

        async def there() -> bool:
            return bool((await client.get(LISTS[1])).json().get("total"))

        await eventually(there)
        assert (await client.get(LISTS[1])).json()["approvals"] == [asked.json()]


async def test_a_start_waits_for_cosmos_with_a_line_a_try_and_gives_up_with_one(tmp_path: Path) -> None:
    environ = {
        "DATA_DIR": str(tmp_path),
        "PORT": str(free_port()),
        "COSMOS_DB_ENDPOINT": f"https://127.0.0.1:{free_port()}",
        "COSMOS_DB_KEY": "a2V5",
        "STORE_STARTUP_TIMEOUT_SECONDS": "2",
        "LOG_FORMAT": "json",
    }
    ended = await anyio.to_thread.run_sync(lambda: run_command("serve", timeout=30, **environ))
    *tries, last = ended.stderr.strip().splitlines()
    assert ended.returncode == 1
    assert tries
    assert all('"event":"store_away"' in line and '"store":"documents"' in line for line in tries)
    assert "the documents were unavailable for 2 s" in last
    assert "Traceback" not in ended.stderr


async def test_a_start_goes_on_once_cosmos_is_there(tmp_path: Path, plain_cosmos: Account) -> None:
    database, port = fresh_database(), free_port()
    behind = Account(f"http://127.0.0.1:{port}", plain_cosmos.key)
    process = ServiceProcess(tmp_path, overlay=None, **behind.environ(database), LOG_FORMAT="json")
    try:
        process.launch()

        async def has_tried() -> bool:
            return "store_away" in process.log

        await eventually(has_tried)
        async with dropped_afterwards(plain_cosmos, database), gate_before(plain_cosmos, port):
            await anyio.to_thread.run_sync(process.until_it_serves)
            assert f"Cosmos DB {behind.endpoint} {database}" in process.log
            assert await anyio.to_thread.run_sync(process.terminate) == 0
    finally:
        process.stop()
