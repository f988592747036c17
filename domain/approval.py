"""HitlApproval: a person's decision on a risky, expensive deal."""

from datetime import datetime
from typing import Literal

import msgspec

from domain.errors import ApprovalNotPending
from domain.event import Event, stored_as
from domain.values import StepRef, StreamName, timestamp

Status = Literal["pending", "approved", "rejected", "withdrawn"]
Number = int | float


def approval_stream(tenant: str, approval_id: str) -> str:
    """The name of an approval's stream."""
    return str(StreamName(tenant, "approval", approval_id))


@stored_as("approval.requested", version=2, upcasters={1: lambda stored: stored})
class ApprovalRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A person was asked to decide, for a ``step`` of a workflow or for its own sake.

    ``amount`` is in the deal's own currency.
    """

    approval_id: str
    opportunity_id: str
    risk_score: Number
    amount: Number
    requested_at: datetime
    owner_id: str | None = None
    approver_id: str | None = None
    recipient_id: str | None = None
    correlation_id: str | None = None
    approval_url: str | None = None
    step: StepRef | None = None


class Decision(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What either decision tells."""

    approval_id: str
    opportunity_id: str
    decided_by: str
    decided_at: datetime
    comment: str | None = None
    step: StepRef | None = None


@stored_as("approval.approved", version=2, upcasters={1: lambda stored: stored})
class ApprovalApproved(Decision, frozen=True, kw_only=True, omit_defaults=True):
    """The deal may go on."""


@stored_as("approval.rejected", version=2, upcasters={1: lambda stored: stored})
class ApprovalRejected(Decision, frozen=True, kw_only=True, omit_defaults=True):
    """The deal may not go on."""


@stored_as("approval.withdrawn")
class ApprovalWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody waits for the decision any more."""

    approval_id: str
    opportunity_id: str
    reason: str
    withdrawn_at: datetime


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules need to know of an approval."""

    approval_id: str
    opportunity_id: str
    step: StepRef | None = None
    status: Status = "pending"
    decided_by: str | None = None
    decided_at: datetime | None = None


def request(state: Approval | None, requested: ApprovalRequested) -> tuple[Event, ...]:
    """Ask for a decision; asking again for the same approval changes nothing."""
    return () if state else (requested,)


def approve(state: Approval, *, decided_by: str, comment: str | None, now: datetime) -> tuple[Event, ...]:
    """Let the deal go on. The same person saying so again changes nothing.

    Raises:
        ApprovalNotPending: someone has decided otherwise, or someone else has decided.
    """
    return _decide(state, ApprovalApproved, decided_by, comment, now)


def reject(state: Approval, *, decided_by: str, comment: str | None, now: datetime) -> tuple[Event, ...]:
    """Stop the deal. The same person saying so again changes nothing.

    Raises:
        ApprovalNotPending: someone has decided otherwise, or someone else has decided.
    """
    return _decide(state, ApprovalRejected, decided_by, comment, now)


def withdraw(state: Approval, *, reason: str, now: datetime) -> tuple[Event, ...]:
    """Ask no longer. What has been decided stays decided."""
    if state.status != "pending":
        return ()
    return (
        ApprovalWithdrawn(
            approval_id=state.approval_id,
            opportunity_id=state.opportunity_id,
            reason=reason,
            withdrawn_at=now,
        ),
    )


def evolve(state: Approval | None, event: Event) -> Approval:
    """The approval after ``event``."""
    match state, event:
        case None, ApprovalRequested():
            return Approval(
                approval_id=event.approval_id, opportunity_id=event.opportunity_id, step=event.step
            )
        case Approval(), ApprovalApproved() | ApprovalRejected():
            return msgspec.structs.replace(
                state,
                status=_STATUS[type(event)],
                decided_by=event.decided_by,
                decided_at=event.decided_at,
            )
        case Approval(), ApprovalWithdrawn():
            return msgspec.structs.replace(state, status="withdrawn")
    raise TypeError(f"{event!r} cannot follow {state!r}")


_STATUS: dict[type[Decision], Status] = {ApprovalApproved: "approved", ApprovalRejected: "rejected"}


def _decide(
    state: Approval, decision: type[Decision], decided_by: str, comment: str | None, now: datetime
) -> tuple[Event, ...]:
    if state.status == "pending":
        decided = decision(
            approval_id=state.approval_id,
            opportunity_id=state.opportunity_id,
            decided_by=decided_by,
            decided_at=now,
            comment=comment,
            step=state.step,
        )
        return (decided,)
    if (state.status, state.decided_by) == (_STATUS[decision], decided_by):
        return ()
    if state.decided_at is None:
        raise ApprovalNotPending(f"this approval is {state.status}", {"status": state.status})
    decided_at = timestamp(state.decided_at)
    raise ApprovalNotPending(
        f"{state.decided_by} has {state.status} this approval at {decided_at}",
        {"status": state.status, "decidedBy": state.decided_by, "decidedAt": decided_at},
    )
