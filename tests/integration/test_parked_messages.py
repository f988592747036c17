"""Parked messages, looked at, sent back and thrown away by the platform's operators, on a real RabbitMQ."""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aio_pika import Message
from aio_pika.abc import HeadersType
from structlog.testing import capture_logs

from application.parked import MESSAGE_ID_HEADER, REASON_HEADER, ROUTING_KEY_HEADER
from infrastructure.rabbit.parked import RabbitParkedMessages
from tests.contract.contract import validate_document
from tests.harness import (
    OTHER_TENANT,
    SYSTEM_TENANT,
    TENANT,
    UNKNOWN_ID,
    Service,
    eventually,
    run_module,
    service,
    settings_in,
)
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PARKED = "/api/v1/system/parked-messages"
REQUESTED = "hitl.approval.requested"
ASKED = {"opportunityId": "o-1", "riskScore": 0.9, "amount": 250_000}
READABLE = msgspec.json.encode({"tenantId": TENANT, "data": ASKED})
WHY = {"reason": "the sender was mended"}


async def park(crm: Neighbour, *bodies: bytes) -> None:
    """Messages that nobody can read."""
    for number, body in enumerate(bodies, 1):
        await crm.send_raw(REQUESTED, body, message_id=f"m-{number}")

        async def is_parked(number: int = number) -> bool:
            return await crm.queued(crm.names.dead_letter_queue) == number

        await eventually(is_parked)


async def park_readable(crm: Neighbour) -> None:
    """One that was parked for another reason than what it says."""
    headers: HeadersType = {
        REASON_HEADER: "KeyError: 'x'",
        ROUTING_KEY_HEADER: REQUESTED,
        MESSAGE_ID_HEADER: "m-9",
    }
    message = Message(READABLE, headers=headers, message_id="m-9", timestamp=1_767_225_600)
    await crm.channel.default_exchange.publish(message, crm.names.dead_letter_queue)

    async def is_there() -> bool:
        return await crm.queued(crm.names.dead_letter_queue) > 0

    await eventually(is_there)


async def parked(running: Service, limit: int = 50) -> dict[str, Any]:
    async with running.client(SYSTEM_TENANT) as client:
        answer = await client.get(PARKED, params={"limit": limit})
    assert answer.status_code == 200, answer.text
    validate_document("ParkedMessageList", answer.json())
    return dict(answer.json())


async def test_looking_tells_what_came_and_changes_nothing(orchestrator: Service, crm: Neighbour) -> None:
    assert await parked(orchestrator) == {"messages": [], "total": 0}
    await park(crm, b"one", b"two", b"three")
    found = await parked(orchestrator)
    assert found["total"] == 3
    assert [each["messageId"] for each in found["messages"]] == ["m-1", "m-2", "m-3"]
    assert {each["routingKey"] for each in found["messages"]} == {REQUESTED}
    assert "not JSON" in found["messages"][0]["reason"]
    assert [each["messageId"] for each in (await parked(orchestrator, limit=2))["messages"]] == ["m-1", "m-2"]
    async with orchestrator.client(SYSTEM_TENANT) as client:
        answer = await client.get(f"{PARKED}/{found['messages'][1]['id']}")
    validate_document("ParkedMessageContent", answer.json())
    assert answer.json() == {**found["messages"][1], "body": "two", "isWhole": True}
    assert await parked(orchestrator) == found


async def test_one_that_is_sent_back_is_handled_as_it_came(orchestrator: Service, crm: Neighbour) -> None:
    await park_readable(crm)
    (message,) = (await parked(orchestrator))["messages"]
    async with orchestrator.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as client:
        with capture_logs() as logs:
            answer = await client.post(f"{PARKED}/{message['id']}/requeue", json=WHY)
        assert answer.status_code == 200, answer.text
        validate_document("SettledParkedMessage", answer.json())
        assert answer.json() == {**message, "status": "requeued"}
        assert (await client.post(f"{PARKED}/{message['id']}/requeue", json=WHY)).status_code == 404
    (line,) = [each for each in logs if each["event"] == "parked_message_requeued"]
    assert (line["person"], line["reason"], line["message_id"]) == ("ada", WHY["reason"], "m-9")
    async with orchestrator.client() as client:

        async def is_asked_for() -> bool:
            return bool((await client.get("/api/v1/hitl/approvals")).json()["total"] == 1)

        await eventually(is_asked_for)
    assert await parked(orchestrator) == {"messages": [], "total": 0}


async def test_one_that_fails_again_is_parked_again(orchestrator: Service, crm: Neighbour) -> None:
    await park(crm, b"still no JSON")
    (message,) = (await parked(orchestrator))["messages"]
    async with orchestrator.client(SYSTEM_TENANT) as client:
        await client.post(f"{PARKED}/{message['id']}/requeue", json=WHY)

    async def is_parked_again() -> bool:
        return bool((await parked(orchestrator))["total"] == 1)

    await eventually(is_parked_again)
    (again,) = (await parked(orchestrator))["messages"]
    assert (again["messageId"], again["routingKey"]) == ("m-1", REQUESTED)


