"""Backfills with a worker: on the bus within the process, and on a real RabbitMQ."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from config.container import build
from config.runtime import working
from config.settings import Settings
from config.transport import InProcessTransport
from tests.contract.amqp import validate_message
from tests.contract.contract import validate_document
from tests.harness import SYSTEM_TENANT, Service, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.job_worker import Worker, days, rabbit_worker
from tests.neighbours import Names, Neighbour, neighbour

pytestmark = pytest.mark.anyio

JOB = "risk-snapshot-backfill"
JOBS = f"/api/v1/jobs/{JOB}"
RULES = {"batch_jobs": {"jobs": {JOB: {"retries": {"attempts": 2, "delay_seconds": 0.2}}}}}
FIVE_DAYS = {"from": "2026-01-01", "to": "2026-01-06"}


class World:
    """A service, its worker, and who watches over both."""

    def __init__(self, running: Service, worker: Worker) -> None:
        self.service = running
        self.worker = worker

    def client(self) -> httpx.AsyncClient:
        """An operator."""
        return self.service.client(SYSTEM_TENANT, **{"X-User-ID": "ada"})

    async def started(self, **body: Any) -> str:
        """Begin a backfill of five days; its id."""
        async with self.client() as client:
            answer = await client.post(f"{JOBS}/backfills", json=FIVE_DAYS | body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["backfillId"])

    async def ended(self, backfill_id: str) -> dict[str, Any]:
        """A backfill once it has come to its end."""

        async def there() -> dict[str, Any] | None:
            shown = await self.shown(backfill_id)
            return shown if "endedAt" in shown else None

        found: dict[str, Any] = await eventually(there)
        return found

    async def shown(self, backfill_id: str) -> dict[str, Any]:
        """A backfill as it stands."""
        async with self.client() as client:
            found: dict[str, Any] = (await client.get(f"{JOBS}/backfills/{backfill_id}")).json()
        validate_document("Backfill", found)
        return found


@asynccontextmanager
async def on_the_bus(settings: Settings) -> AsyncIterator[World]:
    """Everything within the process."""
    async with AsyncExitStack() as stack:
        container = await build(settings, stack)
        assert isinstance(container.transport, InProcessTransport)
        bus = container.transport.bus
        worker = Worker(bus.send)

        async def listen(message_type: str, body: bytes) -> None:
            await worker.take(body)

        bus.subscribe("worker", ["workflow.job.trigger"], listen)
        async with working(container):
            yield World(Service(container), worker)


@asynccontextmanager
async def on_rabbitmq(folder: Path, url: str) -> AsyncIterator[World]:
    """With a broker in between; what it is given keeps to the contract."""
    names = Names.fresh()
    settings = settings_in(folder, overlay=names.overlay() | RULES, RABBITMQ_URL=url)
    async with neighbour(url, names) as crm, service(settings) as running:
        await is_connected(running)
        async with rabbit_worker(crm) as worker:
            yield World(running, worker)
        for message in crm.seen:
            if message.app_id == "workflow-orchestrator":
                validate_message(message.body, message, routing_key=message.routing_key)


@pytest.fixture(params=["bus", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A service and a worker, on either kind of transport."""
    if request.param == "bus":
        there = on_the_bus(settings_in(tmp_path, overlay=RULES))
    else:
        there = on_rabbitmq(tmp_path, request.getfixturevalue("rabbitmq_url"))
    async with there as world:
        yield world


async def test_the_worker_gets_each_window_once_and_in_order(world: World) -> None:
    backfill = await world.ended(await world.started(metadata={"tenantIds": ["t"]}))
    assert world.worker.windows == list(days(1, 5))
    assert {each["data"]["triggeredBy"] for each in world.worker.taken.values()} == {"api"}
    assert [each["data"]["metadata"]["tenantIds"] for each in world.worker.taken.values()] == [["t"]] * 5
    assert backfill["status"] == "completed"
    assert backfill["progress"] == {
        "total": 5,
        "pending": 0,
        "open": 0,
        "completed": 5,
        "failed": 0,
        "percent": 100,
    }


