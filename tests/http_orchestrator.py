"""The service with definitions for tests, as a process: ``python -m tests.http_orchestrator serve``.

The definition ``call-<seconds>`` has one step, which calls ``/slow`` with that time.
"""

from contextlib import AsyncExitStack
from typing import Any

import config.container
import config.runtime
from application.workflow_commands import StartWorkflow
from config.container import Container
from config.main import main
from config.sections import Settings
from domain.definition import Retry, StepDefinition, WorkflowDefinition

SERVICE = "risk_analytics"
AGAIN_AT_ONCE = Retry(attempts=20, delay_seconds=0.1, factor=1.0, jitter=0.0)


def calling(
    path: str,
    *,
    step_type: str = "call",
    timeout: float | None = 60.0,
    retry: Retry | None = None,
    **more: Any,
) -> StepDefinition:
    """Return a step of kind ``http``."""
    parameters = {"service": SERVICE, "method": "POST", "path": path, **more.pop("parameters", {})}
    return StepDefinition(
        step_type=step_type,
        kind="http",
        parameters=parameters,
        input={"workflowId": "workflow.id", **more.pop("input", {})},
        result_key=step_type,
        critical=True,
        timeout_seconds=timeout,
        retry=retry or Retry(),
        **more,
    )


def plan(name: str, *steps: StepDefinition) -> WorkflowDefinition:
    """Return a definition with these steps."""
    return WorkflowDefinition(name=name, version=1, steps=steps)


class Plans:
    """The definitions of a test. Those named ``call-…`` always exist."""

    def __init__(self) -> None:
        self._plans: dict[str, WorkflowDefinition] = {}

    def add(self, *plans: WorkflowDefinition) -> None:
        """Add definitions."""
        self._plans |= {each.name: each for each in plans}

    async def find(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition."""
        kind, _, seconds = name.partition("-")
        if kind == "call":
            return plan(name, calling(f"/slow/{seconds}/{{workflowId}}", retry=AGAIN_AT_ONCE))
        return self._plans[name]

    async def accepted(self, tenant: str, name: str, version: int | None) -> WorkflowDefinition:
        """Return a definition, of which there is only one version."""
        return await self.find(tenant, name, version)


def with_plans(container: Container, plans: Plans) -> None:
    """Make a built service start workflows from these definitions."""
    handler: Any = container.dispatch._handlers[StartWorkflow]
    handler.__self__._definitions = plans


_build = config.container.build


async def _build_with_plans(settings: Settings, stack: AsyncExitStack) -> Container:
    container = await _build(settings, stack)
    with_plans(container, Plans())
    return container


if __name__ == "__main__":
    vars(config.runtime)["build"] = _build_with_plans
    main()
