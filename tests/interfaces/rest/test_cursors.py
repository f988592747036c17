"""A cursor is of one list of one tenant, with its filters and in its order: no other list takes it."""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.contract.contract import operations, validate_answer
from tests.harness import OTHER_TENANT, SYSTEM_TENANT, Service
from tests.interfaces.rest.test_edges import fields

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
WORKFLOWS = "/api/v1/workflows"
TRAIL = "/api/v1/audit/events"
JOBS = "/api/v1/jobs"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}
CALL = {"stepType": "call", "kind": "task", "resultKey": "called", "parameters": {"queue": "calls"}}
THREE = {
    "name": "three",
    "steps": [{**CALL, "stepType": f"call{number}", "resultKey": f"r{number}"} for number in range(3)],
}
LIST_APPROVALS = next(each for each in operations() if each.id == "listApprovals")


@pytest.fixture
async def client(behind_gateway: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Of the system tenant, which has something in every list."""
    async with behind_gateway.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as client:
        ends_at = (datetime.now(UTC) + timedelta(days=7)).isoformat()
        for number in range(3):
            await done(
                client, "PUT", f"/api/v1/workflow-definitions/d{number}", {**THREE, "name": f"d{number}"}
            )
            await done(client, "POST", APPROVALS, DEAL)
            await done(client, "POST", WORKFLOWS, {"definition": "d0", "opportunityId": f"opp-{number}"})
            window = {"from": f"2026-01-0{number + 1}", "to": f"2026-01-0{number + 2}"}
            await done(client, "POST", f"{JOBS}/outcome-sync/backfills", window)
            delegated = {"to": f"person-{number}", "endsAt": ends_at}
            await done(client, "POST", "/api/v1/hitl/delegations", delegated)
        await behind_gateway.caught_up()
        yield client


async def done(client: httpx.AsyncClient, method: str, path: str, body: Any = None) -> httpx.Response:
    answer = await client.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer


def parts_of(cursor: str) -> list[str]:
    """What a cursor holds."""
    parts: list[str] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return parts


def cursor_with(parts: Sequence[str]) -> str:
    """A cursor that holds that."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


async def cursor_of(client: httpx.AsyncClient, path: str, **query: str) -> str:
    """The cursor of a list's second page."""
    page = (await done(client, "GET", str(httpx.URL(path, params={"limit": "1", **query})))).json()
    assert page["nextCursor"], page
    return str(page["nextCursor"])


async def lists(client: httpx.AsyncClient) -> list[str]:
    """Every list that has a second page."""
    approval = (await done(client, "GET", APPROVALS)).json()["approvals"][0]["id"]
    await done(client, "POST", f"{APPROVALS}/{approval}/comments", {"text": "why?"})
    workflow = (await done(client, "GET", WORKFLOWS)).json()["workflows"][0]["workflowId"]
    backfills = f"{JOBS}/outcome-sync/backfills"
    backfill = (await done(client, "GET", backfills)).json()["backfills"][-1]["id"]
    return [
        APPROVALS,
        f"{APPROVALS}/{approval}/events",
        WORKFLOWS,
        f"{WORKFLOWS}/{workflow}/steps",
        f"{WORKFLOWS}/{workflow}/events",
        "/api/v1/workflow-definitions",
        "/api/v1/tasks",
        "/api/v1/hitl/delegations",
        JOBS,
        f"{JOBS}/outcome-sync/runs",
        f"{JOBS}/outcome-sync/events",
        backfills,
        f"{backfills}/{backfill}/events",
        TRAIL,
        "/api/v1/audit/verification",
    ]


async def test_each_list_takes_its_own_cursor_and_no_others(client: httpx.AsyncClient) -> None:
    paths = await lists(client)
    cursors = {path: await cursor_of(client, path) for path in paths}
    for path in paths:
        for of, cursor in cursors.items():
            answer = await client.get(path, params={"cursor": cursor})
            assert answer.status_code == (200 if of == path else 400), (of, path, answer.text)
            if of != path:
                assert fields(answer) == {"cursor"}


async def test_a_list_goes_on_with_the_same_filters_and_no_others(client: httpx.AsyncClient) -> None:
    filters = {"status": "pending", "createdAfter": "2020-01-01T00:00:00Z"}
    cursor = await cursor_of(client, APPROVALS, **filters)
    same = {**filters, "createdAfter": "2020-01-01T01:00:00+01:00", "limit": "2"}
    taken = await client.get(APPROVALS, params={**same, "cursor": cursor})
    assert len(taken.json()["approvals"]) == 2, "the same moment, and as many as are left"
    for others in (
        {},
        {"status": "pending"},
        {**filters, "status": "approved"},
        {**filters, "overdue": "true"},
    ):
        refused = await client.get(APPROVALS, params={**others, "cursor": cursor})
        validate_answer(LIST_APPROVALS, refused)
        assert refused.status_code == 400
        assert fields(refused) == {"cursor"}


async def test_a_list_goes_on_in_the_same_order(client: httpx.AsyncClient) -> None:
    cursor = await cursor_of(client, TRAIL)
    for order, status in ({"order": "asc"}, 200), ({}, 200), ({"order": "desc"}, 400):
        assert (await client.get(TRAIL, params={**order, "cursor": cursor})).status_code == status


async def test_another_tenants_cursor_is_refused(client: httpx.AsyncClient) -> None:
    cursor = await cursor_of(client, APPROVALS)
    answer = await client.get(APPROVALS, params={"cursor": cursor}, headers={"X-Tenant-ID": OTHER_TENANT})
    assert answer.status_code == 400


async def test_a_cursor_of_the_release_before_is_refused_whatever_list_it_was_of(
    client: httpx.AsyncClient,
) -> None:
    for path in await lists(client):
        former = cursor_with(parts_of(await cursor_of(client, path))[1:])
        answer = await client.get(path, params={"cursor": former})
        assert (answer.status_code, fields(answer)) == (400, {"cursor"})


@pytest.mark.parametrize("part", ["\u00b2", "9" * 300, "0", "-1"])
async def test_a_forged_cursor_of_a_trail_is_refused(behind_gateway: Service, part: str) -> None:
    async with behind_gateway.client() as client:
        trail = f"{(await client.post(APPROVALS, json=DEAL)).headers['location']}/events"
        await client.post(trail.replace("events", "comments"), json={"text": "why?"})
        known = parts_of(await cursor_of(client, trail))
        answer = await client.get(trail, params={"cursor": cursor_with([known[0], part])})
    assert answer.status_code == 400
    assert fields(answer) == {"cursor"}
