"""``hitl_approvals``: one document an approval, what ``GET /hitl/approvals/{id}`` answers.

``assignees`` are those whom the open stage waits for (``user:ada``, ``group:finance``, ``role:cfo``,
``anyone``). ``settled`` are the people who have been heard in it, and ``barred``, who may not approve it;
``handedOn`` those who have handed their part on: they may still decide for others. By these the inbox is
found.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from domain.approval import (
    ANYONE,
    BARE,
    ApprovalAgreed,
    ApprovalApproved,
    ApprovalBecameDecidable,
    ApprovalBecameUndecidable,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalEscalated,
    ApprovalEvent,
    ApprovalExpired,
    ApprovalObjected,
    ApprovalReassigned,
    ApprovalRejected,
    ApprovalReleased,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevised,
    ApprovalStageOpened,
    ApprovalWithdrawn,
    Approver,
    Opening,
    Policy,
    barred_by,
    digest_of,
)
from domain.event import Event, Recorded
from domain.values import timestamp
from projections.approval_stages import agreed_stage, opened_stage, stages_of, voted
from projections.ports import Container, Json
from projections.projection import existing

_STATUS = {
    ApprovalApproved: "approved",
    ApprovalRejected: "rejected",
    ApprovalExpired: "expired",
    ApprovalWithdrawn: "withdrawn",
}


class Approvals:
    """The fold of ``hitl_approvals``."""

    category = "approval"
    kinds = ApprovalEvent

    def __init__(self, name: str = "hitl_approvals") -> None:
        self.container = Container(
            name,
            sort_field="createdAt",
            filter_fields=("opportunityId", "status"),
            list_fields=("assignees", "settled", "handedOn"),
            below_fields=("dueAt",),
        )

    def reads(self, event: Event) -> Sequence[str]:
        """The approval that an event is about."""
        return [event.approval_id] if isinstance(event, ApprovalEvent) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the approval."""
        event = recorded.event
        assert isinstance(event, ApprovalEvent)
        if isinstance(event, ApprovalRequested):
            return {event.approval_id: _requested(event, recorded)}
        before = existing(documents, event.approval_id)
        after = before | _changes(before, event) | {"updatedAt": timestamp(recorded.timestamp)}
        return {event.approval_id: {name: value for name, value in after.items() if value is not None}}


def _requested(event: ApprovalRequested, recorded: Recorded) -> Json:
    now = timestamp(recorded.timestamp)
    policy = event.policy
    barred = barred_by(policy or BARE, event.requested_by, event.owner_id)
    bound_to = policy.bound_to if policy else None
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
        "payloadDigest": digest_of(
            opportunity_id=event.opportunity_id,
            amount=event.amount,
            risk_score=event.risk_score,
            payload=event.payload,
            bound_to=bound_to,
        ),
        "assignees": _assignees(event.opening, event.approver_id, barred),
        "settled": sorted(barred),
    }
    optional = {
        "ownerId": event.owner_id,
        "approverId": event.approver_id,
        "recipientId": event.recipient_id,
        "correlationId": event.correlation_id,
        "approvalUrl": event.approval_url,
        "workflowId": event.step.workflow_id if event.step else None,
        "stepId": event.step.step_id if event.step else None,
        "requestedBy": event.requested_by,
        "barred": sorted(barred) or None,
        "subject": event.subject,
        "payload": event.payload,
        "dueAt": _moment(event.due_at),
        "expiresAt": _moment(event.expires_at),
        "boundTo": bound_to,
        "stages": stages_of(policy, event.opening) if policy and event.opening else None,
    }
    return approval | {name: value for name, value in optional.items() if value is not None}


