"""Who may do what to an approval, and until when."""

from datetime import datetime

from domain.approval.events import ApprovalAgreed, Vote
from domain.approval.people import Ballot
from domain.approval.standing import Circumstances, Standing
from domain.approval.state import Approval
from domain.errors import ApprovalNotPending, DutiesNotSeparate, NotAllowed, NotAnApprover
from domain.values import timestamp


def require_pending(state: Approval, now: datetime) -> None:
    """Check that the approval is not decided, withdrawn or overdue: nothing can be done to it then.

    Raises:
        ApprovalNotPending: with who decided or withdrew it, and when, or when it expired.
    """
    if state.status == "pending" and (state.expires_at is None or now < state.expires_at):
        return
    if state.status in ("pending", "expired"):
        assert state.expires_at is not None
        expired_at = timestamp(state.expires_at)
        raise ApprovalNotPending(
            f"this approval expired at {expired_at}", {"status": "expired", "expiresAt": expired_at}
        )
    assert state.ended_at is not None
    done, at = "withdrawn" if state.status == "withdrawn" else "decided", timestamp(state.ended_at)
    details = {"status": state.status, f"{done}At": at}
    if state.ended_by is None:
        raise ApprovalNotPending(f"this approval was {state.status} at {at}", details)
    raise ApprovalNotPending(
        f"this approval was {state.status} by {state.ended_by} at {at}",
        {**details, f"{done}By": state.ended_by},
    )


def require_asker(state: Approval, person: str, *, may_do_all: bool) -> None:
    """Check that this is whoever asked for the approval, owns the deal, or is an operator.

    Raises:
        NotAllowed: it is none of them.
    """
    if not may_do_all and person not in (state.requested_by, state.owner_id):
        raise NotAllowed(
            "only the person who asked for the approval, the owner of the deal or an operator may do this"
        )


def require_separate_duties(
    state: Approval, by: str, on_behalf_of: str | None, around: Circumstances
) -> None:
    """Check that neither whoever asked for the approval nor the owner of the deal approves it, nor anybody
    who decides for them.

    Raises:
        DutiesNotSeparate: it is one of them; with whom, and why.
    """
    barred = state.barred
    if not barred:
        return
    for person in (by, on_behalf_of):
        if person in barred:
            why = "asked for this approval" if person == state.requested_by else "owns the deal"
            raise DutiesNotSeparate(
                f"{person} {why}, and so cannot approve it", {"person": person, "reason": why}
            )
    for principal in sorted(barred):
        for person in (by, on_behalf_of):
            if person in around.people.delegates_of([principal], around.now):
                why = f"decides for {principal}, who " + (
                    "asked for this approval" if principal == state.requested_by else "owns the deal"
                )
                raise DutiesNotSeparate(
                    f"{person} {why}, and so cannot approve it", {"person": person, "reason": why}
                )


def require_principal(state: Approval, by: str, principal: str, around: Circumstances) -> None:
    """Check that somebody may decide for another: by that person's delegation, or by one that somebody else
    has made for them. A delegation for another by whoever asked for the approval, or owns the deal, does not
    count: they would choose who approves it.

    Raises:
        NotAnApprover: they do not decide for that person now.
        DutiesNotSeparate: they do so only by such a delegation; who has made it.
    """
    everybody = around.people.principals_of(by, around.now)
    if principal not in everybody:
        raise NotAnApprover(f"{by} has no active delegation to decide for {principal}")
    if principal in around.people.principals_of(by, around.now, unless_by=state.barred):
        return
    needed = (
        maker
        for maker in sorted(state.barred)
        if principal not in around.people.principals_of(by, around.now, unless_by=(maker,))
    )
    maker = next(needed, min(state.barred))
    who = "asked for this approval" if maker == state.requested_by else "owns the deal"
    why = f"decides for {principal} by a delegation made by {maker}, who {who}"
    raise DutiesNotSeparate(f"{by} {why}: it does not count for this approval", {"person": by, "reason": why})


def principal_of(state: Approval, standing: Standing, ballot: Ballot, around: Circumstances) -> str | None:
    """Return for whom somebody votes: themselves if they can, or else the person who has delegated to them.

    Raises:
        NotAnApprover: for nobody; or not for the person that they name; or they have voted already, or the
            person for whom they decide has.
        DutiesNotSeparate: only for somebody for whom they decide by a delegation that does not count.
    """
    principals = around.people.principals_of(ballot.by, around.now)
    if ballot.on_behalf_of is not None:
        require_principal(state, ballot.by, ballot.on_behalf_of, around)
        candidates: list[str | None] = [ballot.on_behalf_of]
    else:
        candidates = [None, *sorted(principals)]
    if (vote := standing.vote_of(ballot.by)) is not None:
        raise _counted(ballot.by, vote)
    counting = around.people.principals_of(ballot.by, around.now, unless_by=state.barred)
    not_counting: str | None = None
    counted: NotAnApprover | None = None
    for principal in candidates:
        person = principal or ballot.by
        if not standing.seats_of(person, ballot.roles if principal is None else frozenset()):
            continue
        if (vote := standing.vote_of(person)) is None:
            if principal is None or principal in counting:
                return principal
            not_counting = not_counting or principal
            continue
        counted = counted or _counted(person, vote)
    if not_counting is not None:
        require_principal(state, ballot.by, not_counting, around)
    raise counted or NotAnApprover(f"the open stage is not waiting for {ballot.on_behalf_of or ballot.by}")


def _counted(person: str, vote: Vote) -> NotAnApprover:
    said = "agreed" if isinstance(vote, ApprovalAgreed) else "objected"
    whom = f" for {vote.on_behalf_of}" if vote.on_behalf_of is not None else ""
    at = timestamp(vote.at)
    return NotAnApprover(
        f"{vote.by} already {said}{whom} at {at}, and {person} counts only once",
        {"person": person, "decidedBy": vote.by, "decidedAt": at},
    )
