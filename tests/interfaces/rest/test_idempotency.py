"""``Idempotency-Key``: sent again, a command has the effect of one and the answer of the first."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.harness import OTHER_TENANT, SYSTEM_TENANT, Service, service, settings_in

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
WORKFLOWS = "/api/v1/workflows"
TRIGGER = "/api/v1/jobs/outcome-sync/trigger"
DEAL = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}

Body = dict[str, Any]


def under(key: str, **headers: str) -> dict[str, str]:
    """The headers of a request under a key."""
    return {"Idempotency-Key": key, **headers}


def told(answer: httpx.Response) -> tuple[int, bytes, str | None, str | None]:
    """What must be the same whenever the request comes."""
    return answer.status_code, answer.content, answer.headers.get("etag"), answer.headers.get("location")


def assert_reused(answer: httpx.Response) -> None:
    assert answer.status_code == 409, answer.text
    assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"


CREATING = [
    (APPROVALS, "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10", DEAL, {**DEAL, "amount": 11}, 201),
    (
        WORKFLOWS,
        "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10",
        {"opportunityId": "opp-1"},
        {"opportunityId": "opp-2"},
        202,
    ),
    (TRIGGER, SYSTEM_TENANT, {"metadata": {"a": 1, "b": [2]}}, {"metadata": {"a": 2}}, 202),
]


@pytest.mark.parametrize(("path", "tenant", "body", "another", "status"), CREATING)
async def test_what_is_made_under_a_key_is_made_once(
    behind_gateway: Service, path: str, tenant: str, body: Body, another: Body, status: int
) -> None:
    async with behind_gateway.client(tenant) as client:
        first = await client.post(path, json=body, headers=under("k"))
        again = await client.post(path, json=body, headers=under("k"))
        assert first.status_code == status
        assert told(again) == told(first)
        assert_reused(await client.post(path, json=another, headers=under("k")))
        other_key = await client.post(path, json=body, headers=under("K"))
        assert other_key.json()["id"] != first.json()["id"]


async def test_a_repeat_is_answered_as_the_first_time_whatever_has_happened_since(
    behind_gateway: Service,
) -> None:
    async with behind_gateway.client() as client:
        asked = await client.post(APPROVALS, json=DEAL, headers=under("ask"))
        path = f"{asked.headers['location']}/approve"
        decision = {"decidedBy": "ada"}
        approved = await client.post(path, json=decision, headers=under("decide", **{"If-Match": '"1"'}))
        assert approved.json()["status"] == "approved"
        assert told(await client.post(APPROVALS, json=DEAL, headers=under("ask"))) == told(asked)
        again = await client.post(path, json=decision, headers=under("decide", **{"If-Match": '"1"'}))
        assert told(again) == told(approved)
        assert_reused(await client.post(path, json={"decidedBy": "bob"}, headers=under("decide")))
        trail = (await client.get(f"{asked.headers['location']}/events")).json()
    assert trail["total"] == 2


async def test_a_trigger_that_is_repeated_after_others_tells_of_its_own_run(behind_gateway: Service) -> None:
    async with behind_gateway.client(SYSTEM_TENANT) as client:
        first = await client.post(TRIGGER, headers=under("k"))
        for _ in range(120):
            await client.post(TRIGGER)
        assert told(await client.post(TRIGGER, headers=under("k"))) == told(first)
        assert told(await client.post(TRIGGER, json={}, headers=under("k"))) == told(first)


async def test_a_body_is_the_same_however_it_is_written(behind_gateway: Service) -> None:
    async with behind_gateway.client(**{"Content-Type": "application/json"}) as client:
        first = await client.post(APPROVALS, json=DEAL, headers=under("k"))
        other_order = b'{ "amount":10,\n"riskScore":0.5, "opportunityId":"opp-\\u0031"}'
        again = await client.post(APPROVALS, content=other_order, headers=under("k"))
    assert told(again) == told(first)


async def test_one_and_1_0_are_the_same_number_under_a_key(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        first = await client.post(APPROVALS, json={**DEAL, "riskScore": 1}, headers=under("k"))
        again = await client.post(APPROVALS, json={**DEAL, "riskScore": 1.0}, headers=under("k"))
        assert told(again) == told(first)
        assert_reused(await client.post(APPROVALS, json={**DEAL, "riskScore": 1.5}, headers=under("k")))


async def test_a_key_is_of_one_tenant_and_one_route(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client, behind_gateway.client(OTHER_TENANT) as other:
        mine = await client.post(APPROVALS, json=DEAL, headers=under("k"))
        theirs = await other.post(APPROVALS, json={**DEAL, "amount": 99}, headers=under("k"))
        started = await client.post(WORKFLOWS, json={"opportunityId": "opp-1"}, headers=under("k"))
        assert [each.status_code for each in (mine, theirs, started)] == [201, 201, 202]
        assert mine.json()["id"] != theirs.json()["id"]
        for path in (mine.headers["location"], f"{mine.headers['location']}/events"):
            assert (await other.get(path)).status_code == 404
        decided = {
            await client.post(
                f"{mine.headers['location']}/{verb}", json={"decidedBy": "a"}, headers=under("k")
            )
            for verb in ("approve", "reject")
        }
    assert sorted(each.status_code for each in decided) == [200, 409]
    assert {each.json()["error"]["code"] for each in decided if each.status_code == 409} == {
        "HITL_APPROVAL_NOT_PENDING"
    }


async def test_many_at_once_under_one_key_have_one_effect_and_one_answer(behind_gateway: Service) -> None:
    answers: list[httpx.Response] = []

    async with behind_gateway.client() as client:

        async def ask() -> None:
            answers.append(await client.post(APPROVALS, json=DEAL, headers=under("k")))

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(ask)
        assert len({told(answer) for answer in answers}) == 1
        await behind_gateway.caught_up()
        assert (await client.get(APPROVALS)).json()["total"] == 1


async def test_of_two_bodies_at_once_under_one_key_one_is_taken(behind_gateway: Service) -> None:
    answers: list[httpx.Response] = []

    async with behind_gateway.client() as client:

        async def ask(amount: int) -> None:
            answers.append(await client.post(APPROVALS, json={**DEAL, "amount": amount}, headers=under("k")))

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(ask, number)
        await behind_gateway.caught_up()
        assert (await client.get(APPROVALS)).json()["total"] == 1
    assert sorted(each.status_code for each in answers) == [201] + [409] * 9


async def test_a_key_is_known_after_a_restart(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, BATCH_JOBS_ENABLED="false")
    answers = []
    for _ in range(2):
        async with service(settings) as running, running.client() as client:
            answers.append(await client.post(APPROVALS, json=DEAL, headers=under("k")))
            assert_reused(await client.post(APPROVALS, json={**DEAL, "amount": 1}, headers=under("k")))
    assert told(answers[0]) == told(answers[1])


async def test_what_was_refused_may_be_tried_again_under_its_key(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        asked = await client.post(APPROVALS, json=DEAL)
        path = f"{asked.headers['location']}/approve"
        decision = {"decidedBy": "ada"}
        stale = await client.post(path, json=decision, headers=under("k", **{"If-Match": '"7"'}))
        assert stale.status_code == 412
        assert (await client.post(path, json=decision, headers=under("k"))).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("Idempotency-Key", "")],
        [("Idempotency-Key", "  ")],
        [("Idempotency-Key", "x" * 256)],
        [("Idempotency-Key", "a b")],
        [("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    ],
)
@pytest.mark.parametrize("path", [APPROVALS, WORKFLOWS])
async def test_a_key_that_is_of_no_use_is_refused(
    behind_gateway: Service, path: str, headers: list[tuple[str, str]]
) -> None:
    body = DEAL if path == APPROVALS else {"opportunityId": "opp-1"}
    async with behind_gateway.client() as client:
        answer = await client.post(path, json=body, headers=httpx.Headers(headers))
        assert (await client.get(path)).json()["total"] == 0
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["error"]["details"]] == ["Idempotency-Key"]


async def test_a_key_may_have_255_characters(behind_gateway: Service) -> None:
    async with behind_gateway.client() as client:
        answers = [await client.post(APPROVALS, json=DEAL, headers=under("x" * 255)) for _ in range(2)]
    assert told(answers[0]) == told(answers[1])
