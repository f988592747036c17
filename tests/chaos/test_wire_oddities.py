"""What real senders do wrong or differently, on a real broker: handled, or parked once with the reason."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import anyio
import msgspec
import pytest

from tests.chaos.raw import epoch, publish_raw, short_text
from tests.harness import TENANT, Service, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

ASKED = {"opportunityId": "opp-odd", "riskScore": 0.9, "amount": 1}
REQUESTED = "hitl.approval.requested"


@pytest.fixture
async def orchestrator(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour
) -> AsyncIterator[Service]:
    """The service, embedded stores, on RabbitMQ."""
    settings = settings_in(tmp_path, overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url)
    async with service(settings) as running:
        await is_connected(running)
        yield running


def body(**changes: Any) -> bytes:
    """An approval asked for, with what is odd about it; None leaves a member out."""
    envelope = {
        "id": str(uuid4()),
        "type": REQUESTED,
        "version": "1.0",
        "timestamp": "2026-11-22T22:10:05.123Z",
        "tenantId": TENANT,
        "source": {"service": "a-neighbour", "instance": "a-neighbour-1"},
        "data": ASKED,
        **changes,
    }
    return msgspec.json.encode({name: value for name, value in envelope.items() if value is not None})


async def approvals(running: Service) -> int:
    """How many approvals there are."""
    async with running.client() as client:
        answer = await client.get("/api/v1/hitl/approvals")
    return int(answer.json()["total"])


async def counted(running: Service, outcome: str) -> float:
    """How many messages had an outcome, by ``/metrics``."""
    async with running.client() as client:
        lines = (await client.get("/metrics")).text.splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("messages_consumed_total") and f'outcome="{outcome}"' in line
    )


async def are_handled(
    running: Service, crm: Neighbour, count: int = 1, deliveries: int | None = None
) -> None:
    """Wait until so many approvals came of so many deliveries (one each), and nothing is left anywhere."""

    async def done() -> bool:
        taken = await counted(running, "handled") + await counted(running, "without_effect")
        return taken == (deliveries or count) and await approvals(running) == count

    await eventually(done)
    await anyio.sleep(0.05)
    assert await done()
    assert await counted(running, "parked") == 0
    assert await crm.queued(crm.names.queue) == 0
    assert await crm.queued(crm.names.dead_letter_queue) == 0


RAW = {
    "seconds": {"timestamp": epoch(1_795_385_405)},
    "milliseconds": {"timestamp": epoch(1_795_385_405_123)},
    "microseconds": {"timestamp": epoch(1_795_385_405_123_456)},
    "nanoseconds": {"timestamp": epoch(1_795_385_405_123_456_789)},
    "the largest there is": {"timestamp": epoch(2**64 - 1)},
    "message id in latin-1": {"message_id": short_text("für".encode("latin-1"))},
    "header with an absurd time": {"headers": struct.pack(">I", 11) + b"\x01aT" + b"\xff" * 8},
    "header name in latin-1": {"headers": struct.pack(">I", 8) + b"\x01\xffS\x00\x00\x00\x01a"},
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
async def test_an_odd_amqp_property_is_no_reason_to_refuse_a_message(
    orchestrator: Service, crm: Neighbour, raw: dict[str, bytes]
) -> None:
    await publish_raw(crm.channel, crm.names.exchange, REQUESTED, body(), raw)
    await are_handled(orchestrator, crm)
    assert (await orchestrator.container.transport.check()).status == "up"


ODD = {
    "source is a text": body(source="crm-sync"),
    "no source": body(source=None),
    "tenant only in data": body(tenantId=None, data={**ASKED, "tenantId": TENANT}),
    "empty tenant, and one in data": body(tenantId="", data={**ASKED, "tenantId": TENANT}),
    "tenant in capitals": body(tenantId=TENANT.upper()),
    "unknown fields": body(priority=7, data={**ASKED, "stage": {"name": "won"}}),
    "a mebibyte of unknown field": body(data={**ASKED, "attachment": "x" * 1_048_576}),
    "id is no UUID": body(id="CRM-4711"),
    "no id": body(id=None),
    "no type": body(type=None),
    "no version, no timestamp": body(version=None, timestamp=None),
    "a timestamp as a number": body(timestamp=1_795_385_405_123),
    "metadata that is no object": body(metadata="none"),
    "a correlation id that is no UUID": body(metadata={"correlationId": "abc"}),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_an_odd_envelope_is_handled(orchestrator: Service, crm: Neighbour, odd: bytes) -> None:
    await crm.send_raw(REQUESTED, odd)
    await are_handled(orchestrator, crm)


async def test_a_message_without_an_id_that_comes_twice_has_one_effect(
    orchestrator: Service, crm: Neighbour
) -> None:
    same = body(id=None)
    without_id = {"message_id": short_text(b"")}
    for _ in range(2):
        await publish_raw(crm.channel, crm.names.exchange, REQUESTED, same, without_id)

    async def both() -> bool:
        return await counted(orchestrator, "without_effect") == 1

    await eventually(both)
    await are_handled(orchestrator, crm, deliveries=2)


@pytest.mark.parametrize(
    "properties",
    [
        {"content_type": "application/xml"},
        {"content_encoding": "gzip"},
        {"reply_to": "somewhere"},
        {"headers": {"x": bytearray(b"\xff")}},
        {"type": "another.type"},
    ],
    ids=str,
)
async def test_the_other_properties_do_not_matter(
    orchestrator: Service, crm: Neighbour, properties: dict[str, Any]
) -> None:
    await crm.send_raw(REQUESTED, body(), **properties)
    await are_handled(orchestrator, crm)


BAD: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"hello", "not JSON"),
    "nothing": (b"", "not JSON: the body is empty"),
    "not UTF-8": (b'{"type":"\xff"}', "not JSON"),
    "a list": (b"[]", "JSON object"),
    "NaN": (body().replace(b"0.9", b"NaN"), "not JSON"),
    "infinite": (body().replace(b"0.9", b"1e999"), "not JSON"),
    "nested 1000 deep": (b'{"data":' + b"[" * 1000 + b"]" * 1000 + b"}", "nested"),
    "a mebibyte of nonsense": (b"x" * 1_048_576, "not JSON"),
    "risk score as a text": (body(data={**ASKED, "riskScore": "0.9"}), "data.riskScore"),
    "no amount": (body(data={"opportunityId": "o", "riskScore": 1}), "data.amount"),
    "data is a list": (body(data=[1]), "data"),
    "no data": (body(data=None), "data"),
    "no tenant": (body(tenantId=None), "tenantId"),
    "tenant is no UUID": (body(tenantId="acme"), "tenantId"),
    "tenant is a number": (body(tenantId=7), "tenantId"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
async def test_a_bad_message_is_parked_once_with_the_reason(
    orchestrator: Service, crm: Neighbour, bad: bytes, reason: str
) -> None:
    await crm.send_raw(REQUESTED, bad, message_id="the-senders-own")
    parked = await crm.take(crm.names.dead_letter_queue)
    assert parked.body == bad
    assert reason in str(parked.headers["x-reason"])
    assert parked.headers["x-original-routing-key"] == REQUESTED
    assert parked.headers["x-original-queue"] == crm.names.queue
    assert parked.message_id == "the-senders-own"
    assert parked.delivery_mode == aio_pika.DeliveryMode.PERSISTENT

    await crm.send_raw(REQUESTED, body())
    async with orchestrator.client() as client:

        async def next_is_handled() -> bool:
            return bool((await client.get("/api/v1/hitl/approvals")).json()["total"] == 1)

        await eventually(next_is_handled)
    assert await counted(orchestrator, "parked") == 1
    assert await crm.queued(crm.names.queue) == 0
    assert await crm.queued(crm.names.dead_letter_queue) == 0


async def test_a_bad_message_whose_id_grows_too_long_when_read_is_parked_all_the_same(
    orchestrator: Service, crm: Neighbour
) -> None:
    raw = {"message_id": short_text(b"\xff" * 255)}
    await publish_raw(crm.channel, crm.names.exchange, REQUESTED, b"nope", raw)
    parked = await crm.take(crm.names.dead_letter_queue)
    assert parked.body == b"nope"
    assert str(parked.headers["x-original-message-id"]).startswith("\\xff")


async def test_a_time_beyond_the_calendar_stops_no_projection(orchestrator: Service, crm: Neighbour) -> None:
    for odd in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        await crm.send_raw(REQUESTED, body(data={**ASKED, "requestedAt": odd}))
    await crm.send_raw(REQUESTED, body())
    async with orchestrator.client() as client:

        async def all_listed() -> bool:
            return bool((await client.get("/api/v1/hitl/approvals")).json()["total"] == 3)

        await eventually(all_listed)


async def test_a_number_too_large_to_store_is_parked_and_stops_no_follower(
    orchestrator: Service, crm: Neighbour
) -> None:
    await crm.send("integration.opportunity.updated", {"opportunityId": "opp-1"})
    (started,) = await crm.expect("workflow.opportunity.analysis.started")
    huge = body(type="forecast.completed", data={"workflowId": started["data"]["workflowId"]})
    data = b'{"workflowId":"%s","forecastId":"f","confidence":1,"revenueForecast":%s}' % (
        started["data"]["workflowId"].encode(),
        b"9" * 40,
    )
    marker = msgspec.json.encode({"workflowId": started["data"]["workflowId"]})
    await crm.send_raw("forecast.completed", huge.replace(marker, data))

    async def is_settled() -> bool:
        return await counted(orchestrator, "parked") + await counted(orchestrator, "handled") == 2

    await eventually(is_settled, seconds=20)
    await crm.send_raw(REQUESTED, body())

    async def next_is_handled() -> bool:
        return await approvals(orchestrator) == 1

    await eventually(next_is_handled)
    assert {follower.status.state for follower in orchestrator.container.parts.followers} == {"running"}
