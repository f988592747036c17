"""One example of every stored event, with every field filled; the golden file holds their bytes."""

from domain.approval import ApprovalApproved, ApprovalRejected, ApprovalRequested
from domain.event import Event, Metadata, Recorded, event_id
from domain.job import JobFired, JobRunCompleted, JobRunFailed
from domain.workflow import (
    PlannedStep,
    StepCompleted,
    StepDispatched,
    StepFailed,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowRetried,
    WorkflowStarted,
)
from tests.builders import CAUSE, CORRELATION, NOW, TENANT, USER, after
from tests.samples_definitions import DEFINITION_EVENTS

STREAM = f"{TENANT}/sample/s-1"

META = Metadata(
    tenant=TENANT, actor=USER, correlation_id=CORRELATION, causation_id=CAUSE, command_id="command-1"
)

_EVENTS: tuple[Event, ...] = (
    ApprovalRequested(
        approval_id="a-1",
        opportunity_id="opp-1",
        risk_score=0.91,
        amount=250_000,
        requested_at=NOW,
        owner_id="owner-1",
        approver_id="approver-1",
        recipient_id="recipient-1",
        correlation_id=CORRELATION,
        approval_url="https://crm.example/approvals/a-1?näme=ü",
    ),
    ApprovalApproved(
        approval_id="a-1", opportunity_id="opp-1", decided_by="ann", decided_at=after(minutes=5), comment="go"
    ),
    ApprovalRejected(
        approval_id="a-1", opportunity_id="opp-1", decided_by="bob", decided_at=after(minutes=6), comment="no"
    ),
    JobFired(
        job="outcome-sync",
        run_id="run-1",
        triggered_by="scheduler",
        fired_at=NOW,
        metadata={"schedule": "0 1 * * *", "triggeredAt": "2026-11-22T22:10:05.123Z", "n": [1, 2.5, None]},
        nominal_at=after(seconds=-5),
    ),
    JobRunCompleted(job="outcome-sync", run_id="run-1", completed_at=after(hours=1)),
    JobRunFailed(job="outcome-sync", run_id="run-2", error="no disk", failed_at=after(hours=2)),
    WorkflowStarted(
        workflow_id="w-1",
        opportunity_id="opp-1",
        definition="opportunity-analysis",
        definition_version=1,
        execution_id="execution-1",
        steps=(
            PlannedStep(
                step_id="step-1",
                step_type="forecast",
                request_type="workflow.forecast.requested",
                result_key="forecast",
                critical=True,
                timeout_seconds=900.0,
            ),
        ),
        started_at=NOW,
        input={"reason": "won"},
    ),
    StepDispatched(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        request_type="workflow.forecast.requested",
        attempt=1,
        dispatched_at=NOW,
        deadline_at=after(minutes=15),
    ),
    StepCompleted(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=1,
        result={"forecastId": "f-1", "revenueForecast": 125_000, "confidence": 0.6, "parts": [{"q": 1}]},
        completed_at=after(minutes=1),
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
    ),
    WorkflowFailed(
        workflow_id="w-1",
        opportunity_id="opp-1",
        execution_id="execution-1",
        error="no data",
        failed_step="forecast",
        failed_at=after(minutes=3),
    ),
    WorkflowRetried(
        workflow_id="w-1",
        execution_id="execution-2",
        previous_execution_id="execution-1",
        attempt=2,
        retried_at=after(minutes=20),
    ),
)

SAMPLES: dict[str, Recorded] = {
    event.TOPIC: Recorded(stream=STREAM, version=3, timestamp=NOW, meta=META, event=event)
    for event in (*_EVENTS, *DEFINITION_EVENTS)
}
"""Recorded examples by topic."""

SAMPLE_EVENT_ID = str(event_id(STREAM, 3))
