"""What can happen to an approval.

``at`` is the time. Who did it is also in the event's metadata. An event that leads to a message repeats the
approval's addressees, so that the message is derived from the event alone.
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
    """Return the name of an approval's stream."""
    return str(StreamName(tenant, "approval", approval_id))


def approval_id_of(step_id: str, attempt: int) -> str:
    """Return the id of the approval that a dispatch of a step asks for."""
    return derived_id("approval", step_id, str(attempt))


class Escalating(msgspec.Struct, frozen=True, kw_only=True):
    """When a stage is escalated, unless it has ended by then, and to whom."""

    at: datetime
    to: tuple[Approver, ...]


class Opening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stage in which people may vote from now on.

    ``round`` counts how often everybody was asked again. ``waits_for`` names whom the stage waits for, as
    :attr:`Approver.key` does. ``seats`` are those of each entry, :data:`UNCOUNTED` if all members of a group
    are asked that could not be looked up.
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
    """People were asked to decide, for a ``step`` of a workflow or independently.

    ``amount`` is in the deal's own currency. Without a ``policy`` any one person decides. An approval that
    was opened ``unchecked``, because it was not known who is in the groups, may turn out to be undecidable.
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
    """The fields of both decisions. ``digest`` is of the facts that were decided on (see
    :mod:`domain.approval.seen`)."""

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
    """One person's vote in a stage. ``seats`` are the entries whose seats the person could take.

    ``own`` are those among them that were the person's from the beginning, and not through an escalation or
    in place of somebody else.
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
    """One of the people who are asked approves. ``missing`` more must approve, of those that it ``waits_for``
    now."""

    missing: int = 0
    waits_for: tuple[str, ...] = ()


@stored_as("approval.objected")
class ApprovalObjected(Vote, frozen=True, kw_only=True, omit_defaults=True):
    """One of the people who are asked rejects it. If that does not end it, it ``waits_for`` these."""

    waits_for: tuple[str, ...] = ()


@stored_as("approval.stage_opened")
class ApprovalStageOpened(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The stage before it has approved, and the next one may vote."""

    approval_id: str
    at: datetime
    opening: Opening


@stored_as("approval.revised")
class ApprovalRevised(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The facts changed. If that ``voids`` the votes, everybody is asked again, from the first stage on."""

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
    """Somebody takes care of it."""

    approval_id: str
    by: str
    at: datetime


@stored_as("approval.released")
class ApprovalReleased(Event, frozen=True, kw_only=True, omit_defaults=True):
    """They no longer take care of it."""

    approval_id: str
    by: str
    at: datetime


@stored_as("approval.commented")
class ApprovalCommented(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody commented, without deciding anything."""

    approval_id: str
    by: str
    at: datetime
    text: str


class Notice(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What notification-manager is told, and for whom it is."""

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
    """``to`` may take the ``seats``. If that is ``instead_of`` somebody, they no longer may.

    ``own`` are those among the seats that were that person's from the beginning.
    """

    by: str
    to: Approver
    reason: str
    instead_of: str | None = None
    seats: tuple[int, ...] = ()
    own: tuple[int, ...] = ()


@stored_as("approval.reminded")
class ApprovalReminded(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """The ``number``-th reminder of a stage in a round is due."""

    round: int
    stage: int
    number: int


@stored_as("approval.escalated")
class ApprovalEscalated(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """The time of the stage has passed, and ``to`` may fill its seats as well."""

    round: int
    stage: int
    number: int
    to: tuple[Approver, ...]


@stored_as("approval.expired")
class ApprovalExpired(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """It was not decided in time, and so it is not approved."""

    step: StepRef | None = None


@stored_as("approval.became_undecidable")
class ApprovalBecameUndecidable(Notice, frozen=True, kw_only=True, omit_defaults=True):
    """There are not enough people left who could approve."""

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
    """Nobody waits for the decision any more. Earlier versions stored who withdrew it only in the
    metadata."""

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
