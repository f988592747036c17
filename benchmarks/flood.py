"""How long the starts of one tenant take while another tenant floods the service with messages.

    python -m benchmarks.flood [MESSAGES]

The service runs in its own process, on SQLite and a real RabbitMQ. One tenant sends updates of many
opportunities at once, another one sends an update every 100 ms. Two times of the latter are measured, from
sending the message: until the steps are dispatched, and until a neighbour has the request. There are four
cases: no flood; a flood; a flood with a prefetch so large that the tenants' messages are handled in turns; a
flood without limits on starts.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika
import httpx
import msgspec

from tests.harness import OTHER_TENANT, TENANT, ServiceProcess
from tests.neighbours import Names
from tests.services import rabbitmq

UPDATED = "integration.opportunity.updated"
REQUESTED = "workflow.forecast.requested"
PROBES = 100
APART_SECONDS = 0.1
PATIENCE_SECONDS = 600.0
UNBOUNDED = {"workflows": {"starts_per_second": 100_000, "starts_at_once": 65_535}}
ALL_AT_HAND = {"rabbitmq": {"prefetch": 20_000}}


def update(tenant: str, opportunity: str) -> aio_pika.Message:
    """Return an update as the CRM sends it."""
    body = {"id": str(uuid4()), "type": UPDATED, "tenantId": tenant, "data": {"opportunityId": opportunity}}
    return aio_pika.Message(msgspec.json.encode(body), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


async def measured(url: str, flood: int, settings: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Return, for each probe, the milliseconds until its steps were dispatched and until the request
    arrived."""
    names = Names.fresh()
    sent: dict[str, float] = {}
    arrived: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        rabbit = names.overlay(**settings.get("rabbitmq", {}))
        overlay = {**settings, **rabbit}
        service = ServiceProcess(Path(folder), overlay=overlay, RABBITMQ_URL=url).start()
        await until_ready(service.url)
        connection = await aio_pika.connect(url)
        try:
            channel = await connection.channel(publisher_confirms=False)
            exchange = await channel.declare_exchange(
                names.exchange, aio_pika.ExchangeType.TOPIC, durable=True
            )
            seen = await channel.declare_queue(exclusive=True)
            await seen.bind(exchange, REQUESTED)

            async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
                data = msgspec.json.decode(message.body)["data"]
                if data["opportunityId"] in sent:
                    arrived[data["opportunityId"]] = time.time()

            await seen.consume(take, no_ack=True)
            for number in range(flood):
                await exchange.publish(update(TENANT, f"flood-{number}"), UPDATED)
            for number in range(PROBES):
                sent[f"probe-{number}"] = time.time()
                await exchange.publish(update(OTHER_TENANT, f"probe-{number}"), UPDATED)
                await asyncio.sleep(APART_SECONDS)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(arrived) < PROBES:
                    await asyncio.sleep(0.1)
            dispatched = await dispatch_times(service.url)
        finally:
            await remove(connection, names)
            service.kill()
    return (
        [1000 * (dispatched[each] - at) for each, at in sent.items()],
        [1000 * (arrived[each] - at) for each, at in sent.items()],
    )


async def until_ready(url: str) -> None:
    """Wait until the service is ready."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        while (await client.get("/ready")).status_code != 200:
            await asyncio.sleep(0.1)


async def dispatch_times(url: str) -> dict[str, float]:
    """Return when each probe's first step was dispatched."""
    async with httpx.AsyncClient(base_url=url, headers={"X-Tenant-ID": OTHER_TENANT}, timeout=30) as client:
        while True:
            found = (await client.get("/api/v1/workflows", params={"limit": 200})).json()["workflows"]
            if len(found) == PROBES:
                break
            await asyncio.sleep(0.5)
    return {each["opportunityId"]: seconds(each["steps"][0]["startedAt"]) for each in found}


def seconds(text: str) -> float:
    """Return an ISO time in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


async def remove(connection: aio_pika.abc.AbstractConnection, names: Names) -> None:
    """Delete the queues and the exchange from the broker."""
    channel = await connection.channel()
    for queue in (names.queue, names.job_queue, names.dead_letter_queue):
        await channel.queue_delete(queue)
    await channel.exchange_delete(names.exchange)
    await connection.close()


def told(name: str, times: list[float]) -> str:
    """Return a line with p50, p95 and the longest time, in milliseconds."""
    cuts = statistics.quantiles(times, n=20)
    return f"{name}: p50 {cuts[9]:.0f}, p95 {cuts[18]:.0f}, longest {max(times):.0f} ms"


def main() -> None:
    """Print the figures."""
    flood = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cases: list[tuple[str, int, Mapping[str, Any]]] = [
        ("no flood", 0, {}),
        (f"a flood of {flood}", flood, {}),
        (f"a flood of {flood}, all at hand", flood, ALL_AT_HAND),
        (f"a flood of {flood}, nobody held back", flood, UNBOUNDED),
    ]
    with rabbitmq() as url:
        for name, messages, settings in cases:
            dispatched, arrived = asyncio.run(measured(url, messages, settings))
            print(told(f"{name}, dispatched", dispatched), flush=True)
            print(told(f"{name}, requested", arrived), flush=True)


if __name__ == "__main__":
    main()
