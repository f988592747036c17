"""Events that people hear of carry whom they are for, and where to go."""

from datetime import datetime
from typing import Any, TypeVar

from domain.approval.events import Notice
from domain.approval.state import Approval

N = TypeVar("N", bound=Notice)


def notice_of(kind: type[N], state: Approval, now: datetime, **particulars: Any) -> N:
    """A notice about an approval as it is now, with what is particular to its kind."""
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
