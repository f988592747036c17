"""SIMULATION: the service at work, with simulated neighbours."""

import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import click
import httpx

from config.commands.neighbours import declare_queue, simulate_in_process
from config.container import Container, build
from config.descriptors import require_enough
from config.logs import configure_logs
from config.runtime import bind, run
from config.sections import Settings
from config.signals import listening, unless_told_to_stop
from config.start import DemoFailed
from config.transport import InProcessTransport
from domain.event import Recorded
from domain.interest import EVERYTHING
from domain.lease import Lease, Unrivalled
from domain.values import SYSTEM_TENANT, timestamp
from infrastructure.clock import SystemClock
from infrastructure.memory.checkpoints import MemoryCheckpoints
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.topology import topic_exchange
from interfaces.neighbours import SIMULATED, message
from projections.follower import Follower

TENANT = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"
PERSON = "5b9d1c1e-2f0a-4b8e-8d43-0d6b7f2c4a11"
OWNER = "0f4e6b7a-8d21-4c35-9a60-5b3c7e9d1f42"
PATIENCE_SECONDS = 30

Send = Callable[[str, bytes], Awaitable[None]]


async def demo(settings: Settings, config: Path | None, *, stop_after: bool) -> None:
    """Run one opportunity, one approval and one job to their ends, and print each event as it happens.

    The service stays up to be tried out unless ``stop_after`` is set. ``config`` is the file that the
    settings came from, for simulated neighbours in a process of their own.

    Raises:
        CannotStart: as for the service itself.
        DemoFailed: something that should happen did not, within half a minute.
    """
    settings = _for_the_demo(settings)
    require_enough(settings)
    configure_logs(settings.logging, {"service": settings.service.name})
    click.secho("SIMULATION: the neighbours are stand-ins and their figures are made up.", fg="yellow")
    async with AsyncExitStack() as stack:
        orders = stack.enter_context(listening())
        listener = bind(settings.server.host, settings.server.port)
        stack.callback(listener.close)
        container = await unless_told_to_stop(orders, build(settings, stack))
        if container is None:
            return
        if isinstance(container.transport, InProcessTransport):
            simulate_in_process(container.transport.bus)
        host, port = listener.getsockname()[:2]
        failures: list[DemoFailed] = []
        async with anyio.create_task_group() as tasks:

            async def play() -> None:
                async with AsyncExitStack() as stand_ins:
                    try:
                        await _play(container, config, f"http://{host}:{port}", stand_ins)
                    except (DemoFailed, httpx.HTTPError) as error:
                        failures.append(DemoFailed(f"the demo came to no good end: {error}"))
                    if not failures and not stop_after:
                        _invite(f"http://{host}:{port}")
                        await anyio.sleep_forever()
                signal.raise_signal(signal.SIGTERM)

            tasks.start_soon(_print_events, container)
            tasks.start_soon(play)
            await run(container, listener, orders)
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]


async def _play(container: Container, config: Path | None, url: str, stand_ins: AsyncExitStack) -> None:
    send = await _sender(container, config, stand_ins)
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=5) as client:
        await _until_ready(url)
        await _opportunity(client, send)
        await _approval(client, send)
        await _job(client)
    click.secho("\nAll three came to their ends.", fg="green")


def _invite(url: str) -> None:
    """Print what to try while the service stays up."""
    click.echo(
        f"\nThe service stays up: {url}/console shows what has happened, {url}/docs has every route to try.\n"
        f"  curl -s {url}/api/v1/workflows -H 'X-Tenant-ID: {TENANT}'\n"
        f"  curl -s {url}/api/v1/hitl/approvals -H 'X-Tenant-ID: {TENANT}'\n"
        f"  curl -s {url}/api/v1/jobs -H 'X-Tenant-ID: {SYSTEM_TENANT}'\n"
        "Ctrl-C ends it."
    )


async def _until_ready(url: str) -> None:
    """Wait until the service listens, because a message that is sent before would be lost."""
    async with httpx.AsyncClient(base_url=url, timeout=5) as client:
        with anyio.move_on_after(PATIENCE_SECONDS):
            while True:
                answer = await client.get("/ready")
                if answer.status_code == 200:
                    return
                await anyio.sleep(0.1)
    raise DemoFailed(f"the service was not ready within {PATIENCE_SECONDS} s: GET {url}/ready says why")


async def _opportunity(client: httpx.AsyncClient, send: Send) -> None:
    opportunity_id = f"opp-{uuid4().hex[:8]}"
    click.secho(f"\n1. Opportunity {opportunity_id} changes in the CRM", bold=True)
    event_type = "integration.opportunity.updated"
    await send(event_type, message(event_type, TENANT, {"opportunityId": opportunity_id}))
    await _until(client, "/workflows", {"opportunityId": opportunity_id}, "workflows", "completed")


