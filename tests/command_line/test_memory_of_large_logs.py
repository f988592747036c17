"""What a log of large events takes of memory does not grow with the log: whoever follows it, or reads all."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from application.event_log import EventLog
from tests.application.logs import Settings, postgres_settings, sqlite_settings
from tests.chaos.decisions import until_ready
from tests.harness import ServiceProcess, start_command
from tests.large_events import append_large

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
