"""kill -9 in the middle of a backfill: it goes on to its end, and no window has a second run.

``BACKFILL_WINDOWS`` says how many windows (24 if silent), ``BACKFILL_SEED`` by which chance it is killed.
"""

import os
import random
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest

from tests.chaos.decisions import in_thread
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.job_worker import rabbit_worker
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

WINDOWS = int(os.environ.get("BACKFILL_WINDOWS", "24"))
SEED = int(os.environ.get("BACKFILL_SEED", "7"))
JOB = "/api/v1/jobs/risk-snapshot-backfill"
FIRST = date(2026, 1, 1)


async def shown(service: ServiceProcess, path: str) -> dict[str, Any]:
    """What the service says, as soon as it does."""

    async def answered() -> dict[str, Any] | None:
        try:
            async with service.async_client(SYSTEM_TENANT) as client:
                answer = await client.get(path)
        except httpx.TransportError:
            return None
        found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
        return found

    found: dict[str, Any] = await eventually(answered)
    return found


@pytest.mark.timeout(180)
async def test_a_backfill_goes_on_after_each_kill_and_runs_each_window_once(
    service: ServiceProcess, crm: Neighbour
) -> None:
    chance = random.Random(SEED)
    await in_thread(service.start)
    body = {"from": str(FIRST), "to": str(FIRST + timedelta(days=WINDOWS)), "maxActive": 3}
    async with service.async_client(SYSTEM_TENANT) as client:
        made = await client.post(f"{JOB}/backfills", json=body)
    assert made.status_code == 201, made.text
    path = made.headers["location"]

    async with rabbit_worker(crm) as worker:
        for kill in range(1, 4):

            async def far_enough(taken: int = kill * WINDOWS // 5) -> bool:
                return len(worker.taken) >= taken

            await eventually(far_enough, every=0.001)
            await anyio.sleep(chance.random() * 0.05)
            service.kill()
            await in_thread(service.start)

        async def ended() -> dict[str, Any] | None:
            found = await shown(service, path)
            return found if "endedAt" in found else None

        backfill = await eventually(ended, seconds=60)

    assert backfill["status"] == "completed"
    assert backfill["progress"]["completed"] == WINDOWS
    days = [str(FIRST + timedelta(days=number)) for number in range(WINDOWS + 1)]
    assert sorted(worker.windows) == list(pairwise(days))

    async def all_closed() -> dict[str, Any] | None:
        found = await shown(service, f"{JOB}/runs?limit=200")
        return found if {each["status"] for each in found["runs"]} == {"completed"} else None

    runs = await eventually(all_closed)
    assert runs["total"] == WINDOWS
    assert {each["backfillId"] for each in runs["runs"]} == {backfill["backfillId"]}
