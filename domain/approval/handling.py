"""What people do with an approval besides deciding it."""

import msgspec

from domain.approval.events import (
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalReassigned,
    ApprovalReleased,
    ApprovalWithdrawn,
)
from domain.approval.notices import notice_of
from domain.approval.people import Ballot
from domain.approval.policy import Approver
from domain.approval.rights import principal_of, require_asker, require_pending
from domain.approval.standing import Circumstances, Standing, undecidable
from domain.approval.state import Approval, evolve
from domain.errors import (
    ApprovalClaimedByAnother,
    ApprovalUndecidable,
    DutiesNotSeparate,
    NotAllowed,
    TooManyComments,
)
from domain.event import Event
from domain.values import timestamp

MOST_COMMENTS = 200


def claim(state: Approval, ballot: Ballot, around: Circumstances) -> tuple[Event, ...]:
    """Say that one sees to it, so that others need not. It keeps nobody from deciding.

    Raises:
        ApprovalNotPending: there is nothing to see to.
        ApprovalClaimedByAnother: who it is, and since when.
        NotAnApprover: the open stage does not wait for this person.
        Unknown: something has to be looked up first.
    """
    require_pending(state, around.now)
    if state.opening is not None:
        principal_of(Standing(state, around), ballot, around)
    if state.claim is not None:
        if state.claim.by == ballot.by:
            return ()
        since = timestamp(state.claim.at)
        raise ApprovalClaimedByAnother(
            f"{state.claim.by} sees to it since {since}", {"claimedBy": state.claim.by, "claimedAt": since}
        )
    return (ApprovalClaimed(approval_id=state.approval_id, by=ballot.by, at=around.now),)


def release(state: Approval, by: str, around: Circumstances, *, may_do_all: bool) -> tuple[Event, ...]:
    """See to it no longer. An operator may say so of another.

    Raises:
        ApprovalNotPending: there is nothing to see to.
        NotAllowed: another sees to it.
    """
    require_pending(state, around.now)
    if state.claim is None:
        return ()
    if state.claim.by != by and not may_do_all:
        raise NotAllowed(f"it is {state.claim.by} who sees to it", {"claimedBy": state.claim.by})
    return (ApprovalReleased(approval_id=state.approval_id, by=by, at=around.now),)


def reassign(
    state: Approval,
    ballot: Ballot,
    around: Circumstances,
    *,
    to: Approver,
    reason: str,
    may_do_all: bool,
) -> tuple[Event, ...]:
    """Hand one's own part of the open stage on; an operator adds somebody to all of it.

    Nobody's agreement is needed less for it: the number of seats stays. Where anybody may decide, whoever is
    named is told, and anybody may still.

    Raises:
        ApprovalNotPending: nobody is asked any more.
        NotAnApprover: the open stage does not wait for this person.
        DutiesNotSeparate: it would go to who may not approve it.
        ApprovalUndecidable: afterwards too few people could agree.
        Unknown: something has to be looked up first.
    """
    require_pending(state, around.now)
    addressed = {"approver_id": to.user, "recipient_id": to.user} if to.user is not None else {}
    if state.opening is None:
        if state.approver_id == to.user:
            return ()
        _refuse_barred(to, state.barred)
        return (
            notice_of(ApprovalReassigned, state, around.now, by=ballot.by, to=to, reason=reason, **addressed),
        )
    around.people.know([to.group] if to.group is not None else [])
    standing = Standing(state, around)
    _refuse_barred(to, standing.barred)
    instead_of, seats = None, frozenset(range(len(state.opening.seats)))
    if not may_do_all or standing.seats_of(ballot.by, ballot.roles):
        instead_of = principal_of(standing, ballot, around) or ballot.by
        seats = standing.seats_of(instead_of, ballot.roles if instead_of == ballot.by else frozenset())
    reassigned = notice_of(
        ApprovalReassigned,
        state,
        around.now,
        by=ballot.by,
        to=to,
        reason=reason,
        instead_of=instead_of,
        seats=tuple(sorted(seats)),
        **addressed,
    )
    after = evolve(state, reassigned)
    if instead_of is not None and (why := undecidable(after, around)) is not None:
        raise ApprovalUndecidable(why, {"reason": why})
    waits_for = Standing(after, around).waits_for_with(state.votes)
    return (msgspec.structs.replace(reassigned, waits_for=waits_for),)


def comment(state: Approval, *, by: str, text: str, around: Circumstances) -> tuple[Event, ...]:
    """Say something, whatever has become of the approval.

    Raises:
        TooManyComments: enough has been said.
    """
    if state.comments >= MOST_COMMENTS:
        raise TooManyComments(f"there are {MOST_COMMENTS} comments, and there may be no more")
    return (ApprovalCommented(approval_id=state.approval_id, by=by, at=around.now, text=text),)


def withdraw(
    state: Approval, *, by: str, reason: str, around: Circumstances, may_do_all: bool
) -> tuple[Event, ...]:
    """Ask no longer. What has been decided stays decided.

    Raises:
        ApprovalNotPending: it has been decided, or was due already.
        NotAllowed: it is for somebody else to say.
    """
    if state.status == "withdrawn":
        return ()
    require_pending(state, around.now)
    require_asker(state, by, may_do_all=may_do_all)
    return (
        ApprovalWithdrawn(
            approval_id=state.approval_id,
            opportunity_id=state.opportunity_id,
            reason=reason,
            withdrawn_at=around.now,
            step=state.step,
        ),
    )


def _refuse_barred(to: Approver, barred: frozenset[str]) -> None:
    if to.user in barred:
        raise DutiesNotSeparate(
            f"{to.user} asked for this approval, owns the deal, or decides for who does", {"person": to.user}
        )
