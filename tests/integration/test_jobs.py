"""Batch jobs: fired, triggered by hand, and closed by the worker's report."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from eventsourcing.persistence import IntegrityError
from structlog.testing import capture_logs

from application.event_log import Append, Ids
from interfaces.scheduling.cron_commands import CronCommands
from tests.harness import SYSTEM_TENANT, TENANT, UNKNOWN_ID, USER, Service, eventually
from tests.neighbours import Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

JOB = "risk-snapshot-backfill"
NOMINAL = datetime(2025, 11, 30, 1, 0, tzinfo=UTC)


async def runs(service: Service, job: str = JOB, **filters: str) -> list[dict[str, Any]]:
    """The job's runs."""
    await service.caught_up()
    async with service.client(SYSTEM_TENANT) as client:
        answer = await client.get(f"/api/v1/jobs/{job}/runs", params=filters)
    found: list[dict[str, Any]] = answer.json()["runs"]
    return found


async def triggered(service: Service, job: str = JOB, **metadata: Any) -> dict[str, Any]:
    """A run opened by hand."""
    async with service.client(SYSTEM_TENANT, **{"X-User-ID": USER}) as client:
        answer = await client.post(f"/api/v1/jobs/{job}/trigger", json={"metadata": metadata})
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


async def test_a_trigger_published_before_any_worker_exists_waits_in_the_job_queue(
    orchestrator: Service, crm: Neighbour
) -> None:
    await triggered(orchestrator, **{"from": "2026-01-01", "to": "2026-01-31"})
    await crm.expect("workflow.job.trigger")

    message = await crm.take(crm.names.job_queue)
    body = msgspec.json.decode(message.body)
    assert body["type"] == "workflow.job.trigger"
    assert body["tenantId"] == SYSTEM_TENANT
    assert body["metadata"]["userId"] == USER
    assert body["data"] == {
        "job": JOB,
        "metadata": {"from": "2026-01-01", "to": "2026-01-31"},
        "triggeredBy": "manual",
        "timestamp": body["data"]["timestamp"],
    }
    assert message.delivery_mode == 2


async def test_a_firing_is_an_event_first_and_fires_once(orchestrator: Service, crm: Neighbour) -> None:
    container = orchestrator.container
    firings = CronCommands(container.dispatch)
    for _ in range(3):
        await firings.fire(JOB, NOMINAL)

    (message,) = await crm.expect("workflow.job.trigger")
    assert message["data"]["triggeredBy"] == "scheduler"
    assert message["data"]["metadata"]["schedule"] == "0 1 * * 0"
    assert message["data"]["metadata"]["triggeredAt"].endswith("Z")

    async def published() -> list[dict[str, Any]]:
        return await runs(orchestrator, status="published")

    (run,) = await eventually(published)
    assert run["nominalTime"] == "2025-11-30T01:00:00.000Z"
    assert run["triggeredAt"] <= run["publishedAt"]
    assert run["actor"] == "system:scheduler"
    assert message["metadata"]["correlationId"] == run["runId"]
    assert len(crm.messages("workflow.job.trigger")) == 1


@pytest.mark.parametrize("tenant", [SYSTEM_TENANT, ""])
async def test_a_report_closes_the_newest_open_run(
    orchestrator: Service, crm: Neighbour, tenant: str
) -> None:
    older, newer = await triggered(orchestrator, n=1), await triggered(orchestrator, n=2)
    report = {"job": JOB, "status": "success", "completedAt": "2026-11-23T01:02:03.000Z"}
    await crm.send("workflow.job.completed", report, tenant=tenant)

    async def closed() -> list[dict[str, Any]]:
        return await runs(orchestrator, status="completed")

    (completed,) = await eventually(closed)
    assert completed["runId"] == newer["runId"]
    assert completed["completedAt"] == "2026-11-23T01:02:03.000Z"

    failure = {"job": JOB, "error": "out of memory", "failedAt": "2026-11-23T01:05:00.000Z"}
    await crm.send("workflow.job.failed", failure, tenant=tenant)

    async def failed() -> list[dict[str, Any]]:
        return await runs(orchestrator, status="failed")

    (run,) = await eventually(failed)
    assert run["runId"] == older["runId"]
    assert run["error"] == "out of memory"


