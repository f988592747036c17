"""A store that is too slow for what is asked of it: 503 at once or in bounded time, and memory stays flat.

``CHAOS_OVERLOAD_SECONDS`` says for how long; `make chaos` takes ten minutes.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp
import anyio
import httpx
import psycopg
import pytest

from tests.chaos.conftest import Launch
from tests.chaos.decisions import in_thread, until_ready
from tests.harness import TENANT, ServiceProcess, eventually
from tests.neighbours import Names, Neighbour
from tests.plain_http import NO_TLS

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq, pytest.mark.postgres]

SECONDS = float(os.environ.get("CHAOS_OVERLOAD_SECONDS", "15"))
CLIENTS = 400
"""More than wait for the store and are at work on it together."""

PREFETCH = 20
MESSAGES = 500
LONGEST_ANSWER_SECONDS = 14.0
"""A call waits three seconds for its turn and ten for its answer; the rest is for two busy cores."""

EVENTS_A_SECOND = 25
LEAST_SHARE = 0.4
"""Of what the store could take: work is not to be wasted on those who have given up."""

FLAT_MIB = 24.0
"""What a process may grow by once it has seen the overload for a while."""

_SLOW = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.04); RETURN NEW; END $$;
CREATE TRIGGER be_slow BEFORE INSERT ON workflow_orchestrator_events
    FOR EACH ROW EXECUTE FUNCTION be_slow();
"""


@contextmanager
def slow(url: str) -> Iterator[None]:
    """Let each event take its time, and so the next one."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_SLOW)
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER be_slow ON workflow_orchestrator_events")


def memory_mib(service: ServiceProcess) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{service.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the process has ended")


class Overload:
    """Clients that ask without a pause, and what they were told."""

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self.statuses: Counter[int] = Counter()
        self.made: list[str] = []
        self.slowest = 0.0
        self.memory: list[float] = []
        self.health: list[float] = []

    async def run(self, seconds: float) -> None:
        """Ask for so long, and look at memory and health meanwhile."""
        async with (
            aiohttp.ClientSession(
                self._service.url,
                headers={"X-Tenant-ID": TENANT},
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
            ) as client,
            anyio.create_task_group() as group,
        ):
            until = time.monotonic() + seconds
            group.start_soon(self._look, until)
            for _ in range(CLIENTS):
                group.start_soon(self._ask, client, until)

    async def _ask(self, client: aiohttp.ClientSession, until: float) -> None:
        while time.monotonic() < until:
            began = time.monotonic()
            body = {"opportunityId": f"opp-{uuid4().hex[:8]}", "riskScore": 1, "amount": 1}
            async with client.post("/api/v1/hitl/approvals", json=body) as answer:
                told = await answer.json()
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.statuses[answer.status] += 1
            if answer.status == 201:
                self.made.append(told["id"])
            else:
                assert int(answer.headers["Retry-After"]) > 0, told
                await anyio.sleep(0.5)

    async def _look(self, until: float) -> None:
        async with httpx.AsyncClient(base_url=self._service.url, timeout=10, verify=NO_TLS) as client:
            while time.monotonic() < until:
                began = time.monotonic()
                answer = await client.get("/health")
                assert answer.status_code == 200
                self.health.append(time.monotonic() - began)
                self.memory.append(memory_mib(self._service))
                await anyio.sleep(0.5)


@pytest.mark.timeout(SECONDS + 120)
async def test_a_store_that_is_too_slow_is_answered_503_and_costs_no_memory(
    processes: Launch, rabbitmq_url: str, postgres_store_url: str, names: Names, crm: Neighbour
) -> None:
    service = processes(
        overlay=names.overlay(prefetch=PREFETCH),
        RABBITMQ_URL=rabbitmq_url,
        EVENT_STORE_URL=postgres_store_url,
        LOG_LEVEL="error",
    )
    await in_thread(service.start)
    await until_ready(service)
    overload = Overload(service)
    with slow(postgres_store_url):
        for number in range(MESSAGES):
            data = {"opportunityId": f"by-event-{number}", "riskScore": 1, "amount": 1}
            await crm.send("hitl.approval.requested", data)
        await overload.run(SECONDS)
        waiting = await crm.queued(names.queue)
    print(
        f"\n{SECONDS:g} s of overload: {dict(overload.statuses)}, slowest answer {overload.slowest:.1f} s,"
        f" /health up to {max(overload.health):.2f} s, memory {overload.memory[0]:.0f} to"
        f" {max(overload.memory):.0f} MiB, {waiting} of {MESSAGES} messages left in the queue"
    )
    assert set(overload.statuses) == {201, 503}
    assert overload.statuses[201] > LEAST_SHARE * EVENTS_A_SECOND * SECONDS
    assert overload.slowest < LONGEST_ANSWER_SECONDS
    third = len(overload.memory) // 3
    assert max(overload.memory[-third:]) < max(overload.memory[:third]) + FLAT_MIB
    assert sorted(overload.health)[len(overload.health) // 2] < 1.0

    async def all_there() -> bool:
        with psycopg.connect(postgres_store_url) as connection:
            rows = connection.execute(
                "SELECT originator_id FROM workflow_orchestrator_events WHERE originator_version = 1"
            ).fetchall()
        asked = {str(row[0]).rsplit("/", 1)[1] for row in rows}
        return set(overload.made) <= asked and len(asked) >= len(overload.made) + MESSAGES

    await eventually(all_there, seconds=60, every=0.5)
    await until_ready(service)