def _changes(approval: Json, event: ApprovalEvent) -> Json:
    """The fields that an event sets; ``None`` takes one away."""
    match event:
        case ApprovalAgreed():
            return {
                "stages": agreed_stage(approval["stages"], event),
                "assignees": list(event.waits_for),
                "settled": _more(approval["settled"], event.by, event.on_behalf_of),
                **_released(approval, event.by, event.on_behalf_of),
            }
        case ApprovalObjected():
            return {
                "stages": voted(approval["stages"], event),
                "assignees": list(event.waits_for),
                "settled": _more(approval["settled"], event.by, event.on_behalf_of),
                **_released(approval, event.by, event.on_behalf_of),
            }
        case ApprovalStageOpened():
            return {
                "stages": opened_stage(approval["stages"], event.opening),
                **_asked_anew(approval, event.opening),
            }
        case ApprovalRevised():
            return _revised(approval, event)
        case ApprovalApproved() | ApprovalRejected():
            return _ended(event) | {
                "decidedBy": event.decided_by,
                "decidedAt": timestamp(event.decided_at),
                "onBehalfOf": event.on_behalf_of,
                "comment": event.comment,
            }
        case ApprovalExpired():
            return _ended(event) | {"expiredAt": timestamp(event.at)}
        case ApprovalWithdrawn():
            return _ended(event) | {"reason": event.reason}
        case ApprovalReassigned():
            named = {name: approval[name] for name in ("approverId", "recipientId") if name in approval}
            return {
                "named": approval.get("named", named),
                "approverId": event.approver_id,
                "recipientId": event.recipient_id,
                "assignees": list(event.waits_for),
                "handedOn": _handed_on(_asked_again(approval, event.to), event.instead_of),
                "undecidable": None,
                **(_released(approval, event.by, event.instead_of) if event.instead_of is not None else {}),
            }
        case ApprovalEscalated():
            return {
                "assignees": list(event.waits_for),
                "handedOn": _handed_on(_asked_again(approval, *event.to)),
                "escalatedAt": timestamp(event.at),
            }
        case ApprovalReminded():
            return {"remindedAt": timestamp(event.at)}
        case ApprovalClaimed():
            return {"claimedBy": event.by, "claimedAt": timestamp(event.at)}
        case ApprovalReleased():
            return _UNCLAIMED
        case ApprovalCommented():
            said = {"by": event.by, "at": timestamp(event.at), "text": event.text}
            return {"comments": [*approval.get("comments", ()), said]}
        case ApprovalBecameUndecidable():
            return {"undecidable": {"since": timestamp(event.at), "reason": event.reason}}
        case ApprovalBecameDecidable():
            return {"undecidable": None}
    raise TypeError(f"{event!r} changes no document")


_UNCLAIMED = {"claimedBy": None, "claimedAt": None}


def _released(approval: Json, *people: str | None) -> Json:
    """Who has done their part, or handed it on, sees to it no longer."""
    return _UNCLAIMED if approval.get("claimedBy") in {*people} - {None} else {}


def _ended(
    event: ApprovalApproved | ApprovalRejected | ApprovalExpired | ApprovalWithdrawn,
) -> Json:
    return {"status": _STATUS[type(event)], "assignees": [], **_UNCLAIMED, "undecidable": None}


def _revised(approval: Json, event: ApprovalRevised) -> Json:
    policy = event.policy
    bound_to = policy.bound_to if policy else approval.get("boundTo")
    facts = {
        "amount": event.amount,
        "riskScore": event.risk_score,
        "subject": event.subject,
        "payload": event.payload,
        "boundTo": bound_to,
        "payloadDigest": digest_of(
            opportunity_id=approval["opportunityId"],
            amount=event.amount,
            risk_score=event.risk_score,
            payload=event.payload,
            bound_to=bound_to,
        ),
    }
    if not event.voids:
        return facts
    stages = None
    if event.opening is not None:
        stages = (
            stages_of(policy, event.opening)
            if policy
            else opened_stage(approval["stages"], event.opening, anew=True)
        )
    return {
        **facts,
        "dueAt": _moment(event.due_at),
        "expiresAt": _moment(event.expires_at),
        "stages": stages,
        **_asked_anew(approval, event.opening, policy),
    }


def _asked_anew(approval: Json, opening: Opening | None, policy: Policy | None = None) -> Json:
    """Nobody of the new stage has been heard yet; who may not approve, by this policy or as it was, stays out
    of it."""
    barred = approval.get("barred", [])
    if policy is not None:
        barred = sorted(barred_by(policy, approval.get("requestedBy"), approval.get("ownerId")))
    named = approval.get("named", approval)
    return {
        "named": None,
        "approverId": named.get("approverId"),
        "recipientId": named.get("recipientId"),
        "assignees": _assignees(opening, named.get("approverId"), barred),
        "settled": barred,
        "barred": barred or None,
        "handedOn": None,
        **_UNCLAIMED,
        "undecidable": None,
    }


def _assignees(opening: Opening | None, approver_id: str | None, barred: Collection[str]) -> list[str]:
    """Whom it waits for; anyone, where whoever the request named may not approve it."""
    if opening is not None:
        return list(opening.waits_for)
    return [ANYONE if approver_id is None or approver_id in barred else f"user:{approver_id}"]


def _asked_again(approval: Json, *asked: Approver) -> Sequence[str]:
    """Who has handed their part on and was given none since. Nobody knows here who is in a group or bears a
    role: any of them may be.
    """
    if any(each.user is None for each in asked):
        return ()
    given = {each.user for each in asked}
    return [person for person in approval.get("handedOn", ()) if person not in given]


def _handed_on(before: Sequence[str], person: str | None = None) -> list[str] | None:
    return _more(before, person) or None


def _more(known: Sequence[str], *people: str | None) -> list[str]:
    return sorted({*known, *(person for person in people if person is not None)})


def _moment(at: datetime | None) -> str | None:
    return None if at is None else timestamp(at)
