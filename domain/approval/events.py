"""What can happen to an approval.

``at`` is when; who did it is in the event's metadata as well. Whatever the neighbours are told of repeats
the approval's addressees, so that a message is derived from its event alone.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from domain.approval.policy import Approver, Policy
from domain.event import Event, stored_as
from domain.values import StepRef, StreamName, derived_id

Number = int | float

UNCOUNTED = -1


def approval_stream(tenant: str, approval_id: str) -> str:
    """The name of an approval's stream."""
    return str(StreamName(tenant, "approval", approval_id))


def approval_id_of(step_id: str, attempt: int) -> str:
    """The id of the approval that a dispatch of a step asks for."""
    return derived_id("approval", step_id, str(attempt))


class Escalating(msgspec.Struct, frozen=True, kw_only=True):
    """When a stage is escalated, unless it has ended by then, and to whom."""

    at: datetime
    to: tuple[Approver, ...]


class Opening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stage that people may decide in from now on.

    ``round`` counts how often all was asked anew. ``waits_for`` names whom it waits for, as
    :attr:`Approver.key` does. ``seats`` are those of each entry, :data:`UNCOUNTED` where all of a group are
    asked that could not be looked up.
    """

    round: int
    stage: int
    name: str
    waits_for: tuple[str, ...]
    seats: tuple[int, ...] = ()
    remind_at: tuple[datetime, ...] = ()
    escalate: tuple[Escalating, ...] = ()


@stored_as(
    "approval.requested",
    version=3,
    upcasters={1: lambda stored: stored, 2: lambda stored: stored},
)
class ApprovalRequested(Event, frozen=True, kw_only=True, omit_defaults=True):
    """People were asked to decide, for a ``step`` of a workflow or for its own sake.

    ``amount`` is in the deal's own currency. Without a ``policy`` any one person decides. One that was opened
    ``unchecked``, as nobody knew who is in the groups, may turn out to be undecidable.
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
    requested_by: str | None = None
    subject: str | None = None
    payload: Mapping[str, Any] | None = None
    policy: Policy | None = None
    own_policy: bool = False
    due_at: datetime | None = None
    expires_at: datetime | None = None
    opening: Opening | None = None
    unchecked: bool = False


class Decision(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What either decision tells. ``digest`` is of what was decided on (see :mod:`domain.approval.seen`)."""

    approval_id: str
    opportunity_id: str
    decided_by: str
    decided_at: datetime
    comment: str | None = None
    step: StepRef | None = None
    on_behalf_of: str | None = None
    digest: str | None = None


@stored_as(
    "approval.approved",
    version=3,
    upcasters={1: lambda stored: stored, 2: lambda stored: stored},
)
class ApprovalApproved(Decision, frozen=True, kw_only=True, omit_defaults=True):
    """The deal may go on."""


@stored_as(
    "approval.rejected",
    version=3,
    upcasters={1: lambda stored: stored, 2: lambda stored: stored},
)
class ApprovalRejected(Decision, frozen=True, kw_only=True, omit_defaults=True):
    """The deal may not go on."""


class Vote(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What one person said in a stage; ``seats`` are the entries whose seats were theirs to take.

    ``own`` are those among them that were theirs from the first, and not through an escalation or in
    somebody's stead.
    """

    approval_id: str
    stage: int
    by: str
    at: datetime
    digest: str
    seats: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    on_behalf_of: str | None = None
    comment: str | None = None


@stored_as("approval.agreed")
class ApprovalAgreed(Vote, frozen=True, kw_only=True, omit_defaults=True):
    """One of those who are asked agrees; ``missing`` more have to, of those that it ``waits_for`` now."""

    missing: int = 0
    waits_for: tuple[str, ...] = ()


@stored_as("approval.objected")
class ApprovalObjected(Vote, frozen=True, kw_only=True, omit_defaults=True):
    """One of those who are asked is against it. If that does not end it, it ``waits_for`` these."""

    waits_for: tuple[str, ...] = ()


@stored_as("approval.stage_opened")
class ApprovalStageOpened(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The stage before it has agreed; the next may decide."""

    approval_id: str
    at: datetime
    opening: Opening


@stored_as("approval.revised")
class ApprovalRevised(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The facts changed. If that ``voids`` what was agreed, all are asked again, in the first stage."""

    approval_id: str
    at: datetime
    amount: Number
    risk_score: Number
    subject: str | None = None
    payload: Mapping[str, Any] | None = None
    reason: str | None = None
    voids: bool = False
    policy: Policy | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None
    opening: Opening | None = None


@stored_as("approval.claimed")
class ApprovalClaimed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody says that they see to it."""

    approval_id: str
    by: str
    at: datetime


@stored_as("approval.released")
class ApprovalReleased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """They do not see to it any more."""

    approval_id: str
    by: str
    at: datetime


@stored_as("approval.commented")
class ApprovalCommented(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody said something, and decided nothing."""

    approval_id: str
    by: str
    at: datetime
    text: str


class Notice(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What notification-manager is told of, and whom it is for."""

    approval_id: str
    opportunity_id: str
    at: datetime
    waits_for: tuple[str, ...] = ()
    owner_id: str | None = None
    approver_id: str | None = None
    recipient_id: str | None = None
    approval_url: str | None = None
    due_at: datetime | None = None


@stored_as("approval.reassigned")
class ApprovalReassigned(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """``to`` may take the ``seats``; where it was ``instead_of`` somebody, they may not any more.

    ``own`` are those among the seats that were that person's from the first.
    """

    by: str
    to: Approver
    reason: str
    instead_of: str | None = None
    seats: tuple[int, ...] = ()
    own: tuple[int, ...] = ()


@stored_as("approval.reminded")
class ApprovalReminded(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """Time passes: the ``number``-th reminder of a stage in a round."""

    round: int
    stage: int
    number: int


@stored_as("approval.escalated")
class ApprovalEscalated(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """Time has passed: ``to`` may fill the seats of the stage as well."""

    round: int
    stage: int
    number: int
    to: tuple[Approver, ...]


@stored_as("approval.expired")
class ApprovalExpired(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """It was not decided in time, and so is not approved."""

    step: StepRef | None = None


@stored_as("approval.became_undecidable")
class ApprovalBecameUndecidable(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """There are not enough people left who could agree."""

    reason: str


@stored_as("approval.became_decidable")
class ApprovalBecameDecidable(Event, frozen=True, kw_only=True, omit_defaults=True):
    """There are enough people again."""

    approval_id: str
    at: datetime


@stored_as(
    "approval.withdrawn",
    version=3,
    upcasters={1: lambda stored: stored, 2: lambda stored: stored},
)
class ApprovalWithdrawn(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Nobody waits for the decision any more. Earlier versions have stored who said so only beside it."""

    approval_id: str
    opportunity_id: str
    reason: str
    withdrawn_at: datetime
    step: StepRef | None = None
    by: str | None = None


ApprovalEvent = (
    ApprovalRequested
    | ApprovalApproved
    | ApprovalRejected
    | ApprovalAgreed
    | ApprovalObjected
    | ApprovalStageOpened
    | ApprovalRevised
    | ApprovalClaimed
    | ApprovalReleased
    | ApprovalCommented
    | ApprovalReassigned
    | ApprovalReminded
    | ApprovalEscalated
    | ApprovalExpired
    | ApprovalBecameUndecidable
    | ApprovalBecameDecidable
    | ApprovalWithdrawn
)
