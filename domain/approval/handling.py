"""What people do with an approval besides deciding it."""

from typing import Any

import msgspec

from domain.approval.events import (
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalReassigned,
    ApprovalReleased,
    ApprovalWithdrawn,
)
from domain.approval.notices import news_of, notice_of
from domain.approval.people import Ballot
from domain.approval.policy import Approver
from domain.approval.rights import (
    principal_of,
    require_asker,
    require_pending,
    require_separate_duties,
)
from domain.approval.standing import Circumstances, Standing, barred_now, undecidable
from domain.approval.state import Approval, Substitute, evolve
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
    """Note that somebody takes care of it, so that others need not. Everybody may still decide.

    Raises:
        ApprovalNotPending: there is nothing to take care of.
        ApprovalClaimedByAnother: who it is, and since when.
        NotAnApprover: the open stage does not wait for this person.
        DutiesNotSeparate: they may not approve what anybody else may, or only by a delegation that does not
            count.
        Unknown: something has to be looked up first.
    """
    require_pending(state, around.now)
    if state.opening is not None:
        principal_of(state, Standing(state, around), ballot, around)
    else:
        require_separate_duties(state, ballot.by, None, around)
    if state.claim is not None:
        if state.claim.by == ballot.by:
            return ()
        since = timestamp(state.claim.at)
        raise ApprovalClaimedByAnother(
            f"{state.claim.by} claimed this approval at {since}",
            {"claimedBy": state.claim.by, "claimedAt": since},
        )
    return (ApprovalClaimed(approval_id=state.approval_id, by=ballot.by, at=around.now),)


def release(state: Approval, by: str, around: Circumstances, *, may_do_all: bool) -> tuple[Event, ...]:
    """Note that somebody no longer takes care of it. An operator may do so for another.

    Raises:
        ApprovalNotPending: there is nothing to take care of.
        NotAllowed: another takes care of it.
    """
    require_pending(state, around.now)
    if state.claim is None:
        return ()
    if state.claim.by != by and not may_do_all:
        raise NotAllowed(f"this approval is claimed by {state.claim.by}", {"claimedBy": state.claim.by})
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
    """Hand over one's own part of the open stage. An operator adds somebody to all of it.

    The number of seats stays, so as many approvals are needed as before. If anybody may decide, the named
    person is notified, and anybody still may. Handing it to somebody who has it already changes nothing.

    Raises:
        ApprovalNotPending: nobody is asked any more.
        NotAnApprover: the open stage does not wait for this person.
        DutiesNotSeparate: it would go to somebody who may not approve it, or come from one.
        ApprovalUndecidable: too few people could approve afterwards.
        Unknown: something has to be looked up first.
    """
    require_pending(state, around.now)
    told: dict[str, Any] = {"by": ballot.by, "to": to, "reason": reason}
    told |= {"approver_id": to.user, "recipient_id": to.user}
    if state.opening is None:
        _refuse_barred(to, barred_now(state, around))
        nobody = _nobody_in(to, barred_now(state, around), around)
        if nobody is not None:
            raise ApprovalUndecidable(nobody, {"reason": nobody})
        addressed = f"user:{state.approver_id}" if state.approver_id is not None else None
        if to.key == next(iter(state.waits_for), addressed):
            return ()
        return (notice_of(ApprovalReassigned, state, around.now, waits_for=(to.key,), **told),)
    around.people.know([to.group] if to.group is not None else [])
    standing = Standing(state, around)
    _refuse_barred(to, standing.barred)
    part = _part_for(to, state, standing, ballot, around, may_do_all=may_do_all)
    if _has_already(standing, state, part, ballot, around):
        return ()
    handed_on = {"instead_of": part.instead_of, "seats": part.seats, "own": part.own}
    reassigned = notice_of(ApprovalReassigned, state, around.now, **handed_on, **told)
    after = evolve(state, reassigned)
    why = undecidable(after, around)
    if why is not None and part.instead_of is not None and undecidable(state, around) is None:
        why = _nobody_in(to, standing.barred, around) or why
        raise ApprovalUndecidable(why, {"reason": why})
    waits_for = Standing(after, around).waits_for_with(state.votes)
    return (msgspec.structs.replace(reassigned, waits_for=waits_for), *news_of(after, around))


def comment(state: Approval, *, by: str, text: str, around: Circumstances) -> tuple[Event, ...]:
    """Comment on it, whatever has become of the approval.

    Raises:
        TooManyComments: there are as many comments as there may be.
    """
    if state.comments >= MOST_COMMENTS:
        raise TooManyComments(f"this approval has {MOST_COMMENTS} comments, the maximum")
    return (ApprovalCommented(approval_id=state.approval_id, by=by, at=around.now, text=text),)


def withdraw(
    state: Approval, *, by: str, reason: str, around: Circumstances, may_do_all: bool
) -> tuple[Event, ...]:
    """Stop asking. A decision that was made stays.

    Raises:
        ApprovalNotPending: it has been decided, or was due already.
        NotAllowed: this person may not withdraw it.
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
            by=by,
        ),
    )


def _part_for(
    to: Approver,
    state: Approval,
    standing: Standing,
    ballot: Ballot,
    around: Circumstances,
    *,
    may_do_all: bool,
) -> Substitute:
    """Return what is handed over: one's own part, or that of the person for whom one decides; all of it for
    an operator who has no part."""
    assert state.opening is not None
    person = ballot.by
    has_part = person not in standing.barred and standing.seats_of(person, ballot.roles)
    if may_do_all and (not has_part or standing.vote_of(person) is not None) and ballot.on_behalf_of is None:
        require_separate_duties(state, person, None, around)
        return Substitute(approver=to, seats=tuple(range(len(state.opening.seats))))
    person = principal_of(state, standing, ballot, around) or person
    require_separate_duties(state, ballot.by, person, around)
    roles = ballot.roles if person == ballot.by else frozenset()
    return Substitute(
        approver=to,
        seats=tuple(sorted(standing.seats_of(person, roles))),
        instead_of=person,
        own=tuple(sorted(standing.own_seats_of(person, roles))),
    )


def _has_already(
    standing: Standing, state: Approval, part: Substitute, ballot: Ballot, around: Circumstances
) -> bool:
    """Return whether the recipient has it in the same way already.

    If an operator hands over their own part again to the same person, that does not add the person to all of
    it.
    """
    to, person = part.approver, part.instead_of
    if person is not None:
        roles = ballot.roles if person == ballot.by else frozenset()
        return to.user == person or standing.ways_of(person, roles) == {to.key}
    if part in state.substitutes:
        return to.user is None or set(part.seats) <= standing.seats_of(to.user, frozenset())
    for each in reversed(state.substitutes):
        if each.instead_of == ballot.by:
            return each.approver == to
        if around.people.is_meant(each.approver, ballot.by, ballot.roles):
            return False
    return False


def _nobody_in(to: Approver, barred: frozenset[str], around: Circumstances) -> str | None:
    """Return what to say of a group without any known member who could decide. A misspelt group is one."""
    if to.group is None or not around.people.reached:
        return None
    around.people.know([to.group])
    if around.people.members_of(to.group) - barred:
        return None
    return f"group {to.group} has nobody who can decide this approval"


def _refuse_barred(to: Approver, barred: frozenset[str]) -> None:
    if to.user in barred:
        raise DutiesNotSeparate(
            f"{to.user} asked for this approval, owns the deal, or decides for someone who does",
            {"person": to.user},
        )