async def test_one_that_is_thrown_away_is_gone_and_the_others_stay(
    orchestrator: Service, crm: Neighbour
) -> None:
    await park(crm, b"one", b"two", b"three")
    messages = (await parked(orchestrator))["messages"]
    async with orchestrator.client(SYSTEM_TENANT) as client:
        path = f"{PARKED}/{messages[1]['id']}/discard"
        assert (await client.post(path, json={})).status_code == 400
        answers = await asyncio.gather(*(client.post(path, json=WHY) for _ in range(2)))
        assert sorted(each.status_code for each in answers) == [200, 404]
        lost = next(each for each in answers if each.status_code == 404).json()["error"]
    assert lost["code"] == "PARKED_MESSAGE_NOT_FOUND"
    assert (await parked(orchestrator))["messages"] == [messages[0], messages[2]]
    assert await crm.queued(crm.names.queue) == 0


async def test_a_kill_between_the_queues_leaves_it_in_both(
    orchestrator: Service, crm: Neighbour, rabbitmq_url: str
) -> None:
    await park_readable(crm)
    (message,) = (await parked(orchestrator))["messages"]
    given = (rabbitmq_url, crm.names.dead_letter_queue, crm.names.queue, message["id"])
    dies = partial(run_module, "tests.integration.dies_sending_back", *given)
    killed: subprocess.CompletedProcess[str] = await asyncio.to_thread(dies)
    assert killed.returncode == -9, killed.stderr

    async def is_back() -> bool:
        return bool((await parked(orchestrator))["messages"] == [message])

    await eventually(is_back)
    async with orchestrator.client() as client:

        async def is_asked_for() -> bool:
            return bool((await client.get("/api/v1/hitl/approvals")).json()["total"] == 1)

        await eventually(is_asked_for)


async def test_they_are_the_system_tenants_alone(orchestrator: Service, crm: Neighbour) -> None:
    await park(crm, b"one")
    (message,) = (await parked(orchestrator))["messages"]
    for tenant in (TENANT, OTHER_TENANT):
        async with orchestrator.client(tenant) as client:
            answers = [
                await client.get(PARKED),
                await client.get(f"{PARKED}/{message['id']}"),
                await client.get("/api/v1/system/settings"),
                *[
                    await client.post(f"{PARKED}/{message['id']}/{what}", json=WHY)
                    for what in ("requeue", "discard")
                ],
            ]
        assert {each.status_code for each in answers} == {403}
        assert not any("m-1" in each.text or REQUESTED in each.text for each in answers)
    async with orchestrator.client(SYSTEM_TENANT) as client:
        assert (await client.get(f"{PARKED}/{UNKNOWN_ID}")).status_code == 404
    assert (await parked(orchestrator))["total"] == 1


async def test_without_a_connection_it_says_so(orchestrator: Service, crm: Neighbour) -> None:
    where = orchestrator.container.transport.parked
    assert isinstance(where, RabbitParkedMessages)
    await orchestrator.container.transport.close()
    async with orchestrator.client(SYSTEM_TENANT) as client:
        answer = await client.get(PARKED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "BROKER_UNAVAILABLE")


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Service]:
    async with service(settings_in(tmp_path)) as running:
        yield running


async def test_without_a_broker_the_process_keeps_them(embedded: Service) -> None:
    bus = vars(embedded.container.transport)["bus"]
    await bus.send(REQUESTED, b"no JSON")

    async def is_parked() -> bool:
        return bool((await parked(embedded))["total"] == 1)

    await eventually(is_parked)
    (message,) = (await parked(embedded))["messages"]
    async with embedded.client(SYSTEM_TENANT) as client:
        assert (await client.post(f"{PARKED}/{message['id']}/requeue", json=WHY)).status_code == 200
        await eventually(is_parked)
        (message,) = (await parked(embedded))["messages"]
        assert (await client.post(f"{PARKED}/{message['id']}/discard", json=WHY)).status_code == 200
    assert (await parked(embedded))["total"] == 0


async def test_settings_are_shown_without_their_secrets(tmp_path: Path) -> None:
    key = base64.b64encode(b"a-master-key-of-thirty-two-bytes").decode()
    given: dict[str, Any] = {
        "JWT_SECRET": "a-secret-of-at-least-thirty-two-bytes!",
        "PRIVACY_MASTER_KEY": key,
        "RABBITMQ_URL": "amqp://someone:their-password@127.0.0.1:1/",
    }
    settings = settings_in(tmp_path, AUTH_MODE="gateway", **given)
    async with service(settings) as running, running.client(SYSTEM_TENANT) as client:
        answer = await client.get("/api/v1/system/settings")
    assert answer.status_code == 200, answer.text
    validate_document("ShownSettings", answer.json())
    shown = answer.json()
    assert shown["settings"]["rabbitmq"]["url"] == "amqp://someone:***@127.0.0.1:1/"
    assert {"workflow-orchestrator", "python", "starlette"} <= shown["versions"].keys()
    for secret in (*list(given.values())[:2], "their-password"):
        assert secret not in answer.text