async def test_a_dry_run_lists_exactly_the_runs_that_are_made(world: World) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    async with world.client() as client:
        body = FIVE_DAYS | {"windowDays": 2, "maxActive": 3}
        told = (await client.post(f"{JOBS}/backfills", json=body | {"dryRun": True}, headers=key)).json()
        validate_document("BackfillDryRun", told)
        await world.service.caught_up()
        assert (await client.get(f"{JOBS}/backfills")).json()["total"] == 0
        assert (await client.get(f"{JOBS}/runs")).json()["total"] == 0
        made = (await client.post(f"{JOBS}/backfills", json=body, headers=key)).json()
        assert made["backfillId"] == told["backfillId"]
        await world.ended(made["backfillId"])
        await world.service.caught_up()
        runs = (await client.get(f"{JOBS}/runs")).json()["runs"]
    planned = {each["runId"]: each["metadata"] for each in told["runs"]}
    assert {each["runId"]: each["metadata"] for each in runs} == planned
    assert sorted(world.worker.windows) == sorted((each["from"], each["to"]) for each in told["runs"])


async def test_a_window_that_fails_is_tried_again_and_then_the_next_one_starts(world: World) -> None:
    world.worker.failing = ["2026-01-02"]
    backfill = await world.ended(await world.started())
    first, second, *rest = days(1, 5)
    assert world.worker.windows == [first, second, second, *rest]
    assert (backfill["status"], backfill["progress"]["completed"]) == ("completed", 5)


async def test_a_window_that_fails_for_good_is_named_and_the_others_are_done(world: World) -> None:
    world.worker.failing = ["2026-01-02", "2026-01-02"]
    backfill = await world.ended(await world.started(maxActive=5))
    (failed,) = backfill["failedWindows"]
    assert (failed["from"], failed["to"], failed["status"]) == ("2026-01-02", "2026-01-03", "failed")
    assert (failed["attempt"], failed["error"]) == (2, "no disk")
    assert backfill["status"] == "completed_with_failures"
    assert (backfill["progress"]["completed"], backfill["progress"]["failed"]) == (4, 1)
    async with world.client() as client:

        async def failed_once_published() -> dict[str, Any] | None:
            shown = (await client.get(f"{JOBS}/runs/{failed['runId']}")).json()
            return shown if "publishedAt" in shown and shown["status"] == "failed" else None

        run: dict[str, Any] = await eventually(failed_once_published)
        await client.post(f"{JOBS}/trigger", json={})
        await world.service.caught_up()
        of_it = {"backfillId": backfill["backfillId"]}
        runs = (await client.get(f"{JOBS}/runs", params=of_it)).json()
        badly = (await client.get(f"{JOBS}/runs", params={**of_it, "status": "failed"})).json()
    assert (run["status"], run["backfillId"]) == ("failed", backfill["backfillId"])
    assert (runs["total"], badly["total"]) == (6, 2)
    assert badly["runs"][0] == run


@pytest.mark.rabbitmq
async def test_without_a_worker_no_more_windows_wait_in_the_queue_than_may_be_open(
    orchestrator: Service, crm: Neighbour, names: Names
) -> None:
    world = World(orchestrator, Worker(crm.send_raw))
    backfill_id = await world.started(maxActive=2)
    await crm.expect("workflow.job.trigger", 2)
    async with world.client() as client:
        await client.post(f"{JOBS}/trigger", json={})
    triggers = await crm.expect("workflow.job.trigger", 3)
    assert await crm.queued(names.job_queue) == 3
    assert [each["data"]["triggeredBy"] for each in triggers] == ["api", "api", "manual"]

    async with world.client() as client:
        cancelled = await client.post(f"{JOBS}/backfills/{backfill_id}/cancel", json={"reason": "no worker"})
    assert cancelled.json()["status"] == "cancelling"
    async with rabbit_worker(crm) as worker:
        backfill = await world.ended(backfill_id)
    assert worker.windows == [*days(1, 2)]
    assert (backfill["status"], backfill["cancelReason"]) == ("cancelled", "no worker")
    assert (backfill["progress"]["pending"], backfill["progress"]["percent"]) == (3, 40)
