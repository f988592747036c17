"""The audit trail over REST: across the tenant, as trees, as an export; and of each thing by itself."""

import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from application.approval_commands import RequestApproval
from domain.approval import ApprovalCommented, approval_stream
from domain.event import Recorded
from domain.values import timestamp
from infrastructure.signatures import new_key
from tests.audit_trail import audited_log, verify_file
from tests.builders import NOW, metadata
from tests.contract.contract import validate_document
from tests.harness import (
    OTHER_TENANT,
    SYSTEM_TENANT,
    TENANT,
    UNKNOWN_ID,
    USER,
    Service,
    eventually,
    run_command,
    service,
    service_process,
    settings_in,
)
from tests.services import free_port

pytestmark = pytest.mark.anyio

TRAIL = "/api/v1/audit/events"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    """A service that signs."""
    pem, signer = new_key()
    (tmp_path / "key.pub").write_bytes(signer.public.pem)
    settings = settings_in(tmp_path, AUDIT_SIGNING_KEY=pem.decode(), AUDIT_ANCHOR_EVERY_SECONDS="0.1")
    async with service(settings) as each:
        yield each


async def approval(client: httpx.AsyncClient, **headers: str) -> tuple[str, str]:
    """An approval that somebody has decided: its id, and where the log then stands."""
    asked = await client.post(
        "/api/v1/hitl/approvals",
        json={"opportunityId": "opp-1", "riskScore": 0.5, "amount": 3},
        headers=headers,
    )
    assert asked.status_code == 201, asked.text
    id = asked.json()["id"]
    decided = await client.post(
        f"/api/v1/hitl/approvals/{id}/reject",
        json={"decidedBy": USER, "comment": "no"},
        headers={"X-User-ID": USER},
    )
    assert decided.status_code == 200, decided.text
    return id, decided.headers["X-Position"]


async def get(client: httpx.AsyncClient, path: str, position: str | None = None, **query: Any) -> Any:
    """An answer of 200."""
    headers = {"X-Min-Position": position} if position else {}
    answer = await client.get(path, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_was_just_done_is_in_the_trail_of_the_tenant_and_of_no_other(running: Service) -> None:
    async with running.client() as client, running.client(OTHER_TENANT) as other:
        id, position = await approval(client)
        trail = await get(client, TRAIL, position)
        validate_document("TrailEventList", trail)
        assert [event["type"] for event in trail["events"]] == ["approval.requested", "approval.rejected"]
        assert [event["number"] for event in trail["events"]] == [1, 2]
        assert all(event["intact"] and event["aggregateId"] == id for event in trail["events"])
        assert trail["events"][1]["position"] == position
        assert trail["events"][1]["data"]["comment"] == "no"
        assert await get(other, TRAIL, position) == {"events": [], "total": 0}
        assert await get(other, TRAIL, position, aggregateId=id) == {"events": [], "total": 0}
        assert (await get(other, "/api/v1/audit/head", position))["number"] == 0


async def test_pages_lead_on_in_either_order(running: Service) -> None:
    async with running.client() as client, running.client(OTHER_TENANT) as other:
        for _ in range(5):
            _, position = await approval(client)
            await approval(other)
        whole = (await get(client, TRAIL, position))["events"]
        narrowed = {"after": whole[1]["position"], "before": whole[8]["position"]}
        for query, expected in (({}, whole), (narrowed, whole[2:8])):
            for order, wanted in (("asc", expected), ("desc", expected[::-1])):
                seen: list[Any] = []
                cursor: dict[str, str] = {}
                while True:
                    page = await get(client, TRAIL, limit=3, order=order, **query, **cursor)
                    assert page["total"] == len(expected)
                    seen += page["events"]
                    if "nextCursor" not in page:
                        break
                    cursor = {"cursor": page["nextCursor"]}
                assert seen == wanted
        assert (await get(client, TRAIL))["events"] == whole, "oldest first is the default"


async def test_filters_narrow_together(running: Service) -> None:
    async with running.client() as client:
        id, position = await approval(client)
        _, last = await approval(client)
        await get(client, TRAIL, last)

        async def count(**query: str) -> int:
            return int((await get(client, TRAIL, **query))["total"])

        assert await count(type="approval.rejected") == 2
        assert await count(actor=USER) == 2
        assert await count(type="approval.rejected", aggregateId=id) == 1
        assert await count(type="approval.rejected", aggregateId=id, actor="nobody") == 0
        assert await count(after=position) == 2
        assert await count(before=position) == 1
        assert await count(after="2020-01-01T00:00:00Z", before="2100-01-01T00:00:00Z") == 4
        assert await count(before="2020-01-01T00:00:00Z") == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"cursor": "WyJ4Il0"}, "cursor"),
        ({"after": "yesterday"}, "after"),
        ({"before": "log-7-0123456789ab"}, "before"),
        ({"who": "me"}, "who"),
        ({"order": "newest"}, "order"),
    ],
)
async def test_what_cannot_be_asked_is_refused(running: Service, query: dict[str, str], field: str) -> None:
    async with running.client() as client:
        answer = await client.get(TRAIL, params=query)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["error"]["details"]] == [field]


