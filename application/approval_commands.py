"""What can be asked of approvals."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from application.command import Command
from domain.approval import Approver, Ballot, Number, Policy
from domain.values import StepRef


class ApprovalCommand(Command, frozen=True, kw_only=True):
    """What all of them carry."""

    approval_id: str


class RequestApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Ask people to decide on a deal; ``requested_at`` is now if silent.

    ``policy`` is one of the tenant's by its name, or one of its own; the tenant's rules choose if silent.
    One that nobody can decide is refused, or opened and said to be so if it ``must_open``.
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
    """Agree."""

    ballot: Ballot


class RejectApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Be against it."""

    ballot: Ballot


class ReviseApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Tell of changed facts; what is silent stays. ``may_do_all``: an operator, or the service itself."""

    by: str
    may_do_all: bool
    amount: Number | None = None
    risk_score: Number | None = None
    subject: str | None = None
    payload: Mapping[str, Any] | None = None
    reason: str | None = None


class WithdrawApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Ask no longer for a decision."""

    reason: str
    by: str
    may_do_all: bool


class ReassignApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Let another decide."""

    ballot: Ballot
    to: Approver
    reason: str
    may_do_all: bool


class ClaimApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Say that one sees to it."""

    ballot: Ballot


class ReleaseApproval(ApprovalCommand, frozen=True, kw_only=True):
    """See to it no longer."""

    by: str
    may_do_all: bool


class CommentOnApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Say something, and decide nothing."""

    by: str
    text: str


class ExpireApproval(ApprovalCommand, frozen=True, kw_only=True):
    """Its time is up, as it is since ``due_at``."""

    due_at: datetime


class RemindOfApproval(ApprovalCommand, frozen=True, kw_only=True):
    """It is time for the ``number``-th reminder of a stage."""

    round: int
    stage: int
    number: int


class EscalateApproval(ApprovalCommand, frozen=True, kw_only=True):
    """It is time for the ``number``-th escalation of a stage."""

    round: int
    stage: int
    number: int


class LookAgainAtApproval(ApprovalCommand, frozen=True, kw_only=True):
    """See whether there are still enough people who could agree."""
