"""Parked messages on a real RabbitMQ: looked at, requeued at least once, discarded with a reason."""

import asyncio
import sys
from typing import Any

import aio_pika
import anyio
import httpx
import pytest
import structlog
from pamqp.common import FieldValue

from application.parked import MOST_LOOKED_AT
from domain.errors import ParkedMessageNotFound
from infrastructure.rabbit.parked import RabbitParkedMessages
from infrastructure.rabbit.topology import RabbitNames
from tests.contract.contract import validate_document
from tests.harness import SYSTEM_TENANT, TENANT, UNKNOWN_ID, Service, eventually
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

PATH = "/api/v1/system/parked-messages"
KEY = "hitl.approval.requested"
BAD = b'{"note": "<script>alert(1)</script>"}'
OPERATOR = {"X-User-ID": "ada", "X-User-Roles": "admin"}

KILLED = """
import asyncio, os, signal, sys
import aio_pika
from aio_pika.message import IncomingMessage
from infrastructure.rabbit.parked import RabbitParkedMessages
from infrastructure.rabbit.topology import RabbitNames

async def killed(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)

url, queue, dead, id, moment = sys.argv[1:]
if moment == "before the broker has it":
    aio_pika.Exchange.publish = killed
else:
    IncomingMessage.ack = killed
names = RabbitNames(queue=queue, dead_letter_queue=dead)
asyncio.run(RabbitParkedMessages(url, names, "test").requeue(id, lambda message: None))
"""


async def parked(service: Service, count: int) -> list[dict[str, Any]]:
    """Wait for so many parked messages, as the list tells them."""

    async def there() -> list[dict[str, Any]] | None:
        async with service.client(SYSTEM_TENANT, **OPERATOR) as client:
            answer = (await client.get(PATH)).json()
        validate_document("ParkedMessagePage", answer)
        return answer["parkedMessages"] if answer["total"] == count else None

    found: list[dict[str, Any]] = await eventually(there)
    return found


async def park(crm: Neighbour, *bodies: bytes) -> None:
    """Put messages on the dead-letter queue as the consumer does."""
    for body in bodies:
        headers: dict[str, FieldValue] = {
            "x-reason": "bad",
            "x-original-message-id": "",
            "x-original-routing-key": KEY,
        }
        message = aio_pika.Message(body, headers=headers, delivery_mode=2)
        await crm.channel.default_exchange.publish(message, crm.names.dead_letter_queue)


def desk(url: str, names: Names) -> RabbitParkedMessages:
    """The parked messages, as another process sees them."""
    return RabbitParkedMessages(
        url, RabbitNames(queue=names.queue, dead_letter_queue=names.dead_letter_queue), "test"
    )


async def test_one_is_listed_and_looked_at_and_stays(orchestrator: Service, crm: Neighbour) -> None:
    await crm.send_raw(KEY, BAD, message_id="the-senders-own")
    (listed,) = await parked(orchestrator, 1)
    assert (listed["routingKey"], listed["messageId"], listed["size"]) == (KEY, "the-senders-own", len(BAD))
    assert "payload" not in listed
    async with orchestrator.client(SYSTEM_TENANT, **OPERATOR) as client:
        one = (await client.get(f"{PATH}/{listed['id']}")).json()
    validate_document("ParkedMessageWithPayload", one)
    assert one == {**listed, "payload": BAD.decode(), "payloadCut": False}
    assert await parked(orchestrator, 1) == [listed]


async def test_looking_keeps_their_order_and_shows_no_more_than_the_oldest(
    orchestrator: Service, crm: Neighbour
) -> None:
    bodies = [b"n%03d" % n for n in range(MOST_LOOKED_AT + 5)]
    await park(crm, *bodies)
    first = await parked(orchestrator, len(bodies))
    assert len(first) == MOST_LOOKED_AT
    assert await parked(orchestrator, len(bodies)) == first
    assert [(await crm.take(crm.names.dead_letter_queue)).body for _ in bodies] == bodies


async def test_a_long_payload_is_cut(orchestrator: Service, crm: Neighbour) -> None:
    await park(crm, b"x" * 70_000)
    (listed,) = await parked(orchestrator, 1)
    async with orchestrator.client(SYSTEM_TENANT, **OPERATOR) as client:
        one = (await client.get(f"{PATH}/{listed['id']}")).json()
    assert (len(one["payload"]), one["payloadCut"], one["size"]) == (65_536, True, 70_000)


async def test_what_is_requeued_is_handled_under_its_first_key_and_reaches_no_neighbour(
    orchestrator: Service, crm: Neighbour
) -> None:
    await park(crm, b"still bad")
    (listed,) = await parked(orchestrator, 1)
    async with orchestrator.client(SYSTEM_TENANT, **OPERATOR) as client:
        with structlog.testing.capture_logs() as logs:
            answer = await client.post(f"{PATH}/{listed['id']}/requeue", json={"reason": "mended"})
        assert [each["reason"] for each in logs if each["event"] == "parked_message_requeued"] == ["mended"]
        validate_document("ParkedMessage", answer.json())
        assert answer.json() == listed
        assert (await client.post(f"{PATH}/{listed['id']}/requeue")).status_code == 404
    again = await crm.take(crm.names.dead_letter_queue)
    assert (again.body, again.headers["x-original-routing-key"]) == (b"still bad", KEY)
    assert again.headers["x-reason"] != "bad"
    assert [message for message in crm.seen if message.body == b"still bad"] == []


