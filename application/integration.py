"""Domain event to public message: what the neighbours are told, and in which words.

This is a pure function of the recorded event, so a repeat after a crash is the same message byte for byte.
Messages follow the wire contract, section 1.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from application.audit.anchors import ANCHORED
from application.ports import PublicMessage
from domain.approval import (
    ApprovalApproved,
    ApprovalBecameUndecidable,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalRejected,
    ApprovalReminded,
    Notice,
)
from domain.definition import OPPORTUNITY_ANALYSIS, Announcements
from domain.event import Event, Recorded
from domain.job import JobFired, TriggeredBy
from domain.values import is_uuid, timestamp
from domain.workflow import (
    StepCompleted,
    StepDispatched,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowStarted,
)

ENVELOPE_VERSION = "1.0"

JOB_TRIGGER = "workflow.job.trigger"
APPROVAL_COMPLETED = "hitl.approval.completed"
STEP_COMPLETED = "workflow.step.completed"

NOTICES: Mapping[type[Notice], str] = {
    ApprovalReminded: "hitl.approval.reminded",
    ApprovalEscalated: "hitl.approval.escalated",
    ApprovalExpired: "hitl.approval.expired",
    ApprovalReassigned: "hitl.approval.reassigned",
    ApprovalBecameUndecidable: "hitl.approval.undecidable",
}
"""What notification-manager is told of approvals, besides their decisions."""

PUBLISHED_TYPES = (
    JOB_TRIGGER,
    *(step.parameters["request"] for step in OPPORTUNITY_ANALYSIS.steps),
    STEP_COMPLETED,
    *(told for told in msgspec.structs.astuple(OPPORTUNITY_ANALYSIS.announcements) if told),
    APPROVAL_COMPLETED,
    *NOTICES.values(),
    ANCHORED,
)
"""Every type that the service itself sends. Definitions add theirs."""

PUBLISHED_EVENTS: tuple[type[Event], ...] = (
    ApprovalApproved,
    ApprovalRejected,
    *NOTICES,
    JobFired,
    WorkflowStarted,
    StepDispatched,
    StepCompleted,
    WorkflowCompleted,
    WorkflowFailed,
)
"""The events that the neighbours are told of."""


class Source(msgspec.Struct, frozen=True):
    """Which process of which service sent a message."""

    service: str
    instance: str


def public_message(recorded: Recorded) -> PublicMessage | None:
    """Return what the neighbours are told of an event: nothing, for most events."""
    described = _describe(recorded)
    if described is None:
        return None
    message_type, data = described
    meta = recorded.meta
    metadata = {
        "correlationId": _correlation(recorded),
        "causationId": meta.causation_id,
        "userId": meta.actor,
    }
    return PublicMessage(
        id=recorded.identity,
        type=message_type,
        tenant=meta.tenant,
        timestamp=recorded.timestamp,
        data=data,
        metadata={name: value for name, value in metadata.items() if value and is_uuid(value)},
        mandatory=isinstance(recorded.event, JobFired),
    )


def _correlation(recorded: Recorded) -> str:
    """Return the correlation that a job's worker sends back, by which its run is found."""
    if isinstance(recorded.event, JobFired):
        return recorded.event.correlation_id or recorded.event.run_id
    return recorded.meta.correlation_id


def envelope(message: PublicMessage, source: Source, wire_type: str | None = None) -> bytes:
    """Return the JSON body of a message. ``wire_type`` is the name of its type on the wire, if that
    differs."""
    body: dict[str, Any] = {
        "id": message.id,
        "type": wire_type or message.type,
        "version": ENVELOPE_VERSION,
        "timestamp": timestamp(message.timestamp),
        "tenantId": message.tenant,
        "source": {"service": source.service, "instance": source.instance},
        "data": message.data,
    }
    if message.metadata:
        body["metadata"] = message.metadata
    return msgspec.json.encode(body)


def _describe(recorded: Recorded) -> tuple[str, dict[str, Any]] | None:
    match event := recorded.event:
        case ApprovalApproved() | ApprovalRejected():
            return APPROVAL_COMPLETED, {
                "tenantId": recorded.meta.tenant,
                "opportunityId": event.opportunity_id,
                "approvalId": event.approval_id,
                "approved": isinstance(event, ApprovalApproved),
                "decidedBy": event.decided_by,
                "decidedAt": timestamp(event.decided_at),
            }
        case Notice():
            return NOTICES[type(event)], _notice(event, recorded.meta.tenant)
        case JobFired():
            return event.message_type, {
                "job": event.job,
                "metadata": event.metadata,
                "triggeredBy": _TRIGGERED_BY[event.triggered_by],
                "timestamp": timestamp(event.fired_at),
            }
        case WorkflowStarted(announcements=Announcements(started=str(message_type))):
            return message_type, {
                "workflowId": event.workflow_id,
                **_opportunity(event.opportunity_id),
                "timestamp": timestamp(event.started_at),
            }
        case StepDispatched(kind="event", void=False):
            return event.parameters["request"], {
                **event.input,
                "workflowId": event.workflow_id,
                **_opportunity(event.opportunity_id),
                "stepId": event.step_id,
            }
        case StepCompleted():
            return STEP_COMPLETED, {
                "workflowId": event.workflow_id,
                "stepId": event.step_id,
                "stepType": event.step_type,
                "result": event.result,
            }
        case WorkflowCompleted(announced_as=str(message_type)):
            return message_type, {
                "workflowId": event.workflow_id,
                **_opportunity(event.opportunity_id),
                "results": event.results,
                "timestamp": timestamp(event.completed_at),
            }
        case WorkflowFailed(announced_as=str(message_type)):
            failed_step = {"failedStep": event.failed_step} if event.failed_step else {}
            return message_type, {
                "workflowId": event.workflow_id,
                **_opportunity(event.opportunity_id),
                "error": event.error,
                **failed_step,
            }
    return None


def _notice(event: Notice, tenant: str) -> dict[str, Any]:
    """Return whom a notice is for, where to go, and what it is about."""
    particulars: dict[str, Any] = {}
    match event:
        case ApprovalReminded():
            particulars = {"number": event.number}
        case ApprovalEscalated():
            particulars = {"to": [approver.key for approver in event.to]}
        case ApprovalReassigned():
            particulars = {"to": event.to.key, "by": event.by, "reason": event.reason}
        case ApprovalBecameUndecidable():
            particulars = {"reason": event.reason}
    told = {
        "tenantId": tenant,
        "opportunityId": event.opportunity_id,
        "approvalId": event.approval_id,
        "timestamp": timestamp(event.at),
        "ownerId": event.owner_id,
        "approverId": event.approver_id,
        "recipientId": event.recipient_id,
        "approvalUrl": event.approval_url,
        "dueAt": None if event.due_at is None else timestamp(event.due_at),
        "waitsFor": list(event.waits_for),
        **particulars,
    }
    return {name: value for name, value in told.items() if value is not None}


_TRIGGERED_BY: Mapping[TriggeredBy, str] = {
    "scheduler": "scheduler",
    "manual": "manual",
    "backfill": "api",
}
"""In the words of the wire contract, section 1."""


def _opportunity(opportunity_id: str | None) -> dict[str, str]:
    return {"opportunityId": opportunity_id} if opportunity_id else {}
