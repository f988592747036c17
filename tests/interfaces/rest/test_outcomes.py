"""What is asked for of many things at once: each has its outcome, and nothing of it goes on unseen."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import Message
from structlog.testing import capture_logs

from application.deciders import Committed
from domain.errors import StoreUnavailable
from tests.harness import TENANT, Service

pytestmark = pytest.mark.anyio

APPROVALS = "/api/v1/hitl/approvals"
WORKFLOWS = "/api/v1/workflows"
CANCEL = {"action": "cancel", "reason": "off", "filter": {"definition": "opportunity-analysis"}}

Execute = Callable[..., Awaitable[Committed]]


async def started(service: Service, count: int) -> list[str]:
    """Workflows that run, also by their documents."""
    async with service.client() as client:
        answers = [
            await client.post(WORKFLOWS, json={"opportunityId": f"opp-{number}"}) for number in range(count)
        ]
    await service.caught_up()
    return [answer.json()["workflowId"] for answer in answers]


def patched(
    service: Service, patch: pytest.MonkeyPatch, before: Callable[[str], Awaitable[None]]
) -> list[str]:
    """Has the store do something before each command to a workflow or an approval; which were carried out."""
    store, done = service.container.stores.event_store, list[str]()
    execute: Execute = store.execute

    async def patched_execute(stream: str, **asked: Any) -> Committed:
        id = stream.rpartition("/")[2]
        if "/request/" not in stream:
            await before(id)
        committed = await execute(stream, **asked)
        done.append(id)
        return committed

    patch.setattr(store, "execute", patched_execute)
    return done


def raises(error: Exception, *ids: str) -> Callable[[str], Awaitable[None]]:
    async def before(id: str) -> None:
        if id in ids:
            raise error

    return before


async def ordered(service: Service, **headers: str) -> httpx.Response:
    async with service.client(**headers) as client:
        return await client.post(f"{WORKFLOWS}/bulk", json=CANCEL)


async def test_a_store_that_was_away_for_one_is_told_of_that_one_and_a_repeat_does_it(
    behind_gateway: Service,
) -> None:
    away, *others = await started(behind_gateway, 4)
    with pytest.MonkeyPatch.context() as patch:
        patched(behind_gateway, patch, raises(StoreUnavailable("away"), away))
        answer = await ordered(behind_gateway, **{"Idempotency-Key": "k"})
    told = {each["workflowId"]: each for each in answer.json()["outcomes"]}
    assert told[away]["outcome"] == "failed"
    assert told[away]["error"]["code"] == "STORE_UNAVAILABLE"
    assert [told[each]["outcome"] for each in others] == ["done"] * 3
    again = await ordered(behind_gateway, **{"Idempotency-Key": "k"})
    assert [each["outcome"] for each in again.json()["outcomes"]] == ["done"] * 4


async def test_what_breaks_is_told_of_the_one_that_it_broke_on(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = await started(behind_gateway, 2)
    patched(behind_gateway, monkeypatch, raises(TypeError("no such thing"), broken))
    with capture_logs() as logs:
        answer = await ordered(behind_gateway)
    told = {each["workflowId"]: each for each in answer.json()["outcomes"]}
    assert (told[broken]["outcome"], told[broken]["error"]["code"]) == ("failed", "INTERNAL_ERROR")
    assert "no such thing" not in answer.text
    assert told[other]["outcome"] == "done"
    assert [each["log_level"] for each in logs if each["event"] == "request_failed"] == ["error"]


async def test_of_decisions_each_has_its_outcome_too(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind_gateway.client() as client:
        body = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}
        away, broken, taken = [(await client.post(APPROVALS, json=body)).json()["id"] for _ in range(3)]
        errors = {away: StoreUnavailable("away"), broken: TypeError("no such thing")}

        async def fail(id: str) -> None:
            if id in errors:
                raise errors[id]

        patched(behind_gateway, monkeypatch, fail)
        decisions = [
            {"approvalId": id, "decision": "approve", "decidedBy": "ada"} for id in (away, broken, taken)
        ]
        answer = await client.post(f"{APPROVALS}/decisions", json={"decisions": decisions})
    outcomes = answer.json()["outcomes"]
    assert [each["status"] for each in outcomes] == [503, 500, 200]
    assert [each["error"]["code"] for each in outcomes[:2]] == ["STORE_UNAVAILABLE", "INTERNAL_ERROR"]


async def test_an_order_whose_client_hangs_up_is_carried_out_before_its_place_is_free(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflows = await started(behind_gateway, 20)
    sent: list[Message] = []
    come: list[Message] = [
        {"type": "http.request", "body": json.dumps(CANCEL).encode()},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return come.pop(0) if come else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def slow(id: str) -> None:
        await anyio.sleep(0)

    done = patched(behind_gateway, monkeypatch, slow)
    headers = {"host": "localhost", "x-tenant-id": TENANT, "content-type": "application/json"}
    await behind_gateway.container.app(
        {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": f"{WORKFLOWS}/bulk",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        },
        receive,
        send,
    )
    assert set(workflows) <= set(done)
    assert sent[0]["status"] == 200


async def test_an_order_whose_request_is_cancelled_does_not_go_on(
    behind_gateway: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that stops waits for its requests, and then cancels them."""
    await started(behind_gateway, 20)
    begun, ended, under_way = list[str](), list[str](), anyio.Event()

    async def hold(id: str) -> None:
        begun.append(id)
        if len(begun) == 16:
            under_way.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(id)

    patched(behind_gateway, monkeypatch, hold)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ordered, behind_gateway)
        await under_way.wait()
        tasks.cancel_scope.cancel()
    assert len(begun) == 16
    assert sorted(ended) == sorted(begun)
