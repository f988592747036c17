"""``hitl_approvals``: one document an approval, what ``GET /hitl/approvals/{id}`` answers."""

from collections.abc import Mapping, Sequence

from domain.approval import ApprovalApproved, ApprovalRejected, ApprovalRequested, ApprovalWithdrawn
from domain.event import Event, Recorded
from domain.values import timestamp
from projections.ports import Container, Json
from projections.projection import existing


class Approvals:
    """The fold of ``hitl_approvals``."""

    def __init__(self, name: str = "hitl_approvals") -> None:
        self.container = Container(name, sort_field="createdAt", filter_fields=("opportunityId", "status"))

    def reads(self, event: Event) -> Sequence[str]:
        """The approval that an event is about."""
        match event:
            case ApprovalRequested() | ApprovalApproved() | ApprovalRejected() | ApprovalWithdrawn():
                return [event.approval_id]
        return ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the approval."""
        match event := recorded.event:
            case ApprovalRequested():
                return {event.approval_id: _requested(event, recorded)}
            case ApprovalApproved() | ApprovalRejected():
                approval = existing(documents, event.approval_id) | {
                    "status": "approved" if isinstance(event, ApprovalApproved) else "rejected",
                    "decidedBy": event.decided_by,
                    "decidedAt": timestamp(event.decided_at),
                    "updatedAt": timestamp(recorded.timestamp),
                }
                if event.comment is not None:
                    approval["comment"] = event.comment
                return {event.approval_id: approval}
            case ApprovalWithdrawn():
                approval = existing(documents, event.approval_id) | {
                    "status": "withdrawn",
                    "reason": event.reason,
                    "updatedAt": timestamp(recorded.timestamp),
                }
                return {event.approval_id: approval}
        return {}


def _requested(event: ApprovalRequested, recorded: Recorded) -> Json:
    now = timestamp(recorded.timestamp)
    approval: Json = {
        "id": event.approval_id,
        "tenantId": recorded.meta.tenant,
        "opportunityId": event.opportunity_id,
        "riskScore": event.risk_score,
        "amount": event.amount,
        "requestedAt": timestamp(event.requested_at),
        "status": "pending",
        "createdAt": now,
        "updatedAt": now,
    }
    optional = {
        "ownerId": event.owner_id,
        "approverId": event.approver_id,
        "recipientId": event.recipient_id,
        "correlationId": event.correlation_id,
        "approvalUrl": event.approval_url,
        "workflowId": event.step.workflow_id if event.step else None,
        "stepId": event.step.step_id if event.step else None,
    }
    return approval | {name: value for name, value in optional.items() if value is not None}