async def test_what_led_to_what_is_told_as_a_tree(running: Service) -> None:
    async with running.client(SYSTEM_TENANT) as client, running.client() as other:
        correlation = "0a1b2c3d-0000-4000-8000-00000000c0de"
        fired = await client.post(
            "/api/v1/jobs/outcome-sync/trigger", headers={"X-Correlation-ID": correlation}
        )
        assert fired.status_code == 202, fired.text
        path = f"/api/v1/audit/correlations/{correlation}"

        async def tree() -> Any:
            answer = await client.get(path)
            return answer.json() if answer.status_code == 200 and answer.json()["total"] > 1 else None

        told = await eventually(tree)
        validate_document("Correlation", told)
        (root,) = told["roots"]
        assert root["type"] == "job.fired"
        assert [child["type"] for child in root["children"]] == ["job.run_published"]
        assert root["children"][0]["causationId"] == root["eventId"]
        assert (await other.get(path)).status_code == 404
        for unknown in ("none", ""):
            assert (await client.get(f"/api/v1/audit/correlations/{unknown}")).status_code == 404


async def test_a_correlation_id_may_have_slashes(running: Service) -> None:
    """Those of messages may be anything."""
    async with running.client() as client:
        correlation = "crm/2026/17"
        asked = RequestApproval(
            meta=metadata(correlation_id=correlation),
            approval_id="8a0f3f1f-0000-4000-8000-000000000017",
            opportunity_id="opp-1",
            risk_score=0.5,
            amount=1,
        )
        await running.container.dispatch(asked)

        async def told() -> Any:
            answer = await client.get(f"/api/v1/audit/correlations/{quote(correlation, safe='')}")
            return answer.json() if answer.status_code == 200 else None

        assert (await eventually(told))["correlationId"] == correlation


async def test_an_export_over_rest_proves_itself(running: Service, tmp_path: Path) -> None:
    async with running.client() as client, running.client(OTHER_TENANT) as other:
        id, position = await approval(client)
        answer = await client.get("/api/v1/audit/export", headers={"X-Min-Position": position})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        file = tmp_path / "export.ndjson"
        file.write_bytes(answer.content)
        told = verify_file(file, [tmp_path / "key.pub"])
        assert (told["sound"], told["events"]) == (True, 2)
        head = await get(client, "/api/v1/audit/head")
        assert told["heads"] == [{name: head[name] for name in ("tenantId", "number", "hash")}]
        foreign = await other.get("/api/v1/audit/export", params={"aggregateId": id})
        assert [json.loads(line)["kind"] for line in foreign.content.splitlines()] == ["header", "head"]


async def test_the_head_has_the_last_anchor_with_it(running: Service) -> None:
    async with running.client() as client:
        _, position = await approval(client)
        await get(client, TRAIL, position)

        async def anchored() -> Any:
            head = await get(client, "/api/v1/audit/head")
            return head if head.get("anchor", {}).get("number") == 2 else None

        head = await eventually(anchored)
        validate_document("AuditHead", head)
        assert head["anchor"]["hash"] == head["hash"]


