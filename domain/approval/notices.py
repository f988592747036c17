"""Events that people are notified of carry whom they are for, and where to go."""

from datetime import datetime
from typing import Any, TypeVar

from domain.approval.events import ApprovalBecameDecidable, ApprovalBecameUndecidable, Notice
from domain.approval.standing import Circumstances, undecidable
from domain.approval.state import Approval
from domain.event import Event

N = TypeVar("N", bound=Notice)


def notice_of(kind: type[N], state: Approval, now: datetime, **particulars: Any) -> N:
    """Return a notice about an approval as it is now, with the fields of its kind."""
    addressees = {
        "waits_for": state.waits_for,
        "owner_id": state.owner_id,
        "approver_id": state.approver_id,
        "recipient_id": state.recipient_id,
        "approval_url": state.approval_url,
        "due_at": state.due_at,
    }
    return kind(
        approval_id=state.approval_id,
        opportunity_id=state.opportunity_id,
        at=now,
        **addressees | particulars,
    )


def news_of(state: Approval, around: Circumstances) -> tuple[Event, ...]:
    """Return the event that too few people are left who could approve, or that there are enough again;
    nothing if that is known.

    Raises:
        Unknown: something has to be looked up first.
    """
    reason = undecidable(state, around)
    if reason is not None and not state.undecidable:
        return (notice_of(ApprovalBecameUndecidable, state, around.now, reason=reason),)
    if reason is None and state.undecidable:
        return (ApprovalBecameDecidable(approval_id=state.approval_id, at=around.now),)
    return ()
