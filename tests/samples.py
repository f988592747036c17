"""One example of every stored event, with every field filled; the golden file holds their bytes."""

import msgspec

from domain.definition import Announcements, MapOver, Retry, StepDefinition, Work
from domain.event import Event, Metadata, Recorded, event_id
from domain.privacy import ErasureCarriedOut
from domain.workflow import (
    CompensationBegan,
    CompensationFailed,
    StepCancelled,
    StepCompleted,
    StepDispatched,
    StepFailed,
    StepHeldBack,
    StepMapped,
    StepReopened,
    StepSettled,
    StepSkipped,
    WorkflowCancelled,
    WorkflowCompensated,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowPaused,
    WorkflowResumed,
    WorkflowRetried,
    WorkflowStarted,
)
from tests.builders import CAUSE, CORRELATION, NOW, TENANT, USER, after
from tests.samples_approvals import (
    APPROVAL_EVENTS,
    STEP,
)
from tests.samples_backfills import BACKFILL_EVENTS
from tests.samples_concurrency import EVENTS as CONCURRENCY_EVENTS
from tests.samples_concurrency import GROUP
from tests.samples_definitions import DEFINITION_EVENTS
from tests.samples_jobs import JOB_EVENTS
from tests.samples_requests import REQUEST_EVENTS
from tests.samples_tasks import TASK_EVENTS

STREAM = f"{TENANT}/sample/s-1"

META = Metadata(
    tenant=TENANT, actor=USER, correlation_id=CORRELATION, causation_id=CAUSE, command_id="command-1"
)

STARTED = WorkflowStarted(
    workflow_id="w-1",
    opportunity_id="opp-1",
    concurrency_group=GROUP,
    definition="deal-review",
    definition_version=3,
    execution_id="execution-1",
    steps=(
        StepDefinition(
            step_type="forecast",
            kind="http",
            after=("scoring",),
            critical=True,
            when="results.scoring.riskScore > `50`",
            input={"opportunityId": "workflow.opportunityId"},
            parameters={"service": "forecasting", "method": "GET", "path": "/forecasts/{opportunityId}"},
            timeout_seconds=30.0,
            retry=Retry(
                attempts=4,
                delay_seconds=0.5,
                factor=3.0,
                most_seconds=60.0,
                jitter=0.2,
                on=("unavailable",),
            ),
            result_key="forecasts",
            compensation=Work(
                kind="event",
                input={"id": "results.forecasts.id"},
                parameters={"request": "workflow.forecast.withdrawn"},
                timeout_seconds=60.0,
                retry=Retry(attempts=2),
            ),
        ),
        StepDefinition(
            step_type="each_contact",
            kind="map",
            result_key="contacts",
            timeout_seconds=3600.0,
            map=MapOver(
                over="input.contacts",
                each=Work(kind="task", parameters={"queue": "calls"}, input={"contact": "item"}),
                at_once=3,
                tolerate=1,
            ),
        ),
    ),
    started_at=NOW,
    input={"reason": "won", "contacts": ["ann", "bob"]},
    deadline_seconds=86_400.0,
    deadline_at=after(minutes=24 * 60),
    announcements=Announcements(started="deal.review.started", completed="deal.review.completed"),
    parent=STEP,
    depth=2,
    breadth=40,
)

_EVENTS: tuple[Event, ...] = (
    msgspec.structs.replace(STARTED, started_by="starter-1", chain=("deal-import", "deal-review")),
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
        reason="the line was busy",
        void=True,
        done_again=1,
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
        reason="the list was wrong",
    ),
    StepCompleted(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=1,
        result={"forecastId": "f-1", "revenueForecast": 125_000, "confidence": 0.6, "parts": [{"q": 1}]},
        completed_at=after(minutes=1),
        kind="http",
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
        unsettled=True,
    ),
    StepHeldBack(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=2,
        held_back_at=after(minutes=17),
    ),
    StepSkipped(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        reason="not needed",
        by_operator=True,
        skipped_at=after(minutes=2),
    ),
    StepReopened(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        reopened_at=after(minutes=2),
    ),
    StepCancelled(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        kind="http",
        attempt=2,
        cancelled_at=after(minutes=2),
        unsettled=True,
    ),
    StepSettled(
        workflow_id="w-1",
        execution_id="execution-1",
        step_id="step-1",
        step_type="forecast",
        attempt=2,
        settled_at=after(minutes=3),
        error="workflow w-2: no data; what it did is not undone: book.compensation: no",
        concurrency_group=GROUP,
        parent=STEP,
        failure="no data",
    ),
    WorkflowCompleted(
        workflow_id="w-1",
        opportunity_id="opp-1",
        concurrency_group=GROUP,
        execution_id="execution-1",
        results={"forecasts": {"forecastId": "f-1"}},
        completed_at=after(minutes=2),
        announced_as="deal.review.completed",
        parent=STEP,
    ),
    WorkflowFailed(
        workflow_id="w-1",
        opportunity_id="opp-1",
        concurrency_group=GROUP,
        execution_id="execution-1",
        error="no data",
        failed_step="forecast",
        failed_at=after(minutes=3),
        announced_as="deal.review.failed",
        parent=STEP,
    ),
    WorkflowCancelled(
        workflow_id="w-1",
        opportunity_id="opp-1",
        concurrency_group=GROUP,
        execution_id="execution-1",
        reason="the deal is off",
        cancelled_at=after(minutes=3),
        parent=STEP,
    ),
    WorkflowPaused(workflow_id="w-1", execution_id="execution-1", reason="audit", paused_at=after(minutes=3)),
    WorkflowResumed(
        workflow_id="w-1", execution_id="execution-1", resumed_at=after(minutes=4), reason="it is over"
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
        reason="the CRM is back",
        items_again=("each_contact",),
    ),
    CompensationBegan(workflow_id="w-1", execution_id="execution-1", began_at=after(minutes=5)),
    WorkflowCompensated(
        workflow_id="w-1",
        execution_id="execution-1",
        compensated_at=after(minutes=6),
        concurrency_group=GROUP,
        parent=STEP,
        failure="no data",
        failed_step="forecast",
    ),
    CompensationFailed(
        workflow_id="w-1",
        execution_id="execution-1",
        failed_step="forecast.compensation",
        error="no",
        failed_at=after(minutes=6),
        concurrency_group=GROUP,
        parent=STEP,
        failure="no data",
    ),
)

SAMPLES: dict[str, Recorded] = {
    event.TOPIC: Recorded(stream=STREAM, version=3, timestamp=NOW, meta=META, event=event)
    for event in (
        *_EVENTS,
        *APPROVAL_EVENTS,
        *CONCURRENCY_EVENTS,
        *DEFINITION_EVENTS,
        *TASK_EVENTS,
        *JOB_EVENTS,
        *REQUEST_EVENTS,
        *BACKFILL_EVENTS,
        ErasureCarriedOut(
            key_id="0123456789abcdef0123456789abcdef",
            streams=(f"{TENANT}/approval/a-1",),
            part=2,
            parts=3,
            reason="asked for",
            erased_at=NOW,
        ),
    )
}
"""Recorded examples by topic."""

SAMPLE_EVENT_ID = event_id(STREAM, 3)
