"""What a log of large events takes of memory does not grow with the log: whoever follows it, or reads all."""

import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from application.event_log import EventLog
from domain.values import SYSTEM_TENANT
from tests.application.logs import Settings, postgres_settings, sqlite_settings
from tests.builders import USER
from tests.chaos.decisions import until_ready
from tests.cosmos import Account, fresh_database
from tests.harness import PATIENCE_SECONDS, ServiceProcess, start_command
from tests.large_events import append_large, append_large_runs, id_of

pytestmark = pytest.mark.anyio

EVENTS = 96
"""Of a mebibyte each. Read at once they took 577 MiB of a service, and 647 MiB of a rebuild."""

MOST_MIB = 330
"""A service takes a hundred with no log at all, and the batches in hand some more."""


def fill(settings: Settings) -> None:
    """Append them."""
    log = EventLog(settings)
    append_large(log, EVENTS)
    log.close()


def peak_mib(pid: int) -> int:
    """most memory that a process has had so far."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) // 1024


def measured(*arguments: str, **environ: str) -> int:
    """most that a command had, once it has done its work."""
    process = start_command(*arguments, **environ)
    peak = 0
    with process:
        while process.poll() is None:
            with suppress(OSError, StopIteration):
                peak = max(peak, peak_mib(process.pid))
            time.sleep(0.01)
    assert process.returncode == 0
    return peak


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_rebuild_has_a_few_large_events_in_memory_at_a_time(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environ = {"DATA_DIR": str(tmp_path), "LOG_LEVEL": "warning"}
    settings = sqlite_settings(tmp_path)
    if kind == "postgres":
        environ["EVENT_STORE_URL"] = url = request.getfixturevalue("postgres_store_url")
        settings = postgres_settings(url)
    fill(settings)
    assert measured("rebuild", **environ) < MOST_MIB


async def test_a_service_that_follows_has_a_few_large_events_in_memory_at_a_time(tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path)
    service.data_dir.mkdir()
    fill(sqlite_settings(service.data_dir))
    try:
        service.start()
        await until_ready(service, 60)
        assert peak_mib(service.pid) < MOST_MIB
    finally:
        service.stop()


RUNS = 64
"""Of a mebibyte of small objects each: all at once they take 580 MiB."""

JOB = "outcome-sync"


@pytest.mark.cosmos
@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_who_answers_has_a_few_large_events_of_a_stream_in_memory_at_a_time(
    tmp_path: Path, postgres_store_url: str, rabbitmq_url: str, plain_cosmos: Account
) -> None:
    service = ServiceProcess(
        tmp_path,
        overlay=None,
        module="config.main",
        SERVICE_ROLES="api",
        EVENT_STORE_URL=postgres_store_url,
        RABBITMQ_URL=rabbitmq_url,
        **plain_cosmos.environ(fresh_database()),
    )
    log = EventLog(postgres_settings(postgres_store_url))
    append_large_runs(log, JOB, RUNS)
    log.close()
    try:
        service.start()
        headers = {"X-Tenant-ID": SYSTEM_TENANT, "X-User-ID": USER}
        base_url = f"{service.url}/api/v1/jobs"
        async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            triggered = await client.post(f"{JOB}/trigger", json={})
            assert (triggered.status_code, triggered.headers["ETag"]) == (202, f'"{RUNS + 1}"')
            then = await client.get(JOB, params={"asOf": str(RUNS)})
            assert (then.status_code, then.json()["openRuns"]) == (200, RUNS)
            run = await client.get(f"{JOB}/runs/{id_of(3)}", params={"asOf": str(RUNS)})
            assert (run.status_code, run.json()["runId"]) == (200, id_of(3))
            for _ in range(3):
                page = (await client.get(f"{JOB}/events", params={"limit": "200"})).json()
                assert page["total"] == RUNS + 1
                assert len(page["events"]) < RUNS
                assert page["nextCursor"]
        assert peak_mib(service.pid) < MOST_MIB
    finally:
        service.stop()
