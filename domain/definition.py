"""WorkflowDefinition: a named, versioned plan of steps. ``opportunity-analysis`` is built in."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

DEFAULT_STEP_TIMEOUT = timedelta(minutes=15)


class StepDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """One step: the request that starts it, and where its result goes in the workflow's results."""

    step_type: str
    request_type: str
    result_key: str
    critical: bool = False
    timeout: timedelta = DEFAULT_STEP_TIMEOUT


class WorkflowDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """The plan that a workflow is pinned to when it starts."""

    name: str
    version: int
    steps: tuple[StepDefinition, ...]

    def with_timeouts(
        self, default: timedelta, by_step: Mapping[str, timedelta] | None = None
    ) -> "WorkflowDefinition":
        """The same plan, each step waiting for its answer as long as the settings say."""
        chosen = by_step or {}
        steps = tuple(
            msgspec.structs.replace(step, timeout=chosen.get(step.step_type, default)) for step in self.steps
        )
        return msgspec.structs.replace(self, steps=steps)


OPPORTUNITY_ANALYSIS = WorkflowDefinition(
    name="opportunity-analysis",
    version=1,
    steps=(
        StepDefinition(
            step_type="risk_analysis",
            request_type="workflow.risk.analysis.requested",
            result_key="risk",
            critical=True,
        ),
        StepDefinition(
            step_type="risk_scoring", request_type="workflow.risk.scoring.requested", result_key="scoring"
        ),
        StepDefinition(
            step_type="forecast",
            request_type="workflow.forecast.requested",
            result_key="forecast",
            critical=True,
        ),
        StepDefinition(
            step_type="recommendation",
            request_type="workflow.recommendation.requested",
            result_key="recommendations",
        ),
    ),
)
"""Four steps in parallel, two of them critical (wire contract, section 1)."""