async def test_reports_that_nobody_waits_for_are_acknowledged_and_kept(
    orchestrator: Service, crm: Neighbour
) -> None:
    async def kept() -> list[dict[str, Any]]:
        return await runs(orchestrator, status="completed")

    with capture_logs() as logs:
        for job in ("no-such-job", JOB):
            await crm.send("workflow.job.completed", {"job": job, "status": "success"}, tenant=SYSTEM_TENANT)
        (stray,) = await eventually(kept)
    refused = [each for each in logs if each["event"] == "message_refused"]
    assert [(each["log_level"], each["code"]) for each in refused] == [("warning", "JOB_NOT_FOUND")]
    assert stray["triggeredBy"] == "unknown"
    assert "somebody else" in stray["reason"]
    run = await triggered(orchestrator)
    await crm.expect("workflow.job.trigger")
    await crm.send("workflow.job.completed", {"job": JOB, "status": "success"}, tenant=SYSTEM_TENANT)

    async def both() -> list[dict[str, Any]]:
        found = await runs(orchestrator, status="completed")
        return found if len(found) == 2 else []

    completed, _ = await eventually(both)
    assert completed["runId"] == run["runId"]
    assert await crm.queued(crm.names.dead_letter_queue) == 0


async def test_the_jobs_are_shown_with_their_next_firings(orchestrator: Service) -> None:
    await triggered(orchestrator)
    await orchestrator.caught_up()
    async with orchestrator.client(SYSTEM_TENANT) as client:
        jobs = (await client.get("/api/v1/jobs")).json()
        one = (await client.get(f"/api/v1/jobs/{JOB}")).json()
        unknown = await client.get("/api/v1/jobs/no-such-job")
    assert [job["job"] for job in jobs["jobs"]] == list(orchestrator.container.jobs.by_name)
    assert one["cron"] == "0 1 * * 0"
    assert one["timeZone"] == "UTC"
    assert one["lastRun"]["status"] in ("scheduled", "published")
    assert (one["openRuns"], one["paused"], one["policy"]["overlap"]) == (1, False, "allow")
    assert [job["job"] for job in jobs["jobs"] if not job["enabled"]] == ["cais-learning"]
    assert len(one["nextFireTimes"]) == 5
    moments = [datetime.fromisoformat(each) for each in one["nextFireTimes"]]
    assert {(moment.isoweekday(), moment.hour) for moment in moments} == {(7, 1)}
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "JOB_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", f"/{JOB}"),
        ("GET", f"/{JOB}/runs"),
        ("GET", f"/{JOB}/runs/{UNKNOWN_ID}"),
        ("GET", f"/{JOB}/preview"),
        ("POST", f"/{JOB}/trigger"),
        ("POST", f"/{JOB}/pause"),
        ("POST", f"/{JOB}/resume"),
    ],
)
async def test_another_tenant_than_the_system_one_is_refused(
    orchestrator: Service, method: str, path: str
) -> None:
    async with orchestrator.client(TENANT) as client:
        answer = await client.request(method, f"/api/v1/jobs{path}")
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "SYSTEM_TENANT_ONLY"
    assert await runs(orchestrator) == []


async def test_a_trigger_whose_commit_was_not_acknowledged_is_answered_and_fires_once(
    orchestrator: Service, crm: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = orchestrator.container.stores.event_store._log.ours
    append, lost = recorder.append_together, [True]

    def append_and_lose_the_answer(
        appends: Sequence[Append], switches: int | None = None
    ) -> Sequence[Ids | Exception]:
        answers = append(appends, switches)
        if lost and lost.pop():
            return [IntegrityError("the answer was lost, and the recorder tried again")]
        return answers

    monkeypatch.setattr(recorder, "append_together", append_and_lose_the_answer)
    run = await triggered(orchestrator)
    assert not lost
    assert [each["runId"] for each in await runs(orchestrator)] == [run["runId"]]
    assert len(await crm.expect("workflow.job.trigger")) == 1
