"""Every route of approvals and delegations with the ids of another tenant: there is no such thing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.values import timestamp
from infrastructure.clock import SystemClock
from tests.harness import OTHER_TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

APPROVALS, DELEGATIONS = "/api/v1/hitl/approvals", "/api/v1/hitl/delegations"
ASKED = {"opportunityId": "opp-1", "riskScore": 1, "amount": 2, "approverId": "ada", "payload": {"secret": 1}}

COMMANDS: dict[str, dict[str, Any] | None] = {
    "approve": {"decidedBy": "ada"},
    "reject": {"decidedBy": "ada"},
    "withdraw": {"reason": "off"},
    "reassign": {"to": "eve", "reason": "mine"},
    "revise": {"amount": 1},
    "comments": {"text": "hello"},
    "claim": None,
    "release": None,
}


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    async with service(settings_in(tmp_path)) as running:
        yield running


async def made(world: Service) -> tuple[str, str]:
    """An approval and a delegation of the first tenant."""
    until = timestamp(SystemClock().now() + timedelta(days=1))
    async with world.client(**{"X-User-ID": "rita"}) as client:
        approval = await client.post(APPROVALS, json=ASKED)
        delegation = await client.post(DELEGATIONS, json={"by": "rita", "to": "ada", "endsAt": until})
    assert (approval.status_code, delegation.status_code) == (201, 201), delegation.text
    await world.caught_up()
    return approval.json()["id"], delegation.json()["id"]


async def test_no_command_reaches_another_tenants_approval(world: Service) -> None:
    approval_id, _ = await made(world)
    async with world.client(OTHER_TENANT, **{"X-User-ID": "ada", "X-User-Roles": "admin"}) as stranger:
        for command, body in COMMANDS.items():
            answer = await stranger.post(f"{APPROVALS}/{approval_id}/{command}", json=body)
            assert answer.status_code == 404, (command, answer.text)
            assert answer.json()["error"]["code"] == "HITL_APPROVAL_NOT_FOUND"
        decision = {"approvalId": approval_id, "decision": "approve", "decidedBy": "ada"}
        answer = await stranger.post(f"{APPROVALS}/decisions", json={"decisions": [decision]})
        (outcome,) = answer.json()["outcomes"]
        assert (outcome["status"], outcome["error"]["code"]) == (404, "HITL_APPROVAL_NOT_FOUND")
    async with world.client() as client:
        unchanged = (await client.get(f"{APPROVALS}/{approval_id}/events")).json()
    assert unchanged["total"] == 1


async def test_no_query_shows_another_tenants_approval(world: Service) -> None:
    approval_id, _ = await made(world)
    async with world.client(OTHER_TENANT, **{"X-User-ID": "ada"}) as stranger:
        for path in (f"{APPROVALS}/{approval_id}", f"{APPROVALS}/{approval_id}?asOf=1"):
            assert (await stranger.get(path)).status_code == 404
        assert (await stranger.get(f"{APPROVALS}/{approval_id}/events")).status_code == 404
        for query in ("", "?assignee=ada", "?opportunityId=opp-1", "?status=pending"):
            answer = (await stranger.get(f"{APPROVALS}{query}")).json()
            assert (answer["approvals"], answer["total"]) == ([], 0)
        for query in ("", "?assignee=ada"):
            counts = (await stranger.get(f"{APPROVALS}/counts{query}")).json()
            assert set(counts.values()) == {0}


async def test_another_tenants_delegations_are_not_seen_not_ended_and_give_no_right(world: Service) -> None:
    approval_id, delegation_id = await made(world)
    async with world.client(OTHER_TENANT, **{"X-User-ID": "ada", "X-User-Roles": "admin"}) as stranger:
        assert (await stranger.get(f"{DELEGATIONS}/{delegation_id}")).status_code == 404
        assert (await stranger.delete(f"{DELEGATIONS}/{delegation_id}")).status_code == 404
        assert (await stranger.get(DELEGATIONS)).json() == {"delegations": [], "total": 0}
        asked = await stranger.post(APPROVALS, json=ASKED)
        for_rita = {"decidedBy": "ada", "onBehalfOf": "rita"}
        answer = await stranger.post(f"{APPROVALS}/{asked.json()['id']}/reject", json=for_rita)
        assert answer.status_code == 403
    async with world.client(**{"X-User-ID": "ada"}) as client:
        assert (await client.get(f"{DELEGATIONS}/{delegation_id}")).json()["to"] == "ada"
        answer = await client.post(f"{APPROVALS}/{approval_id}/approve", json={"decidedBy": "ada"})
        assert answer.json()["error"]["code"] == "HITL_SEPARATION_OF_DUTIES"


async def test_the_same_ids_in_two_tenants_are_two_things(world: Service) -> None:
    for tenant in (None, OTHER_TENANT):
        named = {} if tenant is None else {"tenant": tenant}
        async with world.client(**named, **{"X-User-ID": "rita", "Idempotency-Key": "one"}) as client:
            assert (await client.post(APPROVALS, json=ASKED)).status_code == 201
    await world.caught_up()
    async with world.client() as client:
        assert (await client.get(APPROVALS)).json()["total"] == 1
