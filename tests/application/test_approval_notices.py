"""What notification-manager is told of approvals: whom it is for, where to go, and what has happened."""

from typing import Any

import pytest

from application.integration import NOTICES, public_message
from domain.approval import (
    ApprovalBecameUndecidable,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReassigned,
    ApprovalReminded,
    Approver,
    Notice,
)
from tests.builders import NOW, TENANT, after, recorded

ADDRESSED: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "at": NOW,
    "waits_for": ("group:finance", "user:ada"),
    "owner_id": "otto",
    "approver_id": "ada",
    "recipient_id": "rita",
    "approval_url": "https://crm.example/approvals/a-1",
    "due_at": after(hours=1),
}
TOLD_ALWAYS = {
    "tenantId": TENANT,
    "opportunityId": "opp-1",
    "approvalId": "a-1",
    "timestamp": "2026-11-22T22:10:05.123Z",
    "waitsFor": ["group:finance", "user:ada"],
    "ownerId": "otto",
    "approverId": "ada",
    "recipientId": "rita",
    "approvalUrl": "https://crm.example/approvals/a-1",
    "dueAt": "2026-11-22T23:10:05.123Z",
}
EXECUTIVES = Approver(group="executives")
SAID: list[tuple[Notice, str, dict[str, Any]]] = [
    (
        ApprovalReminded(**ADDRESSED, round=0, stage=0, number=2),
        "hitl.approval.reminded",
        {"number": 2},
    ),
    (
        ApprovalEscalated(**ADDRESSED, round=0, stage=0, number=1, to=(EXECUTIVES,)),
        "hitl.approval.escalated",
        {"to": ["group:executives"]},
    ),
    (ApprovalExpired(**ADDRESSED), "hitl.approval.expired", {}),
    (
        ApprovalReassigned(**ADDRESSED, by="bob", to=Approver(user="cleo"), reason="away"),
        "hitl.approval.reassigned",
        {"to": "user:cleo", "by": "bob", "reason": "away"},
    ),
    (
        ApprovalBecameUndecidable(**ADDRESSED, reason="too few"),
        "hitl.approval.undecidable",
        {"reason": "too few"},
    ),
]


@pytest.mark.parametrize(("notice", "message_type", "particulars"), SAID, ids=[each[1] for each in SAID])
def test_a_notice_says_whom_it_is_for_and_what_has_happened(
    notice: Notice, message_type: str, particulars: dict[str, Any]
) -> None:
    (event,) = recorded(f"{TENANT}/approval/a-1", [notice])
    message = public_message(event)
    assert message is not None
    assert message.type == message_type
    assert message.data == {**TOLD_ALWAYS, **particulars}


def test_there_is_no_other_notice() -> None:
    assert {type(notice) for notice, _, _ in SAID} == set(NOTICES)


def test_what_an_approval_does_not_have_is_left_out() -> None:
    bare = ApprovalExpired(approval_id="a-1", opportunity_id="opp-1", at=NOW)
    (event,) = recorded(f"{TENANT}/approval/a-1", [bare])
    message = public_message(event)
    assert message is not None
    assert set(message.data) == {"tenantId", "opportunityId", "approvalId", "timestamp", "waitsFor"}