async def test_one_is_discarded_with_a_reason_that_is_logged_and_the_others_stay(
    orchestrator: Service, crm: Neighbour
) -> None:
    await park(crm, b"one", b"two", b"three")
    listed = await parked(orchestrator, 3)
    async with orchestrator.client(SYSTEM_TENANT, **OPERATOR) as client:
        path = f"{PATH}/{listed[1]['id']}/discard"
        assert (await client.post(path, json={})).status_code == 400
        with structlog.testing.capture_logs() as lines:
            assert (await client.post(path, json={"reason": "sent anew"})).status_code == 200
        gone = await client.post(path, json={"reason": "sent anew"})
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "PARKED_MESSAGE_NOT_FOUND")
    assert await parked(orchestrator, 2) == [listed[0], listed[2]]
    (line,) = [each for each in lines if each["event"] == "parked_message_discarded"]
    assert (line["person"], line["parked_id"], line["reason"]) == ("ada", listed[1]["id"], "sent anew")


async def test_of_two_operators_at_once_one_does_it_and_the_other_is_told(
    rabbitmq_url: str, names: Names, orchestrator: Service, crm: Neighbour
) -> None:
    await park(crm, b"bad")
    (listed,) = await parked(orchestrator, 1)
    told: list[str] = []

    async def discard() -> None:
        try:
            await desk(rabbitmq_url, names).discard(listed["id"], lambda message: None)
            told.append("done")
        except ParkedMessageNotFound:
            told.append("gone")

    async with anyio.create_task_group() as both:
        both.start_soon(discard)
        both.start_soon(discard)
    assert sorted(told) == ["done", "gone"]


async def test_while_another_is_at_them_one_is_told_so(
    rabbitmq_url: str, names: Names, orchestrator: Service, crm: Neighbour
) -> None:
    await park(crm, b"bad")
    await parked(orchestrator, 1)
    async with await aio_pika.connect(rabbitmq_url) as other, other.channel() as channel:
        await channel.declare_queue(f"{names.dead_letter_queue}.looked_at", exclusive=True)
        async with orchestrator.client(SYSTEM_TENANT, **OPERATOR) as client:
            answer = await client.get(PATH, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "PARKED_MESSAGES_HELD")
    assert len(await parked(orchestrator, 1)) == 1


@pytest.mark.parametrize(
    ("moment", "requeued"), [("before the broker has it", 0), ("once the broker has it", 1)]
)
async def test_a_kill_while_one_is_requeued_loses_nothing(
    rabbitmq_url: str, names: Names, crm: Neighbour, moment: str, requeued: int
) -> None:
    await crm.channel.declare_queue(names.queue, durable=True)
    await crm.channel.declare_queue(names.dead_letter_queue, durable=True)
    await park(crm, b"bad")
    (message,), _ = await desk(rabbitmq_url, names).oldest()
    arguments = (rabbitmq_url, names.queue, names.dead_letter_queue, message.id, moment)
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, *arguments)
    assert await killed.wait() == -9

    async def back() -> bool:
        return await crm.queued(names.dead_letter_queue) == 1

    await eventually(back)
    assert await crm.queued(names.queue) == requeued
    await desk(rabbitmq_url, names).requeue(message.id, lambda message: None)
    assert (await crm.queued(names.queue), await crm.queued(names.dead_letter_queue)) == (requeued + 1, 0)


@pytest.mark.parametrize(
    ("tenant", "roles", "code"), [(TENANT, "admin", "SYSTEM_TENANT_ONLY"), (SYSTEM_TENANT, "", "FORBIDDEN")]
)
async def test_only_operators_of_the_system_tenant_come_near(
    orchestrator: Service, crm: Neighbour, tenant: str, roles: str, code: str
) -> None:
    await park(crm, b"bad")
    (listed,) = await parked(orchestrator, 1)
    headers = {"X-User-ID": "eve", **({"X-User-Roles": roles} if roles else {})}
    async with orchestrator.client(tenant, **headers) as client:
        one = f"{PATH}/{listed['id']}"
        answers: list[httpx.Response] = [await client.get(PATH), await client.get(one)]
        answers.append(await client.post(f"{one}/requeue"))
        answers.append(await client.post(f"{one}/discard", json={"reason": "mine"}))
    assert [(each.status_code, each.json()["error"]["code"]) for each in answers] == [(403, code)] * 4
    assert await parked(orchestrator, 1) == [listed]


@pytest.mark.parametrize("id", [UNKNOWN_ID, "x", "..%2Fjobs"])
async def test_what_is_not_parked_is_not_found(orchestrator: Service, id: str) -> None:
    async with orchestrator.client(SYSTEM_TENANT, **OPERATOR) as client:
        assert (await client.get(f"{PATH}/{id}")).status_code == 404
