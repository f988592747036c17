"""Approvals: asked for by event or REST, decided over REST, told over RabbitMQ."""

from collections import Counter
from typing import Any
from uuid import uuid4

import anyio
import httpx
import pytest

from domain.values import is_uuid
from tests.harness import OTHER_TENANT, TENANT, USER, Service, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PATH = "/api/v1/hitl/approvals"

ASKED: dict[str, Any] = {
    "opportunityId": "opp-1",
    "riskScore": 0.91,
    "amount": 250000,
    "requestedAt": "2026-11-22T22:10:05.123Z",
    "ownerId": "owner-1",
    "approverId": "approver-1",
    "recipientId": "recipient-1",
    "approvalUrl": "https://crm.example/approvals/1",
}


async def listed(client: httpx.AsyncClient, **filters: str) -> list[dict[str, Any]]:
    """The tenant's approvals."""
    answer = await client.get(PATH, params=filters)
    assert answer.status_code == 200, answer.text
    approvals: list[dict[str, Any]] = answer.json()["approvals"]
    return approvals


async def asked_for(service: Service, crm: Neighbour, opportunity: str = "opp-1") -> str:
    """An approval that an event has asked for; its id."""
    await crm.send("hitl.approval.requested", {**ASKED, "opportunityId": opportunity})
    async with service.client() as client:

        async def there() -> list[dict[str, Any]]:
            return await listed(client, opportunityId=opportunity)

        (approval,) = await eventually(there)
    identifier: str = approval["id"]
    return identifier


async def test_who_asked_gets_the_answer_with_the_correlation_of_the_question(
    orchestrator: Service, crm: Neighbour
) -> None:
    correlation = str(uuid4())
    await crm.send("hitl.approval.requested", ASKED, metadata={"correlationId": correlation})
    async with orchestrator.client() as client:
        (approval,) = await eventually(lambda: listed(client))
        path = f"{PATH}/{approval['id']}/approve"
        assert (await client.post(path, json={"decidedBy": "ada"})).status_code == 200
        (answer,) = await crm.expect("hitl.approval.completed")
        assert answer["metadata"]["correlationId"] == correlation

        async def led_to() -> list[str]:
            found = await client.get(f"/api/v1/audit/correlations/{correlation}")
            roots = [each["type"] for each in found.json().get("roots", ())]
            return roots if len(roots) == 2 else []

        assert await eventually(led_to) == ["approval.requested", "approval.approved"]


async def test_an_event_asks_for_one_pending_approval(orchestrator: Service, crm: Neighbour) -> None:
    approval_id = await asked_for(orchestrator, crm)
    async with orchestrator.client() as client:
        answer = await client.get(f"{PATH}/{approval_id}")
    assert answer.headers["etag"] == '"1"'
    approval = answer.json()
    assert approval.items() >= {**ASKED, "status": "pending", "tenantId": TENANT}.items()
    assert is_uuid(approval["id"])
    assert "decidedBy" not in approval


async def test_the_same_request_twice_makes_one_approval(orchestrator: Service, crm: Neighbour) -> None:
    message_id = str(uuid4())
    for _ in range(3):
        await crm.send("hitl.approval.requested", ASKED, message_id=message_id)
    await crm.send("hitl.approval.requested", {**ASKED, "opportunityId": "opp-last"})
    async with orchestrator.client() as client:

        async def last() -> list[dict[str, Any]]:
            return await listed(client, opportunityId="opp-last")

        await eventually(last)
        assert len(await listed(client, opportunityId="opp-1")) == 1


@pytest.mark.parametrize(("verb", "approved"), [("approve", True), ("reject", False)])
async def test_a_decision_publishes_exactly_one_message(
    orchestrator: Service, crm: Neighbour, verb: str, approved: bool
) -> None:
    approval_id = await asked_for(orchestrator, crm)
    correlation = str(uuid4())
    async with orchestrator.client(**{"X-User-ID": USER, "X-Correlation-ID": correlation}) as client:
        decision = {"decidedBy": USER, "comment": "fine by me"}
        answer = await client.post(f"{PATH}/{approval_id}/{verb}", json=decision)
        again = await client.post(f"{PATH}/{approval_id}/{verb}", json=decision)
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["x-position"]
    decided = answer.json()
    assert decided["status"] == ("approved" if approved else "rejected")
    assert decided["comment"] == "fine by me"
    assert again.status_code == 200
    assert again.json() == decided

    (message,) = await crm.expect("hitl.approval.completed")
    assert message["data"] == {
        "tenantId": TENANT,
        "opportunityId": "opp-1",
        "approvalId": approval_id,
        "approved": approved,
        "decidedBy": USER,
        "decidedAt": decided["decidedAt"],
    }
    assert message["tenantId"] == TENANT
    assert message["metadata"]["correlationId"] == correlation
    assert message["metadata"]["userId"] == USER
    await orchestrator.caught_up()
    await anyio.sleep(0.2)
    (raw,) = [each for each in crm.seen if each.type == "hitl.approval.completed"]
    assert raw.delivery_mode == 2
    assert raw.message_id == message["id"]
    assert raw.app_id == "workflow-orchestrator"
    assert raw.content_type == "application/json"
    assert raw.headers == {"tenantId": TENANT, "version": "1.0"}
    assert raw.timestamp is not None
    assert raw.routing_key == "hitl.approval.completed"


