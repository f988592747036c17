"""Whatever is wrong with a command is told at once: query, header, body, and what the rules say of it."""

from typing import Any

import httpx
import pytest

from tests.contract.contract import operations, validate_answer
from tests.harness import SYSTEM_TENANT, Service

pytestmark = pytest.mark.anyio

OPERATIONS = {each.id: each for each in operations()}
APPROVALS = "/api/v1/hitl/approvals"
BAD_KEY = {"Idempotency-Key": "a b"}
APPROVAL = {"opportunityId": "opp-1", "riskScore": 0.2, "amount": 1}
PAST = "2020-01-01T00:00:00Z"
LARGE = {"text": "x" * 70_000}


def fields(answer: httpx.Response, operation: str) -> list[str]:
    assert answer.status_code == 400, answer.text
    validate_answer(OPERATIONS[operation], answer)
    return [each["field"] for each in answer.json()["error"]["details"]]


async def test_query_key_and_body_are_told_together(behind_gateway: Service) -> None:
    async with behind_gateway.client(**BAD_KEY) as client:
        asked = await client.post(APPROVALS, params={"x": "1"}, json={"opportunityId": 1})
        assert fields(asked, "createApproval") == [
            "x",
            "Idempotency-Key",
            "opportunityId",
            "riskScore",
            "amount",
        ]
        no_json = await client.post(
            APPROVALS, params={"x": "1"}, content=b"{", headers={"Content-Type": "application/json"}
        )
        assert fields(no_json, "createApproval") == ["x", "Idempotency-Key", "body"]
        nothing = await client.post(APPROVALS, params={"x": "1"})
        assert fields(nothing, "createApproval")[:3] == ["x", "Idempotency-Key", "opportunityId"]
        compressed = await client.post(
            APPROVALS, params={"x": "1"}, json=APPROVAL, headers={"Content-Encoding": "gzip"}
        )
        assert fields(compressed, "createApproval") == ["x", "Idempotency-Key"]
        good_body = await client.post(APPROVALS, params={"x": "1"}, json=APPROVAL)
        assert fields(good_body, "createApproval") == ["x", "Idempotency-Key"]
        listed = await client.get(APPROVALS)
        assert listed.json()["total"] == 0


async def test_of_a_definition_they_are_too(behind_gateway: Service) -> None:
    path = "/api/v1/workflow-definitions"
    async with behind_gateway.client(**BAD_KEY) as client:
        made = await client.post(path, params={"x": "1"}, json={"name": "deal-check"})
        assert fields(made, "createWorkflowDefinition") == ["x", "Idempotency-Key", "steps"]
        no_json = await client.post(path, params={"x": "1"}, json=[])
        assert fields(no_json, "createWorkflowDefinition") == ["x", "Idempotency-Key", "body"]
        retired = await client.delete(f"{path}/deal-check", params={"version": "one"})
        assert fields(retired, "retireWorkflowDefinition") == ["version", "Idempotency-Key"]
        ended = await client.delete(f"/api/v1/hitl/delegations/{SYSTEM_TENANT}", params={"x": "1"})
        assert fields(ended, "endDelegation") == ["x", "Idempotency-Key"]


async def test_what_cannot_be_read_does_not_hide_the_rest(behind_gateway: Service) -> None:
    body = {**APPROVAL, "payload": {"a": {"n": 1e16}, "s": "x\0"}, "dueAt": PAST}
    async with behind_gateway.client() as client:
        asked = await client.post(APPROVALS, json=body)
        large = await client.post(APPROVALS, json={"payload": LARGE, "dueAt": "soon"})
        unread = await client.post(APPROVALS, json=[])
    assert fields(asked, "createApproval") == ["payload.a.n", "payload.s", "dueAt"]
    told = ["opportunityId", "riskScore", "amount", "dueAt", "payload"]
    assert fields(large, "createApproval") == told
    assert fields(unread, "createApproval") == ["body"]


@pytest.mark.parametrize(
    ("wrong", "told", "message"),
    [
        ({"dueAt": PAST}, ["dueAt"], "dueAt has already passed"),
        ({"payload": LARGE}, ["payload"], "the payload is too large"),
        (
            {"dueAt": PAST, "payload": LARGE},
            ["payload", "dueAt"],
            "the payload is too large; dueAt has already passed",
        ),
        (
            {"dueAt": PAST, "payload": LARGE, "policy": "none-such"},
            ["policy", "payload", "dueAt"],
            "the policy is not known; the payload is too large; dueAt has already passed",
        ),
    ],
)
async def test_the_rules_tell_all_that_is_wrong_with_an_approval(
    behind_gateway: Service, wrong: dict[str, Any], told: list[str], message: str
) -> None:
    async with behind_gateway.client() as client:
        answer = await client.post(APPROVALS, json=APPROVAL | wrong)
    assert fields(answer, "createApproval") == told
    assert answer.json()["error"]["message"] == message


async def test_a_name_that_stands_twice_is_told_wherever_it_does(behind_gateway: Service) -> None:
    approval = b'{"opportunityId":"o","riskScore":1,"amount":1,"amount":2,"payload":{"l":[{"a":1,"a":2}]}}'
    definition = b'{"name":"d","steps":[{"stepType":"a","stepType":"b","parameters":{"queue":"q"}}]}'
    definitions = "/api/v1/workflow-definitions"
    async with behind_gateway.client(**{"Content-Type": "application/json"}) as client:
        asked = await client.post(APPROVALS, content=approval)
        beside = await client.post(APPROVALS, params={"x": "1"}, content=approval)
        made = await client.post(definitions, content=definition)
        put = await client.put(f"{definitions}/d", content=definition)
        checked = await client.post(f"{definitions}/validate", content=definition)
        listed = await client.get(APPROVALS)
    assert fields(asked, "createApproval") == ["amount", "payload.l.0.a"]
    assert asked.json()["error"]["details"][0]["message"] == "is given more than once"
    assert fields(beside, "createApproval") == ["x", "amount", "payload.l.0.a"]
    assert fields(made, "createWorkflowDefinition") == ["steps[0].stepType"]
    assert fields(put, "publishWorkflowDefinition") == ["steps[0].stepType"]
    assert fields(checked, "validateWorkflowDefinition") == ["steps[0].stepType"]
    assert listed.json()["total"] == 0
