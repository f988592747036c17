"""How jobs fare, as Prometheus reads it from a service at work."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from application.job_commands import CompleteJobRun, FailJobRun, FireJob, JobCommand
from config.settings import Settings
from domain import job
from domain.job import JobRunMissed, job_stream, run_id
from domain.values import SYSTEM_TENANT
from infrastructure.clock import SystemClock
from interfaces.scheduling import job_health
from tests.builders import metadata
from tests.harness import Service, eventually, service, settings_in

pytestmark = pytest.mark.anyio

JOB, NEVER_RUN, SWITCHED_OFF = "outcome-sync", "propagation", "cais-learning"
HOUR = timedelta(hours=1)

Samples = dict[tuple[str, str], float]
"""By the name and, where there is one, the outcome or bound; of one job."""


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_health, "_REST_SECONDS", 0.05)
    monkeypatch.setattr(job_health, "_LOOK_SECONDS", 0.2)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Service]:
    async with service(settings_in(tmp_path)) as each:
        yield each


async def scrape(running: Service, job: str) -> Samples:
    async with running.client(None) as client:
        text = (await client.get("/metrics")).text
    return {
        (sample.name, sample.labels.get("outcome") or sample.labels.get("le") or ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("batch_job") == job
    }


async def scraped(running: Service, outcome: str, number: int, *, open_runs: int = 0) -> Samples:
    """The metrics once there are so many runs of an outcome, and so many open ones."""

    async def there() -> Samples | None:
        found = await scrape(running, JOB)
        numbers = [found.get(key) for key in (("batch_job_runs_total", outcome), ("batch_job_open_runs", ""))]
        return found if numbers == [number, open_runs] else None

    found: Samples = await eventually(there)
    return found


async def is_expected(running: Service, job: str) -> bool:
    return ("batch_job_success_due_timestamp_seconds", "") in await scrape(running, job)


async def give(running: Service, *commands: JobCommand) -> None:
    for command in commands:
        await running.container.dispatch(command)


def about(kind: type[JobCommand], **arguments: Any) -> JobCommand:
    return kind(meta=metadata(tenant=SYSTEM_TENANT), job=JOB, **arguments)


async def missed(running: Service, *nominal: datetime, noticed_at: datetime) -> None:
    events = [
        JobRunMissed(job=JOB, run_id=run_id(JOB, each), nominal_at=each, noticed_at=noticed_at, reason="no")
        for each in nominal
    ]
    await running.container.stores.event_store.execute(
        job_stream(JOB),
        evolve=job.evolve,
        decide=lambda state: events,
        meta=metadata(tenant=SYSTEM_TENANT),
        now=noticed_at,
    )


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=10)


async def test_a_firing_and_its_success(running: Service) -> None:
    now = SystemClock().now()
    nominal, an_hour_ago = now - timedelta(seconds=90), now - HOUR
    await give(
        running,
        about(FireJob, nominal_at=nominal),
        about(CompleteJobRun, completed_at=an_hour_ago),
        about(FireJob, nominal_at=now),
    )
    found = await scraped(running, "completed", 1, open_runs=1)
    assert found["batch_job_last_success_age_seconds", ""] == near(3600)
    assert found["batch_job_last_success_timestamp_seconds", ""] == near(an_hour_ago.timestamp())
    assert found["batch_job_last_run_timestamp_seconds", "completed"] == near(an_hour_ago.timestamp())
    assert found["batch_job_oldest_open_run_age_seconds", ""] < 10
    assert found["batch_job_open_run_overdue_seconds", ""] == 0
    assert found["batch_job_lateness_seconds_bucket", "60.0"] == 1
    assert found["batch_job_lateness_seconds_bucket", "300.0"] == 2
    assert found["batch_job_lateness_seconds_bucket", "+Inf"] == found["batch_job_lateness_seconds_count", ""]
    assert found["batch_job_lateness_seconds_sum", ""] == near(90)
    assert found["batch_job_last_lateness_seconds", ""] == near(0)
    six_hours = (now + 6 * HOUR).timestamp()
    assert found["batch_job_success_due_timestamp_seconds", ""] == near(six_hours)


async def test_what_went_wrong(running: Service) -> None:
    now = SystemClock().now()
    await missed(running, now - 2 * HOUR, now - HOUR, noticed_at=now)
    await give(
        running,
        about(FailJobRun, error="not ours"),
        about(FireJob, nominal_at=now),
        about(FailJobRun, error="no disk"),
    )
    found = await scraped(running, "failed", 1)
    assert found["batch_job_runs_total", "missed"] == 2
    assert found["batch_job_runs_total", "timed_out"] == found["batch_job_runs_total", "skipped"] == 0
    assert found["batch_job_reports_unmatched_total", "failed"] == 1
    assert found["batch_job_reports_unmatched_total", "completed"] == 0
    for outcome in ("missed", "failed"):
        assert found["batch_job_last_run_timestamp_seconds", outcome] == near(now.timestamp())
    assert ("batch_job_last_success_age_seconds", "") not in found


async def test_a_job_that_has_never_run_has_its_zeros_and_its_next_firing(running: Service) -> None:
    await eventually(lambda: is_expected(running, NEVER_RUN))
    found = await scrape(running, NEVER_RUN)
    now = SystemClock().now()
    following = found["batch_job_next_firing_timestamp_seconds", ""]
    assert 0 < following - now.timestamp() <= 86_400
    assert datetime.fromtimestamp(following, UTC).strftime("%H:%M") == "05:00"
    assert found["batch_job_success_due_timestamp_seconds", ""] == following + 6 * 3600
    assert found["batch_job_runs_total", "failed"] == found["batch_job_waiting_runs", ""] == 0
    assert ("batch_job_last_lateness_seconds", "") not in found


async def test_nothing_is_expected_of_a_job_that_is_switched_off(running: Service) -> None:
    found: Samples = await eventually(lambda: scrape(running, SWITCHED_OFF))
    assert found["batch_job_open_runs", ""] == 0
    assert ("batch_job_next_firing_timestamp_seconds", "") not in found
    assert ("batch_job_success_due_timestamp_seconds", "") not in found


async def test_nor_of_one_that_is_paused(running: Service) -> None:
    async with running.client(SYSTEM_TENANT) as client:
        answer = await client.post(f"/api/v1/jobs/{JOB}/pause", json={"reason": "maintenance"})
        assert answer.status_code == 200

        async def is_paused(paused: float) -> bool:
            return (await scrape(running, JOB)).get(("batch_job_paused", "")) == paused

        await eventually(lambda: is_paused(1))
        assert not await is_expected(running, JOB)
        assert (await client.post(f"/api/v1/jobs/{JOB}/resume")).status_code == 200
        await eventually(lambda: is_paused(0))
        assert await is_expected(running, JOB)


async def test_a_restart_shows_the_totals_that_it_showed_before(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with service(settings) as before:
        for _ in range(3):
            await give(before, about(FireJob, nominal_at=SystemClock().now()), about(FailJobRun, error="no"))
        await scraped(before, "failed", 3)
    async with service(settings) as after:
        first = await scrape(after, JOB)
        assert first.get(("batch_job_runs_total", "failed")) in (None, 3)
        await scraped(after, "failed", 3)


@pytest.mark.postgres
@pytest.mark.rabbitmq
async def test_whoever_watches_the_clock_every_scheduler_shows_the_same(
    tmp_path: Path, postgres_store_url: str, rabbitmq_url: str
) -> None:
    def settings(roles: str) -> Settings:
        folder = tmp_path / roles
        folder.mkdir()
        return settings_in(
            folder, EVENT_STORE_URL=postgres_store_url, RABBITMQ_URL=rabbitmq_url, SERVICE_ROLES=roles
        )

    async with (
        service(settings("scheduler")) as holder,
        service(settings("scheduler,consumer")) as standby,
        service(settings("api,projector")) as neither,
    ):
        assert (holder.container.parts.held()["scheduler"], standby.container.parts.held()["scheduler"]) == (
            True,
            False,
        )
        await give(neither, about(FireJob, nominal_at=SystemClock().now()), about(FailJobRun, error="no"))
        shown = [await scraped(each, "failed", 1) for each in (holder, standby)]
        ages = {
            ("batch_job_oldest_open_run_age_seconds", ""),
            ("batch_job_success_due_timestamp_seconds", ""),
        }
        one, other = ({key: found[key] for key in found.keys() - ages} for found in shown)
        assert one == other
        assert not [name for name, _ in await scrape(neither, JOB) if name.startswith("batch_job_runs")]
