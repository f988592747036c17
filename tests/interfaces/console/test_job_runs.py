"""What became of a job's firings, on its pages: also of those that were never tried."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interfaces.scheduling.cron_commands import CronCommands
from tests.harness import SYSTEM_TENANT, service, settings_in

pytestmark = pytest.mark.anyio

JOB = "outcome-sync"
NOMINAL = datetime(2025, 11, 30, 1, tzinfo=UTC)


@pytest.mark.parametrize("status", ["skipped", "missed"])
async def test_a_run_that_was_never_tried_is_shown(tmp_path: Path, status: str) -> None:
    async with (
        service(settings_in(tmp_path, BATCH_JOBS_ENABLED="false")) as running,
        running.client(SYSTEM_TENANT, **{"X-User-ID": "ada"}) as ada,
    ):
        paused = await ada.post(f"/api/v1/jobs/{JOB}/pause", json={"reason": "a freeze"})
        assert paused.status_code == 200, paused.text
        firings = CronCommands(running.container.dispatch)
        if status == "skipped":
            await firings.fire(JOB, NOMINAL)
        else:
            await firings.miss(JOB, [NOMINAL - timedelta(hours=1)])
        await running.caught_up()
        for path in (f"/console/jobs/{JOB}", f"/console/jobs/{JOB}/runs"):
            shown = await ada.get(path)
            assert shown.status_code == 200, path
            assert f'class="badge {status}"' in shown.text, path