async def test_the_chain_is_verified_a_stretch_at_a_time_and_for_its_own_tenant_alone(
    running: Service,
) -> None:
    path = "/api/v1/audit/verification"
    async with running.client() as client, running.client(OTHER_TENANT) as other:
        await approval(client)
        _, position = await approval(client)
        whole = await get(client, path, position)
        validate_document("AuditVerification", whole)
        assert whole == {"holds": True, "first": 1, "last": 4, "found": [], "total": 0}
        part = await get(client, path, limit=3)
        rest = await get(client, path, limit=3, cursor=part["nextCursor"])
        assert (part["last"], rest["first"], rest["last"]) == (3, 4, 4)
        assert (await get(other, path, position))["last"] == 0
        refused = await other.get(path, params={"cursor": part["nextCursor"]})
        assert refused.status_code == 400
        assert [each["field"] for each in refused.json()["error"]["details"]] == ["cursor"]


async def test_each_thing_has_its_own_trail_and_shows_it_to_nobody_else(running: Service) -> None:
    async with running.client(SYSTEM_TENANT) as system, running.client() as client:
        other = running.client(OTHER_TENANT)
        job = "/api/v1/jobs/outcome-sync"
        assert await get(system, f"{job}/events") == {"events": [], "total": 0}
        paused = await system.post(f"{job}/pause", json={"reason": "it is being moved"})
        assert paused.status_code == 200, paused.text
        trail = await get(system, f"{job}/events")
        validate_document("AuditEventList", trail)
        assert [each["data"]["reason"] for each in trail["events"]] == ["it is being moved"]
        assert (await client.get(f"{job}/events")).status_code == 403
        assert (await system.get("/api/v1/jobs/nothing/events")).status_code == 404

        begun = await system.post(
            f"{job}/backfills", json={"from": "2026-01-01", "to": "2026-01-02", "maxActive": 1}
        )
        assert begun.status_code == 201, begun.text
        backfill = f"{job}/backfills/{begun.json()['backfillId']}"
        trail = await get(system, f"{backfill}/events")
        assert trail["events"][-1]["type"] == "backfill.requested"
        assert (await client.get(f"{backfill}/events")).status_code == 403
        elsewhere = backfill.replace("outcome-sync", "propagation")
        assert (await system.get(f"{elsewhere}/events")).status_code == 404

        plan = {"steps": [{"stepType": "score", "kind": "task", "parameters": {"queue": "scoring"}}]}
        published = await client.put("/api/v1/workflow-definitions/own", json={"name": "own", **plan})
        assert published.status_code == 201, published.text
        trail = await get(client, "/api/v1/workflow-definitions/own/events")
        assert [each["type"] for each in trail["events"]] == ["definition.published"]
        assert (await other.get("/api/v1/workflow-definitions/own/events")).status_code == 404
        shipped = await get(client, "/api/v1/workflow-definitions/opportunity-analysis/events")
        assert shipped == {"events": [], "total": 0}

        ends_at = timestamp(datetime.now(UTC) + timedelta(days=30))
        made = await client.post(
            "/api/v1/hitl/delegations",
            json={"to": "b", "by": USER, "endsAt": ends_at},
            headers={"X-User-ID": USER},
        )
        assert made.status_code == 201, made.text
        delegation = f"/api/v1/hitl/delegations/{made.json()['id']}"
        await client.delete(delegation, headers={"X-User-ID": USER})
        first = await get(client, f"{delegation}/events", limit=1)
        assert ([each["type"] for each in first["events"]], first["total"]) == (["delegation.ended"], 2)
        rest = await get(client, f"{delegation}/events", cursor=first["nextCursor"])
        assert [each["type"] for each in rest["events"]] == ["delegation.made"]
        assert (await other.get(f"{delegation}/events")).status_code == 404
        await other.aclose()


