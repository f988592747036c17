"""The present form of events of former schema versions, for events whose fields have changed since."""

import msgspec

from domain.definition import OPPORTUNITY_ANALYSIS, StepDefinition
from domain.event import Event
from domain.workflow import (
    CompensationFailed,
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepMapped,
    WorkflowCompensated,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowStarted,
)
from tests.builders import NOW, after
from tests.samples import STARTED
from tests.samples_approvals import APPROVALS_FROM_VERSION_1, APPROVALS_FROM_VERSION_2
from tests.samples_concurrency import GROUP, RUNS_FROM_VERSION_1
from tests.samples_jobs import JOBS_AS_READ_FROM_VERSION_1

_AS_READ_FROM_VERSION_1: tuple[Event, ...] = (
    StepCompleted(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=1,
        result={"forecastId": "f-1", "revenueForecast": 125_000, "confidence": 0.6, "parts": [{"q": 1}]},
        completed_at=after(minutes=1),
    ),
    WorkflowStarted(
        workflow_id="w-1",
        opportunity_id="opp-1",
        definition="opportunity-analysis",
        definition_version=1,
        execution_id="execution-1",
        steps=(
            StepDefinition(
                step_type="forecast",
                parameters={"request": "workflow.forecast.requested"},
                result_key="forecast",
                critical=True,
                timeout_seconds=900.0,
            ),
        ),
        started_at=NOW,
        input={"reason": "won"},
        announcements=OPPORTUNITY_ANALYSIS.announcements,
    ),
    StepDispatched(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        kind="event",
        parameters={"request": "workflow.forecast.requested"},
        attempt=1,
        dispatched_at=NOW,
        deadline_at=after(minutes=15),
    ),
    StepFailed(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=2,
        error="no answer within 900 s",
        reason="timed_out",
        failed_at=after(minutes=16),
    ),
    WorkflowCompleted(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id="execution-1",
        results={"forecast": {"forecastId": "f-1"}},
        completed_at=after(minutes=2),
        announced_as="workflow.opportunity.analysis.completed",
    ),
    WorkflowFailed(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id="execution-1",
        error="no data",
        failed_step="forecast",
        failed_at=after(minutes=3),
        announced_as="workflow.opportunity.analysis.failed",
    ),
    StepMapped(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-2",
        step_type="each_contact",
        elements=("ann", {"name": "bob"}, 3),
        attempt=1,
        mapped_at=NOW,
        deadline_at=after(minutes=60),
    ),
    WorkflowResumed(workflow_id="w-1", execution_id="execution-1", resumed_at=after(minutes=4)),
    WorkflowRetried(
        workflow_id="w-1",
        execution_id="execution-2",
        previous_execution_id="execution-1",
        attempt=2,
        retried_at=after(minutes=20),
    ),
)

_AS_READ_FROM_VERSION_2: tuple[Event, ...] = (
    STARTED,
    StepDispatched(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="each_contact[1]",
        kind="task",
        parameters={"queue": "calls"},
        input={"contact": "bob"},
        attempt=1,
        dispatched_at=NOW,
        deadline_at=after(minutes=15),
        item=1,
        depth=2,
        breadth=40,
    ),
    WorkflowRetried(
        workflow_id="w-1",
        execution_id="execution-2",
        previous_execution_id="execution-1",
        attempt=2,
        retried_at=after(minutes=20),
        again=("forecast", "each_contact"),
        input={"reason": "lost"},
        deadline_at=after(minutes=60),
        compensates=True,
    ),
    StepFailed(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=2,
        error="503 Service Unavailable",
        reason="unavailable",
        failed_at=after(minutes=16),
        retry_at=after(minutes=17),
        kind="http",
    ),
)

_AS_READ_FROM_VERSION_3: tuple[Event, ...] = (
    msgspec.structs.replace(STARTED, started_by="starter-1"),
    *(
        msgspec.structs.replace(each, reason="the line was busy")
        for each in _AS_READ_FROM_VERSION_2
        if isinstance(each, StepDispatched)
    ),
    *(
        msgspec.structs.replace(each, reason="the CRM is back")
        for each in _AS_READ_FROM_VERSION_2
        if isinstance(each, WorkflowRetried)
    ),
)

_AS_READ_FROM_VERSION_4: tuple[Event, ...] = tuple(
    msgspec.structs.replace(each, void=True)
    for each in _AS_READ_FROM_VERSION_3
    if isinstance(each, StepDispatched)
)

_ENDS_FROM_VERSION_1: tuple[Event, ...] = (
    StepCancelled(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        kind="http",
        attempt=2,
        cancelled_at=after(minutes=2),
    ),
    WorkflowCompensated(
        workflow_id="w-1",
        execution_id="execution-1",
        compensated_at=after(minutes=6),
        concurrency_group=GROUP,
    ),
    CompensationFailed(
        workflow_id="w-1",
        execution_id="execution-1",
        failed_step="forecast.compensation",
        error="no",
        failed_at=after(minutes=6),
        concurrency_group=GROUP,
    ),
)
"""Events from before the end of a child's compensation was recorded with the child's end."""

OLDER: dict[tuple[str, int], Event] = {
    (event.TOPIC, version): event
    for version, events in [
        (
            1,
            (
                *_AS_READ_FROM_VERSION_1,
                *APPROVALS_FROM_VERSION_1,
                *JOBS_AS_READ_FROM_VERSION_1,
                *RUNS_FROM_VERSION_1,
                *_ENDS_FROM_VERSION_1,
            ),
        ),
        (2, (*_AS_READ_FROM_VERSION_2, *APPROVALS_FROM_VERSION_2)),
        (3, _AS_READ_FROM_VERSION_3),
        (4, _AS_READ_FROM_VERSION_4),
    ]
    for event in events
}
"""The present form of an event of a former schema version, by topic and version."""
