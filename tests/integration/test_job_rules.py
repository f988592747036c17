"""Jobs by settings alone, and their rules in real time on a real RabbitMQ: seen over REST and on the wire."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interfaces.scheduling.cron_commands import CronCommands
from tests.harness import SYSTEM_TENANT, USER, Service, eventually, service, settings_in
from tests.integration.conftest import is_connected
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

INVOICES, TYPE = "invoice-matching", "workflow.invoices.trigger"
IMPATIENT, STUBBORN, ORDERLY = "impatient", "stubborn", "orderly"
RARELY = "0 0 29 2 *"
NOMINAL = [datetime.fromisoformat(f"2024-02-29T0{hour}:00:00Z") for hour in range(4)]


@pytest.fixture
def aliases() -> Mapping[str, str]:
    """The trigger of that job is the contract's, but for its type."""
    return {"workflow.job.trigger": TYPE}


@pytest.fixture
async def orchestrator(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour
) -> AsyncIterator[Service]:
    """The service with four jobs of its own."""
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["month"],
        "properties": {"month": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}},
    }
    jobs = {
        INVOICES: {
            "cron": RARELY,
            "message_type": TYPE,
            "queue": invoices_queue(names),
            "metadata_schema": schema,
        },
        IMPATIENT: {"cron": RARELY, "deadline_seconds": 1},
        STUBBORN: {"cron": RARELY, "retries": {"attempts": 2, "delay_seconds": 0.2}},
        ORDERLY: {"cron": RARELY, "overlap": "queue_one"},
    }
    overlay = {**names.overlay(), "batch_jobs": {"jobs": jobs}}
    settings = settings_in(tmp_path, overlay=overlay, RABBITMQ_URL=rabbitmq_url)
    async with service(settings) as running:
        await is_connected(running)
        yield running
    await crm.channel.queue_delete(invoices_queue(names))


def invoices_queue(names: Names) -> str:
    return f"{names.job_queue}.invoices"


async def ask(service: Service, method: str, path: str, body: Any = None) -> Any:
    """An answer that is no refusal."""
    async with service.client(SYSTEM_TENANT, **{"X-User-ID": USER}) as client:
        answer = await client.request(method, f"/api/v1/jobs/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def triggered(service: Service, job: str, **metadata: Any) -> dict[str, Any]:
    """A run opened by hand."""
    run: dict[str, Any] = await ask(service, "POST", f"{job}/trigger", {"metadata": metadata})
    return run


async def until(service: Service, job: str, status: str, count: int = 1) -> list[dict[str, Any]]:
    """The job's runs of a status, the newest first, once there are just so many."""

    async def so_many() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await ask(service, "GET", f"{job}/runs?status={status}"))["runs"]
        return found if len(found) == count else []

    found: list[dict[str, Any]] = await eventually(so_many)
    return found


async def report(crm: Neighbour, outcome: str, job: str, correlation: str | None = None) -> None:
    """As the worker does, giving back what the trigger had or nothing."""
    told = {"completed": {"status": "success"}, "failed": {"error": "out of memory"}}[outcome]
    more: dict[str, Any] = {} if correlation is None else {"metadata": {"correlationId": correlation}}
    await crm.send(f"workflow.job.{outcome}", {"job": job, **told}, tenant=SYSTEM_TENANT, **more)


async def test_a_new_job_needs_nothing_but_settings(orchestrator: Service, crm: Neighbour) -> None:
    shown = await ask(orchestrator, "GET", INVOICES)
    assert (shown["cron"], shown["enabled"]) == (RARELY, True)
    assert shown["metadataSchema"]["required"] == ["month"]
    async with orchestrator.client(SYSTEM_TENANT) as client:
        refused = await client.post(f"/api/v1/jobs/{INVOICES}/trigger", json={"metadata": {"month": "May"}})
    assert refused.status_code == 400
    assert [each["field"] for each in refused.json()["error"]["details"]] == ["metadata.month"]

    run = await triggered(orchestrator, INVOICES, month="2026-05")
    message = await crm.take(invoices_queue(crm.names))
    body = msgspec.json.decode(message.body)
    assert (message.routing_key, body["type"]) == (TYPE, TYPE)
    assert body["data"]["metadata"] == {"month": "2026-05"}
    assert await crm.queued(crm.names.job_queue) == 0
    await until(orchestrator, INVOICES, "published")
    async with orchestrator.client(None) as client:
        assert (
            f'batch_job_triggers_total{{batch_job="{INVOICES}"}} 1.0' in (await client.get("/metrics")).text
        )
    await report(crm, "completed", INVOICES, body["metadata"]["correlationId"])
    (completed,) = await until(orchestrator, INVOICES, "completed")
    assert completed["runId"] == run["runId"]
    assert completed["publishedAt"] <= completed["completedAt"]
    assert await ask(orchestrator, "GET", f"{INVOICES}/runs/{run['runId']}") == completed