async def _approval(client: httpx.AsyncClient, send: Send) -> None:
    opportunity_id = f"opp-{uuid4().hex[:8]}"
    click.secho("\n2. A risky deal asks for a person", bold=True)
    event_type = "hitl.approval.requested"
    data = {"opportunityId": opportunity_id, "riskScore": 0.87, "amount": 250_000, "ownerId": OWNER}
    await send(event_type, message(event_type, TENANT, data))
    filters = {"opportunityId": opportunity_id}
    approval = await _until(client, "/hitl/approvals", filters, "approvals", "pending")
    decision = {"decidedBy": PERSON, "comment": "strategic account"}
    path = f"/hitl/approvals/{approval['id']}/approve"
    answer = await client.post(path, json=decision, headers={"X-Tenant-ID": TENANT})
    answer.raise_for_status()
    await _until(client, "/hitl/approvals", filters, "approvals", "approved")


async def _job(client: httpx.AsyncClient) -> None:
    click.secho("\n3. A batch job is triggered by hand", bold=True)
    job = "risk-snapshot-backfill"
    metadata = {"from": "2026-01-01", "to": "2026-01-31"}
    headers = {"X-Tenant-ID": SYSTEM_TENANT}
    answer = await client.post(f"/jobs/{job}/trigger", json={"metadata": metadata}, headers=headers)
    answer.raise_for_status()
    run_id = answer.json()["runId"]
    await _until(client, f"/jobs/{job}/runs", {}, "runs", "completed", tenant=SYSTEM_TENANT, run_id=run_id)


async def _until(
    client: httpx.AsyncClient,
    path: str,
    filters: dict[str, str],
    name: str,
    status: str,
    *,
    tenant: str = TENANT,
    run_id: str | None = None,
) -> dict[str, Any]:
    """Return the newest of a list, once it has that status."""
    with anyio.move_on_after(PATIENCE_SECONDS):
        while True:
            answer = await client.get(path, params=filters, headers={"X-Tenant-ID": tenant})
            answer.raise_for_status()
            for found in answer.json()[name][:1]:
                if found["status"] == status and run_id in (None, found.get("runId")):
                    return dict(found)
            await anyio.sleep(0.05)
    raise DemoFailed(f"GET {path} showed no {status} one within {PATIENCE_SECONDS} s")


async def _sender(container: Container, config: Path | None, stack: AsyncExitStack) -> Send:
    """Return what sends as a neighbour would. On RabbitMQ the simulated neighbours are started as well.

    Their queue exists before they do, so that they miss nothing.
    """
    if isinstance(container.transport, InProcessTransport):
        return container.transport.bus.send
    settings = container.settings
    connection = RabbitConnection(settings.rabbitmq.url.get_secret_value(), purpose="demo", app_id=SIMULATED)
    exchange = topic_exchange(settings.rabbitmq.exchange)
    await connection.connect(partial(declare_queue, settings=settings))
    stack.push_async_callback(connection.close)
    arguments = ["--config", str(config)] if config else []
    process = await stack.enter_async_context(
        await anyio.open_process(
            [sys.executable, "-m", "config.main", "neighbours", *arguments],
            stdin=None,
            stdout=None,
            stderr=None,
        )
    )
    stack.callback(process.terminate)

    async def send(message_type: str, body: bytes) -> None:
        wire_type = settings.rabbitmq.type_aliases.get(message_type, message_type)
        await connection.broker.publish(body, exchange=exchange, routing_key=wire_type, persist=True)

    return send


async def _print_events(container: Container) -> None:
    store = container.stores.event_store
    positions = MemoryCheckpoints()
    printer = _Printer()
    lease = Unrivalled(printer.name)
    for partition in await store.partitions():
        await positions.save(printer.name, partition, await store.head(partition), lease)
    await Follower(printer, store, positions, now=SystemClock().now).run(lease)


class _Printer:
    """Prints each event as it is stored."""

    name = "printer"
    wants = EVERYTHING
    may_repeat_unnoticed = False

    async def start_over(self) -> None:
        """Do nothing: what was printed stays."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        for recorded in events:
            about = getattr(recorded.event, "step_type", "") or getattr(recorded.event, "job", "")
            moment = timestamp(recorded.timestamp)[11:23]
            stream = recorded.stream.split("/", 1)[1]
            click.echo(f"   {moment}  {recorded.event.TOPIC:<26} {about:<24} {stream} v{recorded.version}")


def _for_the_demo(settings: Settings) -> Settings:
    """Return settings with data of its own, without tokens, and for this machine alone."""
    return settings.model_copy(
        update={
            "storage": settings.storage.model_copy(update={"data_dir": settings.storage.data_dir / "demo"}),
            "auth": settings.auth.model_copy(update={"mode": "gateway"}),
            "console": settings.console.model_copy(update={"trusts_visitors": True}),
            "server": settings.server.model_copy(update={"host": "127.0.0.1"}),
            "logging": settings.logging.model_copy(update={"level": "warning"}),
        }
    )
