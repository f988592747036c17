"""HitlApproval: what people decide on a risky, expensive deal.

``policy`` says who decides, ``events`` is what happens, ``state`` what the rules know of it, ``standing``
whether enough people have approved or could. ``asking``, ``deciding``, ``handling`` and ``timing`` are the
commands.
"""

from domain.approval.asking import faults_of, request, revise
from domain.approval.deciding import approve, reject
from domain.approval.events import (
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
    Escalating,
    Notice,
    Number,
    Opening,
    approval_id_of,
    approval_stream,
)
from domain.approval.handling import claim, comment, reassign, release, withdraw
from domain.approval.people import Ballot, People, Unknown
from domain.approval.policy import ANYONE, BARE, Approver, Escalation, Policy, Rule, Stage, chosen
from domain.approval.seen import LONGEST_SUBJECT, Payload, digest_of
from domain.approval.standing import Circumstances
from domain.approval.state import Approval, Status, barred_by, evolve
from domain.approval.timing import escalate, expire, look_again, remind

__all__ = [
    "ANYONE",
    "BARE",
    "LONGEST_SUBJECT",
    "Approval",
    "ApprovalAgreed",
    "ApprovalApproved",
    "ApprovalBecameDecidable",
    "ApprovalBecameUndecidable",
    "ApprovalClaimed",
    "ApprovalCommented",
    "ApprovalEscalated",
    "ApprovalEvent",
    "ApprovalExpired",
    "ApprovalObjected",
    "ApprovalReassigned",
    "ApprovalRejected",
    "ApprovalReleased",
    "ApprovalReminded",
    "ApprovalRequested",
    "ApprovalRevised",
    "ApprovalStageOpened",
    "ApprovalWithdrawn",
    "Approver",
    "Ballot",
    "Circumstances",
    "Escalating",
    "Escalation",
    "Notice",
    "Number",
    "Opening",
    "Payload",
    "People",
    "Policy",
    "Rule",
    "Stage",
    "Status",
    "Unknown",
    "approval_id_of",
    "approval_stream",
    "approve",
    "barred_by",
    "chosen",
    "claim",
    "comment",
    "digest_of",
    "escalate",
    "evolve",
    "expire",
    "faults_of",
    "look_again",
    "reassign",
    "reject",
    "release",
    "remind",
    "request",
    "revise",
    "withdraw",
]
