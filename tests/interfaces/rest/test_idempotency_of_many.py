"""``Idempotency-Key`` on what is asked for many things at once: one request, whatever its body names."""

from typing import Any

import httpx
import pytest

from application.deciders import Committed
from domain.errors import TooMuchAtOnce
from tests.harness import OTHER_TENANT, Service

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
WORKFLOWS = "/api/v1/workflows"
UNDER_KEY = {"Idempotency-Key": "k"}
CANCEL = {"action": "cancel", "reason": "off", "filter": {"opportunityId": "opp-1", "status": "running"}}


async def asked(client: httpx.AsyncClient, number: int) -> str:
    body = {"opportunityId": f"opp-{number}", "riskScore": 0.5, "amount": 10}
    return str((await client.post(APPROVALS, json=body)).json()["id"])


def approving(*ids: str) -> dict[str, Any]:
    return {"decisions": [{"approvalId": id, "decision": "approve", "decidedBy": "ada"} for id in ids]}


async def started(service: Service, client: httpx.AsyncClient, opportunity: str) -> str:
    """A workflow that runs, also by its document."""
    answer = await client.post(WORKFLOWS, json={"opportunityId": opportunity})
    await service.caught_up()
    return str(answer.json()["workflowId"])


def assert_reused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


async def status(client: httpx.AsyncClient, path: str, id: str) -> str:
    return str((await client.get(f"{path}/{id}")).json()["status"])


async def test_decisions_on_others_under_a_used_key_are_refused(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        first, second = await asked(client, 1), await asked(client, 2)
        path = f"{APPROVALS}/decisions"
        taken = await client.post(path, json=approving(first), headers=UNDER_KEY)
        again = await client.post(path, json=approving(first), headers=UNDER_KEY)
        assert (again.status_code, again.content) == (taken.status_code, taken.content)
        assert_reused(await client.post(path, json=approving(second), headers=UNDER_KEY))
        assert_reused(await client.post(path, json=approving(first, second), headers=UNDER_KEY))
        await behind_gateway.caught_up()
        assert await status(client, APPROVALS, second) == "pending"
        assert (await client.get(f"{APPROVALS}/{first}/events")).json()["total"] == 2


async def test_an_order_to_many_under_a_key_is_for_those_of_the_first_time(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        first = await started(behind_gateway, client, "opp-1")
        done = await client.post(f"{WORKFLOWS}/bulk", json=CANCEL, headers=UNDER_KEY)
        assert [each["outcome"] for each in done.json()["outcomes"]] == ["done"]
        later = await started(behind_gateway, client, "opp-1")
        again = await client.post(f"{WORKFLOWS}/bulk", json=CANCEL, headers=UNDER_KEY)
        assert (again.status_code, again.content) == (done.status_code, done.content)
        await behind_gateway.caught_up()
        assert await status(client, WORKFLOWS, later) == "running"
        assert await status(client, WORKFLOWS, first) == "cancelled"


async def test_another_order_to_many_under_a_used_key_is_refused(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        await started(behind_gateway, client, "opp-1")
        other = await started(behind_gateway, client, "opp-2")
        planned = await client.post(f"{WORKFLOWS}/bulk", json={**CANCEL, "dryRun": True}, headers=UNDER_KEY)
        assert planned.json()["total"] == 1, "a dry run uses no key up"
        assert (await client.post(f"{WORKFLOWS}/bulk", json=CANCEL, headers=UNDER_KEY)).status_code == 200
        another = {**CANCEL, "filter": {"opportunityId": "opp-2"}}
        assert_reused(await client.post(f"{WORKFLOWS}/bulk", json=another, headers=UNDER_KEY))
        await behind_gateway.caught_up()
        assert await status(client, WORKFLOWS, other) == "running"


async def test_a_key_that_another_tenant_has_used_is_a_new_one(behind_gateway: Service) -> None:
    async with behind_gateway.client() as ours, behind_gateway.client(OTHER_TENANT) as theirs:
        mine = await started(behind_gateway, ours, "opp-1")
        assert (await ours.post(f"{WORKFLOWS}/bulk", json=CANCEL, headers=UNDER_KEY)).status_code == 200
        answer = await theirs.post(f"{WORKFLOWS}/bulk", json=CANCEL, headers=UNDER_KEY)
        assert (answer.status_code, answer.json()["total"], mine in answer.text) == (200, 0, False)
        approval, other = await asked(ours, 1), await asked(theirs, 2)
        path = f"{APPROVALS}/decisions"
        assert (await ours.post(path, json=approving(approval), headers=UNDER_KEY)).status_code == 200
        decided = await theirs.post(path, json=approving(approval, other), headers=UNDER_KEY)
        assert decided.status_code == 200
        await behind_gateway.caught_up()
        assert (await ours.get(f"{APPROVALS}/{approval}/events")).json()["total"] == 2
        assert await status(theirs, APPROVALS, other) == "approved"


async def test_what_is_too_much_at_once_is_told_of_the_one_that_it_is(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = behind_gateway.container.stores.event_store
    execute = store.execute
    async with behind_gateway.client() as client:
        approvals = [await asked(client, 1), await asked(client, 2)]
        workflows = [await started(behind_gateway, client, "opp-1") for _ in range(2)]

        async def refuses(stream: str, **asked: Any) -> Committed:
            if stream.endswith((approvals[0], workflows[0])):
                raise TooMuchAtOnce("100 events are more than one transaction takes")
            return await execute(stream, **asked)

        monkeypatch.setattr(store, "execute", refuses)
        decided = await client.post(f"{APPROVALS}/decisions", json=approving(*approvals))
        all_of_it = {**CANCEL, "filter": {"opportunityId": "opp-1"}}
        ordered = await client.post(f"{WORKFLOWS}/bulk", json=all_of_it)
    refused, taken = decided.json()["outcomes"]
    assert (refused["status"], refused["error"]["code"], taken["status"]) == (400, "TOO_MUCH_AT_ONCE", 200)
    outcomes = {each["workflowId"]: each for each in ordered.json()["outcomes"]}
    assert outcomes[workflows[0]]["error"]["code"] == "TOO_MUCH_AT_ONCE"
    assert (outcomes[workflows[0]]["outcome"], outcomes[workflows[1]]["outcome"]) == ("refused", "done")
