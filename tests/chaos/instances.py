"""Several instances of the service on one log, and which of them does what one at a time does."""

import time
from collections.abc import Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import ServiceProcess, eventually

PARTS = {
    "workflow_workflows",
    "workflow_steps",
    "workflow_executions",
    "hitl_approvals",
    "hitl_delegations",
    "workflow_job_runs",
    "workflow_backfills",
    "workflow_tasks",
    "workflow_definitions",
    "task-steps",
    "task-lease-timers",
    "outbox",
    "http-steps",
    "approval-steps",
    "child-workflows",
    "wait-steps",
    "audit",
    "erasures",
    "runs",
    "backfills",
    "workflow-timers",
    "job-timers",
    "approval-timers",
    "scheduler",
    "timers",
}

TAKEN_OVER_WITHIN_SECONDS = 10.0 + 3.0
"""Ten, as README says, and three more on two cores that do two other tests beside it."""


async def parts_of(service: ServiceProcess) -> set[str]:
    """The parts that an instance says it does."""
    async with service.async_client() as client:
        text = (await client.get("/metrics")).text
    return {
        sample.labels["part"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "lease_held" and sample.value == 1
    }


async def leader_of(part: str, services: Sequence[ServiceProcess]) -> ServiceProcess:
    """The instance that does a part, once one does."""

    async def found() -> ServiceProcess | None:
        for service in services:
            try:
                if part in await parts_of(service):
                    return service
            except httpx.TransportError:
                continue
        return None

    leader: ServiceProcess = await eventually(found, seconds=20, every=0.1)
    return leader


async def until_all_parts_are_done(services: Sequence[ServiceProcess], seconds: float) -> float:
    """Wait until every part is done by one of the instances; how long that took."""
    began = time.monotonic()

    async def all_done() -> bool:
        held = [await parts_of(service) for service in services]
        return set().union(*held) == PARTS

    await eventually(all_done, seconds=seconds, every=0.1)
    return time.monotonic() - began
