"""A service at work beside a neighbour in another process, and what its ``http`` steps come to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from prometheus_client.parser import text_string_to_metric_families

from application.workflow_commands import StartWorkflow
from domain import workflow
from domain.definition import StepDefinition
from domain.event import Recorded
from domain.workflow import StepFailed, workflow_stream
from tests.builders import TENANT, metadata
from tests.harness import Service, eventually, service, settings_in
from tests.http_orchestrator import Plans, plan, with_plans
from tests.lying_service import Neighbour

SECRET = "a secret of at least thirty-two bytes"


class Orchestrator:
    """A service at work, and its workflows."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.plans = Plans()
        with_plans(service.container, self.plans)

    async def start(self, *steps: StepDefinition, tenant: str = TENANT, input: Any = None) -> str:
        """Start a workflow of those steps; its id."""
        name, workflow_id = f"plan-{uuid4()}", str(uuid4())
        self.plans.add(plan(name, *steps))
        await self.service.container.dispatch(
            StartWorkflow(
                meta=metadata(tenant=tenant), workflow_id=workflow_id, definition=name, input=input or {}
            )
        )
        return workflow_id

    async def state(self, workflow_id: str, tenant: str = TENANT) -> Any:
        """What a workflow has come to."""
        stream = workflow_stream(tenant, workflow_id)
        return (await self.service.container.stores.event_store.present(stream, workflow.evolve)).state

    async def ended(self, workflow_id: str, tenant: str = TENANT, seconds: float = 45) -> Any:
        """The state of a workflow once it has ended."""

        async def is_over() -> Any:
            state = await self.state(workflow_id, tenant)
            return state if state.status not in ("running", "compensating") else None

        return await eventually(is_over, seconds=seconds)

    async def ran(self, *steps: StepDefinition, **more: Any) -> Any:
        """The end of a workflow of those steps."""
        return await self.ended(await self.start(*steps, **more), more.get("tenant", TENANT))

    async def failures(self, workflow_id: str) -> list[StepFailed]:
        """Every failure of a workflow's steps."""
        events: tuple[Recorded, ...] = await self.service.container.stores.event_store.load(
            workflow_stream(TENANT, workflow_id)
        )
        return [each.event for each in events if isinstance(each.event, StepFailed)]

    async def waiting(self) -> list[str]:
        """The services that calls are still to be made to."""
        found = await self.service.container.stores.shares[0].step_calls.waiting(each=1000, besides=())
        return [each.service for each in found]

    async def metric(self, name: str, **labels: str) -> float:
        """A metric's value now."""
        text = self.service.container.metrics.exposition().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return 0.0


@asynccontextmanager
async def orchestrating(folder: Path, neighbour: Neighbour, **services: Any) -> AsyncIterator[Orchestrator]:
    """A service beside a neighbour."""
    settings = settings_in(
        folder, overlay={"services": services}, RISK_ANALYTICS_URL=neighbour.url, JWT_SECRET=SECRET
    )
    async with service(settings) as running:
        yield Orchestrator(running)


async def is_empty(orchestrator: Orchestrator) -> bool:
    """Whether no call is still to be made."""
    return await orchestrator.waiting() == []


async def was_asked(neighbour: Neighbour, path: str) -> bool:
    """Whether a path has been asked for."""
    return bool(neighbour.seen(path))
