"""What the rules know of an approval, and how its events change that. This module only assigns."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

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
    Decision,
    Number,
    Opening,
    Vote,
)
from domain.approval.policy import BARE, Approver, Policy, Stage
from domain.approval.seen import digest_of
from domain.event import Event
from domain.values import StepRef

Status = Literal["pending", "approved", "rejected", "withdrawn", "expired"]


class Substitute(msgspec.Struct, frozen=True, kw_only=True):
    """Who else may take some seats of the open stage, perhaps in place of somebody.

    ``own`` are the seats that were that person's from the beginning. Behind the entries ``seats`` may name
    the place of an earlier substitution, by which that person had them.
    """

    approver: Approver
    seats: tuple[int, ...]
    instead_of: str | None = None
    own: tuple[int, ...] = ()


class Claim(msgspec.Struct, frozen=True):
    """Who takes care of it, and since when."""

    by: str
    at: datetime


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """An approval as the rules need it.

    ``votes`` and ``substitutes`` are those of the open stage, ``earlier`` the votes of the round's stages
    before it. ``named`` are the approver and the recipient of the request, who are notified again once a
    stage opens. ``rounds`` counts how often everybody was asked again. ``digest`` is of the facts that a
    decision is now about.
    """

    approval_id: str
    opportunity_id: str
    amount: Number
    risk_score: Number
    step: StepRef | None = None
    owner_id: str | None = None
    approver_id: str | None = None
    recipient_id: str | None = None
    named: tuple[str | None, str | None] = (None, None)
    approval_url: str | None = None
    requested_by: str | None = None
    subject: str | None = None
    payload: Mapping[str, Any] | None = None
    policy: Policy = BARE
    own_policy: bool = False
    due_at: datetime | None = None
    expires_at: datetime | None = None
    opening: Opening | None = None
    votes: tuple[Vote, ...] = ()
    earlier: tuple[Vote, ...] = ()
    substitutes: tuple[Substitute, ...] = ()
    digest: str = ""
    waits_for: tuple[str, ...] = ()
    reminders: tuple[int, ...] = ()
    escalations: tuple[int, ...] = ()
    rounds: int = 0
    comments: int = 0
    claim: Claim | None = None
    undecidable: bool = False
    status: Status = "pending"
    ended_by: str | None = None
    ended_at: datetime | None = None

    @property
    def stage(self) -> Stage | None:
        """The open stage, or None if any one person decides."""
        return self.policy.stages[self.opening.stage] if self.opening else None

    @property
    def barred(self) -> frozenset[str]:
        """Who may not approve, because duties are separate."""
        return barred_by(self.policy, self.requested_by, self.owner_id)


def barred_by(policy: Policy, requested_by: str | None, owner_id: str | None) -> frozenset[str]:
    """Return who may not approve: the requester and the owner."""
    if not policy.separate_duties:
        return frozenset()
    return frozenset(each for each in (requested_by, owner_id) if each is not None)


def evolve(state: Approval | None, event: Event) -> Approval:
    """Return the approval after ``event``."""
    if state is None:
        if isinstance(event, ApprovalRequested):
            return _requested(event)
    elif isinstance(event, ApprovalEvent) and not isinstance(event, ApprovalRequested):
        return msgspec.structs.replace(state, **_changes(state, event))
    raise TypeError(f"{event!r} cannot follow {state!r}")


def _requested(event: ApprovalRequested) -> Approval:
    return Approval(
        approval_id=event.approval_id,
        opportunity_id=event.opportunity_id,
        amount=event.amount,
        risk_score=event.risk_score,
        step=event.step,
        owner_id=event.owner_id,
        approver_id=event.approver_id,
        recipient_id=event.recipient_id,
        named=(event.approver_id, event.recipient_id),
        approval_url=event.approval_url,
        requested_by=event.requested_by,
        subject=event.subject,
        payload=event.payload,
        policy=event.policy or BARE,
        own_policy=event.own_policy,
        digest=digest_of(
            opportunity_id=event.opportunity_id,
            amount=event.amount,
            risk_score=event.risk_score,
            payload=event.payload,
            bound_to=event.policy.bound_to if event.policy else None,
        ),
        due_at=event.due_at,
        expires_at=event.expires_at,
        opening=event.opening,
        waits_for=event.opening.waits_for if event.opening else (),
    )


_Changes = Mapping[str, Any]

_STATUS: Mapping[type[Decision], Status] = {ApprovalApproved: "approved", ApprovalRejected: "rejected"}


def _changes(state: Approval, event: ApprovalEvent) -> _Changes:
    match event:
        case ApprovalApproved() | ApprovalRejected():
            return {
                "status": _STATUS[type(event)],
                "ended_by": event.decided_by,
                "ended_at": event.decided_at,
            }
        case ApprovalAgreed() | ApprovalObjected():
            return {
                "votes": (*state.votes, event),
                "waits_for": event.waits_for,
                **_released(state, event.by, event.on_behalf_of),
            }
        case ApprovalStageOpened():
            return _opened(state, event.opening, earlier=(*state.earlier, *state.votes))
        case ApprovalRevised():
            return _revised(state, event)
        case ApprovalReassigned():
            return _reassigned(state, event)
        case ApprovalEscalated():
            seats = tuple(range(len(state.opening.seats))) if state.opening else ()
            more = tuple(Substitute(approver=to, seats=seats) for to in event.to)
            return {
                "substitutes": (*state.substitutes, *more),
                "waits_for": event.waits_for,
                "escalations": (*state.escalations, event.number),
            }
        case ApprovalReminded():
            return {"reminders": (*state.reminders, event.number)}
        case ApprovalClaimed():
            return {"claim": Claim(event.by, event.at)}
        case ApprovalReleased():
            return {"claim": None}
        case ApprovalCommented():
            return {"comments": state.comments + 1}
        case ApprovalBecameUndecidable():
            return {"undecidable": True}
        case ApprovalBecameDecidable():
            return {"undecidable": False}
        case ApprovalExpired():
            return {"status": "expired", "ended_at": event.at}
        case ApprovalWithdrawn():
            return {"status": "withdrawn", "ended_by": event.by, "ended_at": event.withdrawn_at}
    raise TypeError(f"{event!r} cannot follow {state!r}")


def _opened(state: Approval, opening: Opening | None, *, earlier: tuple[Vote, ...]) -> _Changes:
    approver_id, recipient_id = state.named
    return {
        "approver_id": approver_id,
        "recipient_id": recipient_id,
        "opening": opening,
        "waits_for": opening.waits_for if opening else (),
        "votes": (),
        "earlier": earlier,
        "substitutes": (),
        "reminders": (),
        "escalations": (),
        "claim": None,
        "undecidable": False,
    }


def _revised(state: Approval, event: ApprovalRevised) -> _Changes:
    policy = event.policy or state.policy
    facts = {
        "amount": event.amount,
        "risk_score": event.risk_score,
        "subject": event.subject,
        "payload": event.payload,
        "policy": policy,
        "digest": digest_of(
            opportunity_id=state.opportunity_id,
            amount=event.amount,
            risk_score=event.risk_score,
            payload=event.payload,
            bound_to=policy.bound_to,
        ),
    }
    if not event.voids:
        return facts
    again = _opened(state, event.opening, earlier=())
    until = {"due_at": event.due_at, "expires_at": event.expires_at}
    return {**facts, **again, **until, "rounds": state.rounds + 1}


def _reassigned(state: Approval, event: ApprovalReassigned) -> _Changes:
    addressed = {"approver_id": event.approver_id, "recipient_id": event.recipient_id}
    if state.opening is None:
        return {**addressed, "waits_for": event.waits_for}
    substitute = Substitute(approver=event.to, seats=event.seats, instead_of=event.instead_of, own=event.own)
    return {
        **addressed,
        "substitutes": (*state.substitutes, substitute),
        "waits_for": event.waits_for,
        "undecidable": False,
        **(_released(state, event.by, event.instead_of) if event.instead_of is not None else {}),
    }


def _released(state: Approval, *people: str | None) -> _Changes:
    """A person who has done their part, or handed it over, no longer takes care of it."""
    return {"claim": None} if state.claim is not None and state.claim.by in people else {}