async def test_a_tasks_trail(running: Service) -> None:
    async with running.client() as client, running.client(OTHER_TENANT) as other:
        plan = {"steps": [{"stepType": "score", "kind": "task", "parameters": {"queue": "scoring"}}]}
        await client.put("/api/v1/workflow-definitions/own", json={"name": "own", **plan})
        started = await client.post("/api/v1/workflows", json={"definition": "own", "input": {}})
        assert started.status_code == 202, started.text

        async def offered() -> Any:
            return (await get(client, "/api/v1/tasks"))["tasks"]

        (task,) = await eventually(offered)
        path = f"/api/v1/tasks/{task['taskId']}/events"
        assert [each["type"] for each in (await get(client, path))["events"]] == ["task.offered"]
        assert (await other.get(path)).status_code == 404
        assert (await client.get(f"/api/v1/tasks/{UNKNOWN_ID}/events")).status_code == 404


async def test_a_tenant_may_have_two_exports_at_once_and_one_that_is_not_taken_holds_nobody_up(
    tmp_path: Path,
) -> None:
    """More than all buffers hold, and two clients that take nothing of it."""
    position = await much(tmp_path)
    export = "/api/v1/audit/export"
    with service_process(tmp_path) as process:
        async with process.async_client() as client, process.async_client(OTHER_TENANT) as other:
            assert (await get(client, TRAIL, position))["total"] == 40 * 102
            async with client.stream("GET", export) as one, client.stream("GET", export) as two:
                assert (one.status_code, two.status_code) == (200, 200)
                third = await client.get(export)
                assert (third.status_code, third.json()["error"]["code"]) == (429, "TOO_MANY_STREAMS")
                assert (await other.get(export)).status_code == 200
                assert (await get(client, TRAIL))["total"] == 40 * 102

            async def free() -> bool:
                return (await client.get(export, params={"after": position})).status_code == 200

            await eventually(free)


async def much(folder: Path) -> str:
    """A log of 4080 events with more in them than all buffers hold; where it then stands."""
    async with service(settings_in(folder)) as running, running.client() as client:
        ids = [(await approval(client))[0] for _ in range(40)]
    async with audited_log(folder) as log:
        for id in ids:
            comments = [said(id, version, "x" * 4000) for version in range(3, 103)]
            log.log.recorder.insert_events([log.log.stored(each) for each in comments])
        return log.log.head("log")


async def drain(parts: AsyncIterator[bytes]) -> None:
    """Take all there is."""
    async for _ in parts:
        pass


def said(id: str, version: int, text: str) -> Recorded:
    """A comment on an approval."""
    return Recorded(
        stream=approval_stream(TENANT, id),
        version=version,
        timestamp=NOW,
        meta=metadata(),
        event=ApprovalCommented(approval_id=id, by=USER, at=NOW, text=text),
    )


async def test_an_export_that_is_stopped_does_not_look_whole(tmp_path: Path) -> None:
    """The service is told to stop while a client takes its time."""
    position = await much(tmp_path)
    with service_process(tmp_path) as process:
        async with process.async_client() as client:
            await get(client, TRAIL, position)
            async with client.stream("GET", "/api/v1/audit/export") as answer:
                parts = answer.aiter_bytes()
                await anext(parts)
                process.send_signal(signal.SIGTERM)
                with pytest.raises(httpx.HTTPError):
                    await drain(parts)
        assert process.wait() == 0


async def test_a_signing_key_is_shown_nowhere(tmp_path: Path) -> None:
    pem, _ = new_key()
    secret = pem.decode().splitlines()[1]
    shown = run_command("config", DATA_DIR=str(tmp_path), AUDIT_SIGNING_KEY=pem.decode())
    assert shown.returncode == 0, shown.stderr
    assert secret not in shown.stdout + shown.stderr
    for bad in (f"{secret}", pem.decode().replace("PRIVATE", "PUBLIC")):
        refused = run_command("serve", DATA_DIR=str(tmp_path), PORT=str(free_port()), AUDIT_SIGNING_KEY=bad)
        assert refused.returncode == 1
        assert (
            "audit.signing_key (AUDIT_SIGNING_KEY) is ***: it is not an Ed25519 private key" in refused.stderr
        )
        assert secret not in refused.stdout + refused.stderr
    with service_process(tmp_path, AUDIT_SIGNING_KEY=pem.decode().replace("\n", "\\n")) as process:

        async def announced() -> bool:
            return '"chain":"on"' in process.log

        await eventually(announced)
        assert secret not in process.log
