"""The commands about approvals."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command
from domain.approval import Approver, Ballot, Number, Policy
from domain.values import StepRef


class ApprovalCommand(Command, frozen=True, kw_only=True):
    """The fields that all these commands have."""

    approval_id: str


class RequestApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Ask people to decide on a deal. Without ``requested_at`` the request is of now.

    ``policy`` names one of the tenant's policies, or is a policy of the request's own. Without it the
    tenant's rules choose one. A request that nobody can decide is refused; if it ``must_open``, it is opened
    and marked so.
    """

    opportunity_id: str
    risk_score: Number
    amount: Number
    requested_at: datetime | None = None
    owner_id: str | None = None
    approver_id: str | None = None
    recipient_id: str | None = None
    correlation_id: str | None = None
    approval_url: str | None = None
    step: StepRef | None = None
    requested_by: str | None = None
    subject: str | None = None
    payload: Mapping[str, Any] | None = None
    policy: str | Policy | None = None
    due_at: datetime | None = None
    must_open: bool = False


class ApproveApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Vote for it."""

    ballot: Ballot


class RejectApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Vote against it."""

    ballot: Ballot


class ReviseApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Report changed facts. Fields that are not given stay as they are. ``may_do_all``: an operator, or the
    service itself."""

    by: str
    may_do_all: bool
    amount: Number | None = None
    risk_score: Number | None = None
    subject: str | None = None
    payload: Mapping[str, Any] | None = None
    reason: str | None = None


class WithdrawApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Stop asking for a decision."""

    reason: str
    by: str
    may_do_all: bool


class ReassignApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Let somebody else decide."""

    ballot: Ballot
    to: Approver
    reason: str
    may_do_all: bool


class ClaimApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Note that somebody takes care of it."""

    ballot: Ballot


class ReleaseApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Note that nobody takes care of it any more."""

    by: str
    may_do_all: bool


class CommentOnApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Add a comment, without deciding anything."""

    by: str
    text: str


class ExpireApproval(ApprovalCommand, frozen=True, kw_only=True):
    """End it, because its time was up at ``due_at``."""

    due_at: datetime


class RemindOfApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Send the ``number``-th reminder of a stage."""

    round: int
    stage: int
    number: int


class EscalateApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Carry out the ``number``-th escalation of a stage."""

    round: int
    stage: int
    number: int


class LookAgainAtApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Check whether there are still enough people who could approve."""