async def test_of_fifty_decisions_at_once_one_wins_and_the_others_learn_who(
    orchestrator: Service, crm: Neighbour
) -> None:
    approval_id = await asked_for(orchestrator, crm)
    answers: list[httpx.Response] = []

    async def decide(number: int) -> None:
        verb = "approve" if number % 2 else "reject"
        async with orchestrator.client() as client:
            decision = {"decidedBy": f"person-{number}"}
            answers.append(await client.post(f"{PATH}/{approval_id}/{verb}", json=decision))

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(decide, number)

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code == 409:
            error = answer.json()["error"]
            assert error["code"] == "HITL_APPROVAL_NOT_PENDING"
            assert error["details"] == {
                "status": winner["status"],
                "decidedBy": winner["decidedBy"],
                "decidedAt": winner["decidedAt"],
            }
    await orchestrator.caught_up()
    (message,) = await crm.expect("hitl.approval.completed")
    assert message["data"]["decidedBy"] == winner["decidedBy"]
    async with orchestrator.client() as client:
        events = (await client.get(f"{PATH}/{approval_id}/events")).json()
    assert events["total"] == 2


async def test_a_second_tenant_sees_none_of_it(orchestrator: Service, crm: Neighbour) -> None:
    approval_id = await asked_for(orchestrator, crm)
    unknown = str(uuid4())
    async with orchestrator.client(OTHER_TENANT) as stranger:
        assert await listed(stranger) == []
        for method, path, body in [
            ("GET", "{}", None),
            ("GET", "{}/events", None),
            ("POST", "{}/approve", {"decidedBy": USER}),
            ("POST", "{}/reject", {"decidedBy": USER}),
        ]:
            theirs = await stranger.request(method, f"{PATH}/{path.format(approval_id)}", json=body)
            nobodys = await stranger.request(method, f"{PATH}/{path.format(unknown)}", json=body)
            assert theirs.status_code == nobodys.status_code == 404
            told = theirs.json()["error"]["message"].replace(approval_id, unknown)
            assert told == nobodys.json()["error"]["message"]
    async with orchestrator.client() as client:
        assert (await client.get(f"{PATH}/{approval_id}")).json()["status"] == "pending"
    assert crm.messages("hitl.approval.completed") == []


async def test_an_approval_made_by_rest_can_be_read_at_once(orchestrator: Service, crm: Neighbour) -> None:
    async with orchestrator.client() as client:
        answer = await client.post(PATH, json={"opportunityId": "opp-2", "riskScore": 0.5, "amount": 10})
        assert answer.status_code == 201
        again = await client.get(answer.headers["location"])
        assert again.json() == answer.json()
        assert again.headers["etag"] == answer.headers["etag"] == '"1"'
        await orchestrator.caught_up()
        stored = await client.get(answer.headers["location"])
        assert stored.content == again.content


async def test_a_decision_on_an_older_version_is_refused(orchestrator: Service, crm: Neighbour) -> None:
    approval_id = await asked_for(orchestrator, crm)
    async with orchestrator.client() as client:
        for tag in ('"7"', "junk", 'W/"1"'):
            answer = await client.post(
                f"{PATH}/{approval_id}/approve", json={"decidedBy": USER}, headers={"If-Match": tag}
            )
            assert answer.status_code == 412, tag
            assert answer.json()["error"]["code"] == "VERSION_MISMATCH"
        answer = await client.post(
            f"{PATH}/{approval_id}/approve", json={"decidedBy": USER}, headers={"If-Match": '"1"'}
        )
        assert answer.status_code == 200


async def test_a_list_is_paged_newest_first_without_gap_or_double(
    orchestrator: Service, crm: Neighbour
) -> None:
    async with orchestrator.client() as client:
        made = [
            (await client.post(PATH, json={"opportunityId": "opp", "riskScore": 1, "amount": n})).json()
            for n in range(7)
        ]
        await orchestrator.caught_up()
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await client.get(PATH, params={"limit": 3, **cursor})).json()
            assert page["total"] == 7
            seen += [approval["id"] for approval in page["approvals"]]
            if "nextCursor" not in page:
                break
            cursor = {"cursor": page["nextCursor"]}
    order = sorted(made, key=lambda each: (each["createdAt"], each["id"]), reverse=True)
    assert seen == [approval["id"] for approval in order]