@pytest.mark.parametrize("in_case", [str.lower, str.upper])
async def test_a_report_is_of_the_run_that_its_correlation_names(
    orchestrator: Service, crm: Neighbour, in_case: Callable[[str], str]
) -> None:
    older, newer = await triggered(orchestrator, STUBBORN), await triggered(orchestrator, STUBBORN)
    first, second = await crm.expect("workflow.job.trigger", 2)
    await report(crm, "completed", STUBBORN, in_case(first["metadata"]["correlationId"]))
    (completed,) = await until(orchestrator, STUBBORN, "completed")
    assert completed["runId"] == older["runId"]
    await report(crm, "completed", STUBBORN, in_case(second["metadata"]["correlationId"]))
    assert [each["runId"] for each in await until(orchestrator, STUBBORN, "completed", 2)] == [
        newer["runId"],
        older["runId"],
    ]


async def test_a_run_that_nobody_reports_times_out_and_its_late_success_still_counts(
    orchestrator: Service, crm: Neighbour
) -> None:
    run = await triggered(orchestrator, IMPATIENT)
    (trigger,) = await crm.expect("workflow.job.trigger")
    (timed_out,) = await until(orchestrator, IMPATIENT, "timed_out")
    assert timed_out["runId"] == run["runId"]
    assert timed_out["reason"] == f"no report by {timed_out['deadlineAt']}"
    assert timed_out["timedOutAt"] >= timed_out["deadlineAt"]
    assert (await ask(orchestrator, "GET", IMPATIENT))["openRuns"] == 0
    await report(crm, "completed", IMPATIENT, trigger["metadata"]["correlationId"])
    (completed,) = await until(orchestrator, IMPATIENT, "completed")
    assert (completed["runId"], completed["late"]) == (run["runId"], True)


async def test_a_failed_run_is_tried_again_after_a_pause_and_then_no_more(
    orchestrator: Service, crm: Neighbour
) -> None:
    run = await triggered(orchestrator, STUBBORN, month="2026-05")
    (first,) = await crm.expect("workflow.job.trigger")
    await report(crm, "failed", STUBBORN, first["metadata"]["correlationId"])
    (failed,) = await until(orchestrator, STUBBORN, "failed")
    assert (failed["runId"], failed["error"]) == (run["runId"], "out of memory")
    _, second = await crm.expect("workflow.job.trigger", 2)
    assert second["id"] != first["id"]
    assert second["data"]["metadata"] == {"month": "2026-05"}
    (again,) = await until(orchestrator, STUBBORN, "published")
    assert (again["attempt"], again["retryOf"]) == (2, run["runId"])
    assert again["triggeredAt"] >= failed["retryAt"] > failed["failedAt"]
    await report(crm, "failed", STUBBORN, second["metadata"]["correlationId"])
    given_up, _ = await until(orchestrator, STUBBORN, "failed", 2)
    assert given_up["runId"] == again["runId"]
    assert "retryAt" not in given_up


async def test_a_report_of_nobodys_run_is_told_as_that(orchestrator: Service, crm: Neighbour) -> None:
    await report(crm, "failed", STUBBORN)
    (stray,) = await until(orchestrator, STUBBORN, "failed")
    assert (stray["triggeredBy"], stray["error"]) == ("unknown", "out of memory")
    assert crm.messages("workflow.job.trigger") == []
    assert await ask(orchestrator, "GET", f"{STUBBORN}/runs/{stray['runId']}") == stray


async def test_the_one_that_waits_goes_out_at_the_end_of_the_open_run_and_is_told_by_its_own_correlation(
    orchestrator: Service, crm: Neighbour
) -> None:
    firings = CronCommands(orchestrator.container.dispatch)
    for nominal in NOMINAL[:3]:
        await firings.fire(ORDERLY, nominal)
    (skipped,) = await until(orchestrator, ORDERLY, "skipped")
    await until(orchestrator, ORDERLY, "published")
    (waiting,) = await until(orchestrator, ORDERLY, "scheduled")
    assert waiting["waitsFor"] == "open_run"
    assert skipped["reason"] == f"run {waiting['runId']} is already waiting"
    (first,) = await crm.expect("workflow.job.trigger")
    await report(crm, "completed", ORDERLY, first["metadata"]["correlationId"])
    _, second = await crm.expect("workflow.job.trigger", 2)
    await report(crm, "completed", ORDERLY, second["metadata"]["correlationId"])
    completed = await until(orchestrator, ORDERLY, "completed", 2)
    assert {each["nominalTime"] for each in completed} == {
        "2024-02-29T00:00:00.000Z",
        "2024-02-29T01:00:00.000Z",
    }


async def test_a_paused_job_is_not_fired_but_can_be_triggered(orchestrator: Service, crm: Neighbour) -> None:
    paused = await ask(orchestrator, "POST", f"{ORDERLY}/pause", {"reason": "a freeze"})
    assert (paused["paused"], paused["pausedBy"], paused["pauseReason"]) == (True, USER, "a freeze")
    preview = await ask(orchestrator, "GET", f"{ORDERLY}/preview?count=1")
    assert preview["firings"][0]["action"] == "skip"
    firings = CronCommands(orchestrator.container.dispatch)
    await firings.fire(ORDERLY, NOMINAL[0])
    (skipped,) = await until(orchestrator, ORDERLY, "skipped")
    assert skipped["reason"] == f"{USER} has paused the job" == preview["firings"][0]["reason"]
    await triggered(orchestrator, ORDERLY)
    await crm.expect("workflow.job.trigger")
    resumed = await ask(orchestrator, "POST", f"{ORDERLY}/resume")
    assert resumed["paused"] is False
    assert "pausedBy" not in resumed
