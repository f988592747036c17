"""What can be answered about approvals and delegations, refusals above all, as the contract says it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from domain.values import timestamp
from infrastructure.clock import SystemClock
from tests.contract.contract import operations, validate_answer
from tests.harness import TENANT, Service, service, settings_in
from tests.services import free_port

OPERATIONS = {operation.id: operation for operation in operations()}

FINANCE = {"stages": [{"name": "finance", "approvers": [{"group": "finance", "count": 2}]}]}
TERMS = {
    "tenants": {
        TENANT: {
            "groups": {"finance": ["ada", "bob", "cleo"]},
            "policies": {
                "finance": FINANCE,
                "explained": {
                    "stages": [{"name": "s", "approvers": [{"user": "ada"}]}],
                    "reasonOnRejection": True,
                },
                "twice": {
                    "stages": [
                        {"name": "first", "approvers": [{"user": "ada"}]},
                        {"name": "second", "approvers": [{"user": "ada"}]},
                    ]
                },
            },
        }
    }
}
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10, "ownerId": "otto"}
ANOTHER_DIGEST = "sha256:" + "0" * 64

Json = dict[str, Any]

pytestmark = pytest.mark.anyio


class Desk:
    """Asks the service for operations of the contract, and holds each answer against it."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self.caught_up = running.caught_up

    async def ask(
        self, operation: str, person: str = "rita", body: Json | None = None, *, id: str = "", **query: str
    ) -> httpx.Response:
        """Somebody's request, by the operation's id."""
        described = OPERATIONS[operation]
        async with self._running.client(**{"X-User-ID": person}) as client:
            answer = await client.request(
                described.method, described.path.replace("{id}", id), json=body, params=query
            )
        validate_answer(described, answer)
        return answer

    async def refused(self, operation: str, person: str, body: Json | None = None, *, id: str = "") -> str:
        """The status code and the error code of a request that is refused."""
        answer = await self.ask(operation, person, body, id=id)
        return f"{answer.status_code} {answer.json()['error']['code']}"

    async def asked(self, policy: str | Json | None = None) -> str:
        """The id of an approval that Rita asks for, of Otto's deal."""
        body = DEAL if policy is None else DEAL | {"policy": policy}
        answer = await self.ask("createApproval", body=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    file = tmp_path / "approvals.yaml"
    file.write_text(yaml.safe_dump(TERMS))
    async with service(settings_in(tmp_path, APPROVALS_FILE=str(file))) as running:
        yield Desk(running)


def by(person: str, **more: str) -> Json:
    return {"decidedBy": person, **more}


async def test_each_refusal_of_a_decision_has_its_code(desk: Desk) -> None:
    id = await desk.asked("finance")
    assert await desk.refused("approveApproval", "otto", by("otto"), id=id) == "403 HITL_SEPARATION_OF_DUTIES"
    assert await desk.refused("approveApproval", "dora", by("dora"), id=id) == "403 HITL_NOT_AN_APPROVER"
    assert await desk.refused("rejectApproval", "dora", by("dora"), id=id) == "403 HITL_NOT_AN_APPROVER"
    stale = by("ada", payloadDigest=ANOTHER_DIGEST)
    assert await desk.refused("approveApproval", "ada", stale, id=id) == "409 HITL_PAYLOAD_CHANGED"
    elsewhere = by("ada", stage="legal")
    assert await desk.refused("approveApproval", "ada", elsewhere, id=id) == "409 HITL_STAGE_NOT_OPEN"
    assert (await desk.ask("approveApproval", "ada", by("ada"), id=id)).json()["status"] == "pending"
    assert await desk.refused("rejectApproval", "ada", by("ada"), id=id) == "409 HITL_DECIDED_OTHERWISE"
    assert (await desk.ask("approveApproval", "bob", by("bob"), id=id)).json()["status"] == "approved"
    assert await desk.refused("rejectApproval", "cleo", by("cleo"), id=id) == "409 HITL_APPROVAL_NOT_PENDING"


async def test_who_has_agreed_in_an_earlier_stage_names_the_one_they_mean(desk: Desk) -> None:
    id = await desk.asked("twice")
    for _ in range(2):
        once = (await desk.ask("approveApproval", "ada", by("ada"), id=id)).json()
        assert [stage["status"] for stage in once["stages"]] == ["agreed", "open"]
    again = await desk.ask("approveApproval", "ada", by("ada", stage="second"), id=id)
    assert again.json()["status"] == "approved"


async def test_a_rejection_may_need_a_reason(desk: Desk) -> None:
    id = await desk.asked("explained")
    assert await desk.refused("rejectApproval", "ada", by("ada"), id=id) == "400 VALIDATION_ERROR"
    answer = await desk.ask("rejectApproval", "ada", by("ada", comment="no champion"), id=id)
    assert answer.json()["status"] == "rejected"


async def test_a_request_that_cannot_be_met_is_refused(desk: Desk) -> None:
    of_finance = DEAL | {
        "policy": {"stages": [{"name": "s", "approvers": [{"group": "finance", "count": 3}]}]}
    }
    assert await desk.refused("createApproval", "ada", of_finance) == "409 HITL_APPROVAL_UNDECIDABLE"
    assert await desk.refused("createApproval", "ada", DEAL | {"policy": "none"}) == "400 VALIDATION_ERROR"
    late = DEAL | {"dueAt": "2026-01-01T00:00:00Z"}
    assert await desk.refused("createApproval", "ada", late) == "400 VALIDATION_ERROR"


async def test_what_is_for_others_to_do_is_refused(desk: Desk) -> None:
    id = await desk.asked("finance")
    off, larger = {"reason": "off"}, {"amount": 20}
    for operation, body in (("withdrawApproval", off), ("reviseApproval", larger)):
        assert await desk.refused(operation, "ada", body, id=id) == "403 FORBIDDEN"
    assert await desk.refused("claimApproval", "dora", id=id) == "403 HITL_NOT_AN_APPROVER"
    assert (await desk.ask("claimApproval", "ada", id=id)).json()["claimedBy"] == "ada"
    assert await desk.refused("claimApproval", "bob", id=id) == "409 HITL_APPROVAL_CLAIMED"
    assert await desk.refused("releaseApproval", "bob", id=id) == "403 FORBIDDEN"
    owner, requester = {"to": "otto", "reason": "his"}, {"to": "rita", "reason": "hers"}
    for body in (owner, requester):
        assert await desk.refused("reassignApproval", "ada", body, id=id) == "403 HITL_SEPARATION_OF_DUTIES"
    assert await desk.refused("reassignApproval", "dora", {"to": "eve", "reason": "r"}, id=id) == (
        "403 HITL_NOT_AN_APPROVER"
    )
    assert (await desk.ask("releaseApproval", "ada", id=id)).status_code == 200
    assert (await desk.ask("withdrawApproval", "otto", off, id=id)).json()["status"] == "withdrawn"
    for operation in ("claimApproval", "releaseApproval"):
        assert await desk.refused(operation, "ada", id=id) == "409 HITL_APPROVAL_NOT_PENDING"
    assert await desk.refused("reviseApproval", "rita", larger, id=id) == "409 HITL_APPROVAL_NOT_PENDING"
    assert (await desk.ask("commentOnApproval", "dora", {"text": "pity"}, id=id)).status_code == 201


async def test_delegations_are_answered_as_the_contract_says(desk: Desk) -> None:
    until = timestamp(SystemClock().now() + timedelta(days=30))
    made = await desk.ask("createDelegation", "ada", {"to": "gina", "endsAt": until, "reason": "on leave"})
    assert made.status_code == 201
    id = made.json()["id"]
    back = {"to": "ada", "endsAt": until}
    assert await desk.refused("createDelegation", "gina", back) == "409 HITL_DELEGATION_CYCLE"
    assert await desk.refused("createDelegation", "ada", back) == "400 VALIDATION_ERROR"
    assert await desk.refused("createDelegation", "bob", back | {"by": "cleo"}) == "403 FORBIDDEN"
    assert await desk.refused("endDelegation", "bob", id=id) == "403 FORBIDDEN"
    assert "endedAt" not in (await desk.ask("getDelegation", id=id)).json()
    assert "endedAt" in (await desk.ask("endDelegation", "ada", id=id)).json()
    assert await desk.refused("endDelegation", "ada", id=id) == "404 HITL_DELEGATION_NOT_FOUND"
    await desk.caught_up()
    (listed,) = (await desk.ask("listDelegations", by="ada")).json()["delegations"]
    assert "endedAt" in listed


async def test_the_inbox_is_as_the_contract_says(desk: Desk) -> None:
    id = await desk.asked("finance")
    await desk.caught_up()
    assert (await desk.ask("listApprovals", assignee="ada")).json()["total"] == 1
    assert (await desk.ask("countApprovals", assignee="ada")).json()["pending"] == 1
    counts = (await desk.ask("countApprovals")).json()
    assert set(counts) == {"pending", "approved", "rejected", "withdrawn", "expired", "overdue"}
    assert (await desk.ask("listApprovals", overdue="true")).status_code == 200
    await desk.ask("approveApproval", "ada", by("ada"), id=id)
    assert (await desk.ask("getApproval", id=id, asOf="1")).json()["stages"][0]["votes"] == []
    assert (await desk.ask("listApprovalEvents", id=id)).json()["total"] == 2


async def test_only_what_is_overdue_is_looked_for_among_the_pending(desk: Desk) -> None:
    id = await desk.asked()
    await desk.ask("withdrawApproval", body={"reason": "off"}, id=id)
    await desk.caught_up()
    assert (await desk.ask("listApprovals", overdue="false")).json()["total"] == 1
    assert (await desk.ask("listApprovals", overdue="true")).json()["total"] == 0


async def test_each_of_many_decisions_has_its_outcome(desk: Desk) -> None:
    id = await desk.asked("finance")
    decisions = [
        {"approvalId": id, "decision": "approve", "decidedBy": "ada"},
        {"approvalId": id, "decision": "approve", "decidedBy": "otto"},
        {"approvalId": "none", "decision": "reject", "decidedBy": "ada"},
    ]
    outcomes = (await desk.ask("decideApprovals", "ada", {"decisions": decisions})).json()["outcomes"]
    assert [outcome["status"] for outcome in outcomes] == [200, 403, 404]


async def test_while_the_directory_is_away_who_may_decide_is_not_known(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    settings = settings_in(tmp_path, AUTH_MODE="gateway", USER_MANAGEMENT_URL=away, JWT_SECRET="s" * 32)
    async with service(settings) as running:
        desk = Desk(running)
        id = await desk.asked(FINANCE)
        for operation, body in (
            ("approveApproval", by("ada")),
            ("rejectApproval", by("ada")),
            ("claimApproval", None),
            ("reassignApproval", {"to": "eve", "reason": "r"}),
            ("reviseApproval", {"amount": 20}),
        ):
            person = "rita" if operation == "reviseApproval" else "ada"
            assert await desk.refused(operation, person, body, id=id) == "503 DIRECTORY_UNAVAILABLE", (
                operation
            )
        for operation in ("listApprovals", "countApprovals"):
            answer = await desk.ask(operation, assignee="ada")
            assert answer.json()["error"]["code"] == "DIRECTORY_UNAVAILABLE"
        decision = {"approvalId": id, "decision": "approve", "decidedBy": "ada"}
        told = await desk.ask("decideApprovals", "ada", {"decisions": [decision]})
        (outcome,) = told.json()["outcomes"]
        assert (outcome["status"], outcome["error"]["code"]) == (503, "DIRECTORY_UNAVAILABLE")
        assert (await desk.ask("withdrawApproval", body={"reason": "off"}, id=id)).status_code == 200
