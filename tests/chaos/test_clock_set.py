"""A service on SQLite whose clock is set hours ahead, and then right: a process under libfaketime."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.campaign.instances import FAKETIME, Clock
from tests.chaos.conftest import Launch
from tests.chaos.decisions import get
from tests.harness import SYSTEM_TENANT, ServiceProcess, eventually
from tests.services import missing

pytestmark = pytest.mark.anyio

EVERY_MINUTE = {"batch_jobs": {"jobs": {"propagation": {"cron": "* * * * *", "catch_up": "none"}}}}


async def runs(service: ServiceProcess, status: str) -> list[dict[str, Any]]:
    found = await get(service, "/jobs/propagation/runs", SYSTEM_TENANT, limit=200, status=status)
    return list(found["runs"])


async def until_jumps(service: ServiceProcess, number: int) -> None:
    async def told() -> bool:
        return service.log.count("clock_jumped") >= number

    await eventually(told, seconds=60)


@pytest.mark.timeout(300)
async def test_a_job_neither_fires_in_bulk_nor_stands_still_until_then(
    processes: Launch, tmp_path: Path
) -> None:
    if not FAKETIME.exists():
        missing("libfaketime")
    clock = Clock(tmp_path / "clock")
    service = processes(overlay=EVERY_MINUTE, **clock.environ())
    service.start()
    clock.set("+3h")
    await until_jumps(service, 1)

    async def passed() -> bool:
        return len(await runs(service, "missed")) > 100

    await eventually(passed)
    assert len(await runs(service, "published")) <= 3
    clock.set("+0")
    await until_jumps(service, 2)
    right = datetime.now(UTC) + timedelta(seconds=1)

    async def fires() -> bool:
        nominal = [datetime.fromisoformat(each["nominalTime"]) for each in await runs(service, "published")]
        return any(right - timedelta(minutes=1) < each < right + timedelta(minutes=3) for each in nominal)

    await eventually(fires, seconds=130)
