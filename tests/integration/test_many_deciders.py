"""Many people at one approval, and one person at many: over REST, with the decision on a real RabbitMQ."""

from collections import Counter
from typing import Any

import anyio
import httpx
import pytest

from tests.harness import Service
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PATH = "/api/v1/hitl/approvals"
PEOPLE = [f"person-{number}" for number in range(50)]
POLICY: dict[str, Any] = {
    "stages": [
        {"name": "three", "approvers": [{"group": "all", "count": 3}]},
        {"name": "two", "approvers": [{"group": "all", "count": 2}]},
    ]
}


@pytest.fixture
def approvals_file() -> str:
    """Fifty people in one group."""
    return f'tenants: {{"*": {{groups: {{all: {PEOPLE}, few: {PEOPLE[:2]}}}}}}}'


async def ask(client: httpx.AsyncClient, **more: Any) -> str:
    """Ask for an approval; its id."""
    asked = {"opportunityId": "opp-1", "riskScore": 1, "amount": 2, **more}
    answer = await client.post(PATH, json=asked, headers={"X-User-ID": "rita"})
    assert answer.status_code == 201, answer.text
    approval_id: str = answer.json()["id"]
    return approval_id


async def test_of_fifty_at_once_just_as_many_count_as_are_needed_and_the_end_comes_once(
    orchestrator: Service, crm: Neighbour
) -> None:
    async with orchestrator.client() as client:
        approval_id = await ask(client, policy=POLICY)
    answers: dict[str, httpx.Response] = {}

    async def approve(person: str) -> None:
        async with orchestrator.client() as client:
            decision = {"decidedBy": person}
            answers[person] = await client.post(f"{PATH}/{approval_id}/approve", json=decision)

    async with anyio.create_task_group() as group:
        for person in PEOPLE:
            group.start_soon(approve, person)
    await orchestrator.caught_up()
    async with orchestrator.client() as client:
        events = (await client.get(f"{PATH}/{approval_id}/events")).json()["events"]
        approval = (await client.get(f"{PATH}/{approval_id}")).json()
    assert Counter(event["type"] for event in events) == {
        "approval.requested": 1,
        "approval.agreed": 5,
        "approval.stage_opened": 1,
        "approval.approved": 1,
    }
    counted = [event["data"]["by"] for event in events if event["type"] == "approval.agreed"]
    assert len(set(counted)) == 5
    assert {person for person, answer in answers.items() if answer.status_code == 200} == set(counted)
    for answer in answers.values():
        if answer.status_code != 200:
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (409, "HITL_APPROVAL_NOT_PENDING")
            assert error["details"]["decidedBy"] == approval["decidedBy"]
    (message,) = await crm.expect("hitl.approval.completed")
    assert message["data"]["decidedBy"] == approval["decidedBy"]


async def test_many_decisions_have_an_outcome_each_and_again_change_nothing(
    orchestrator: Service, crm: Neighbour
) -> None:
    async with orchestrator.client() as client:
        pending = [await ask(client) for _ in range(3)]
        decided, own = await ask(client), await ask(client, ownerId="ann")
        await client.post(f"{PATH}/{decided}/reject", json={"decidedBy": "bob"})
        wanted = [
            *({"approvalId": each, "decision": "approve", "decidedBy": "ann"} for each in pending),
            {"approvalId": decided, "decision": "approve", "decidedBy": "ann"},
            {"approvalId": own, "decision": "approve", "decidedBy": "ann"},
            {"approvalId": "nothing", "decision": "reject", "decidedBy": "ann"},
        ]
        for _ in range(2):
            answer = await client.post(f"{PATH}/decisions", json={"decisions": wanted})
            outcomes = answer.json()["outcomes"]
            assert [outcome["approvalId"] for outcome in outcomes] == [each["approvalId"] for each in wanted]
            assert [outcome["status"] for outcome in outcomes] == [200, 200, 200, 409, 403, 404]
            assert {outcome["approval"]["decidedBy"] for outcome in outcomes[:3]} == {"ann"}
            assert outcomes[3]["error"]["details"]["decidedBy"] == "bob"
        for each in pending:
            assert (await client.get(f"{PATH}/{each}/events")).json()["total"] == 2
    await orchestrator.caught_up()
    await crm.expect("hitl.approval.completed", 4)


async def test_an_inbox_has_what_waits_for_a_person_until_they_have_decided(
    orchestrator: Service, crm: Neighbour
) -> None:
    me, mate, stranger = PEOPLE[0], PEOPLE[1], "someone"
    few = {"stages": [{"name": "few", "approvers": [{"group": "few", "count": 2}]}]}
    async with orchestrator.client() as client:

        async def inbox(person: str) -> set[str]:
            await orchestrator.caught_up()
            page = (await client.get(PATH, params={"assignee": person})).json()
            counts = (await client.get(f"{PATH}/counts", params={"assignee": person})).json()
            assert page["total"] == counts["pending"] == len(page["approvals"])
            return {approval["id"] for approval in page["approvals"]}

        of_few, mine, of_all = (
            await ask(client, policy=few),
            await ask(client, approverId=me),
            await ask(client),
        )
        assert await inbox(me) == {of_few, mine, of_all}
        assert await inbox(mate) == {of_few, of_all}
        assert await inbox(stranger) == {of_all}
        assert await inbox("rita") == set()
        await client.post(f"{PATH}/{of_few}/approve", json={"decidedBy": me})
        assert await inbox(me) == {mine, of_all}
        assert await inbox(mate) == {of_few, of_all}
        await client.post(f"{PATH}/{of_few}/approve", json={"decidedBy": mate})
        await client.post(f"{PATH}/{of_all}/reject", json={"decidedBy": stranger})
        assert await inbox(me) == {mine}
        assert await inbox(mate) == set()


async def test_what_comes_back_to_a_person_is_in_their_inbox_again(
    orchestrator: Service, crm: Neighbour
) -> None:
    me, mate, other = PEOPLE[0], PEOPLE[1], PEOPLE[2]
    few = {"stages": [{"name": "few", "approvers": [{"group": "few", "count": 2}]}]}
    async with orchestrator.client() as client:
        approval_id = await ask(client, policy=few)
        where = f"{PATH}/{approval_id}"

        async def waits_for(person: str) -> bool:
            await orchestrator.caught_up()
            page = (await client.get(PATH, params={"assignee": person})).json()
            return bool(page["total"])

        async def hand_on(giver: str, to: str) -> None:
            body = {"to": to, "reason": "away"}
            answer = await client.post(f"{where}/reassign", json=body, headers={"X-User-ID": giver})
            assert answer.status_code == 200, answer.text

        await hand_on(me, other)
        assert (await waits_for(me), await waits_for(other)) == (False, True)
        await hand_on(other, me)
        assert (await waits_for(me), await waits_for(other)) == (True, False)
        await client.post(f"{where}/approve", json={"decidedBy": me})
        assert (await waits_for(me), await waits_for(mate)) == (False, True)
