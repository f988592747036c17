"""One example of every stored event of approvals and delegations, with every field filled."""

from typing import Any

from domain.approval import (
    ApprovalAgreed,
    ApprovalApproved,
    ApprovalBecameDecidable,
    ApprovalBecameUndecidable,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalEscalated,
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
    Escalating,
    Escalation,
    Opening,
    Policy,
    Stage,
)
from domain.delegation import DelegationEnded, DelegationMade
from domain.event import Event
from domain.values import StepRef
from tests.builders import CORRELATION, NOW, after

STEP = StepRef(workflow_id="w-0", step_id="step-0", attempt=2)

DIGEST = "sha256:0b7a837b00518b8185ae0137a5c1a30c1b2f9d00a9d28697d52e77b744a2bdf9"

POLICY = Policy(
    stages=(
        Stage(
            name="review",
            approvers=(
                Approver(user="ann"),
                Approver(group="finance", count=2),
                Approver(group="legal", count=None),
                Approver(role="cfo"),
            ),
            agree=3,
            rejections=2,
            remind_after_seconds=(3600.0, 7200.0),
            escalations=(Escalation(after_seconds=14_400.0, to=(Approver(group="board"),)),),
        ),
        Stage(name="board", approvers=(Approver(group="board"),)),
    ),
    due_after_seconds=57_600.0,
    grace_seconds=28_800.0,
    bound_to=("discount", "terms.days"),
    separate_duties=False,
    reason_on_rejection=True,
)

OPENING = Opening(
    round=1,
    stage=0,
    name="review",
    waits_for=("user:ann", "group:finance", "group:legal", "role:cfo"),
    seats=(1, 2, -1, 1),
    remind_at=(after(hours=1), after(hours=2)),
    escalate=(Escalating(at=after(hours=4), to=(Approver(group="board"),)),),
)

PAYLOAD = {"discount": 0.2, "terms": {"days": 30}, "lines": [1, 2.5, None, True, "ü"]}

_REQUESTED: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "risk_score": 0.91,
    "amount": 250_000,
    "requested_at": NOW,
    "owner_id": "owner-1",
    "approver_id": "approver-1",
    "recipient_id": "recipient-1",
    "correlation_id": CORRELATION,
    "approval_url": "https://crm.example/approvals/a-1?näme=ü",
}

_APPROVED: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "decided_by": "ann",
    "decided_at": after(minutes=5),
    "comment": "go",
}

_REJECTED: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "decided_by": "bob",
    "decided_at": after(minutes=6),
    "comment": "no",
}

_WITHDRAWN: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "reason": "not needed",
    "withdrawn_at": after(minutes=6),
}

_DELEGATED: dict[str, Any] = {
    "delegation_id": "d-1",
    "by": "ann",
    "to": "bob",
    "starts_at": after(hours=1),
    "ends_at": after(days=14),
    "made_at": NOW,
    "reason": "on leave",
}

_VOTE: dict[str, Any] = {
    "approval_id": "a-1",
    "stage": 1,
    "by": "ann",
    "at": after(minutes=5),
    "digest": DIGEST,
    "seats": (0, 2),
    "own": (2,),
    "on_behalf_of": "bob",
    "comment": "seen",
    "waits_for": ("group:finance",),
}

_NOTICE: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "at": after(hours=1),
    "waits_for": ("group:finance", "user:hugo"),
    "owner_id": "owner-1",
    "approver_id": "approver-1",
    "recipient_id": "recipient-1",
    "approval_url": "https://crm.example/approvals/a-1",
    "due_at": after(hours=16),
}

APPROVAL_EVENTS: tuple[Event, ...] = (
    ApprovalRequested(
        **_REQUESTED,
        step=STEP,
        requested_by="rita",
        subject="Acme, three years",
        payload=PAYLOAD,
        policy=POLICY,
        own_policy=True,
        due_at=after(hours=16),
        expires_at=after(hours=24),
        opening=OPENING,
        unchecked=True,
    ),
    ApprovalApproved(**_APPROVED, step=STEP, on_behalf_of="zoe", digest=DIGEST),
    ApprovalRejected(**_REJECTED, step=STEP, on_behalf_of="zoe", digest=DIGEST),
    ApprovalWithdrawn(**_WITHDRAWN, step=STEP, by="rita"),
    ApprovalAgreed(**_VOTE, missing=1),
    ApprovalObjected(**_VOTE),
    ApprovalStageOpened(approval_id="a-1", at=after(minutes=5), opening=OPENING),
    ApprovalRevised(
        approval_id="a-1",
        at=after(minutes=5),
        amount=300_000.5,
        risk_score=0.5,
        subject="Acme, four years",
        payload=PAYLOAD,
        reason="a year more",
        voids=True,
        policy=POLICY,
        due_at=after(hours=16),
        expires_at=after(hours=24),
        opening=OPENING,
    ),
    ApprovalClaimed(approval_id="a-1", by="ann", at=after(minutes=5)),
    ApprovalReleased(approval_id="a-1", by="ann", at=after(minutes=6)),
    ApprovalCommented(approval_id="a-1", by="zoe", at=after(minutes=6), text="why, für wen?"),
    ApprovalReassigned(
        **_NOTICE,
        by="ann",
        to=Approver(user="hugo"),
        reason="on leave",
        instead_of="bob",
        seats=(0, 2),
        own=(2,),
    ),
    ApprovalReminded(**_NOTICE, round=1, stage=0, number=2),
    ApprovalEscalated(**_NOTICE, round=1, stage=0, number=1, to=(Approver(group="board"),)),
    ApprovalExpired(**_NOTICE, step=STEP),
    ApprovalBecameUndecidable(**_NOTICE, reason="in stage review there are not enough people"),
    ApprovalBecameDecidable(approval_id="a-1", at=after(hours=2)),
    DelegationMade(**_DELEGATED, made_by="olga"),
    DelegationEnded(delegation_id="d-1", ended_at=after(days=7)),
)

APPROVALS_FROM_VERSION_1: tuple[Event, ...] = (
    ApprovalRequested(**_REQUESTED),
    ApprovalApproved(**_APPROVED),
    ApprovalRejected(**_REJECTED),
    ApprovalWithdrawn(**_WITHDRAWN),
    DelegationMade(**_DELEGATED),
)
"""Events from before steps waited for approvals and learned of withdrawals, and before a delegation's maker
was stored."""

APPROVALS_FROM_VERSION_2: tuple[Event, ...] = (
    ApprovalRequested(**_REQUESTED, step=STEP),
    ApprovalApproved(**_APPROVED, step=STEP),
    ApprovalRejected(**_REJECTED, step=STEP),
    ApprovalWithdrawn(**_WITHDRAWN, step=STEP),
)
"""Events from before several people could decide, and before a withdrawal named the person."""
