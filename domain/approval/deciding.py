"""Approving and rejecting: what one person's vote does to an approval.

If the same person votes the same again, nothing changes, whatever has become of the approval since.
"""

from typing import TypeVar

import msgspec

from domain.approval.events import (
    ApprovalAgreed,
    ApprovalApproved,
    ApprovalObjected,
    ApprovalRejected,
    ApprovalStageOpened,
    Decision,
    Vote,
)
from domain.approval.notices import news_of
from domain.approval.people import Ballot
from domain.approval.rights import (
    principal_of,
    require_pending,
    require_principal,
    require_separate_duties,
)
from domain.approval.standing import Circumstances, Standing, opening
from domain.approval.state import Approval, evolve
from domain.errors import (
    ApprovalUndecidable,
    BadInput,
    DecidedOtherwise,
    FactsChanged,
    StageNotOpen,
)
from domain.event import Event
from domain.faults import Fault
from domain.values import timestamp


def approve(state: Approval, ballot: Ballot, around: Circumstances) -> tuple[Event, ...]:
    """Vote for it. With enough votes the next stage opens, or the deal may go on.

    Raises:
        ApprovalNotPending: it is decided, by whom and when, or it was due already.
        NotAnApprover: nobody waits for this person, or not for the one for whom they say they decide.
        DutiesNotSeparate: they asked for it, own the deal, decide for somebody who does, or may decide only
            by a delegation that one of these two has made for another.
        DecidedOtherwise: they rejected it before.
        FactsChanged: they have seen other facts.
        StageNotOpen: they mean another stage.
        ApprovalUndecidable: too few others could approve after this vote.
        Unknown: something has to be looked up first.
    """
    if _said_before(state, ballot, approves=True):
        return ()
    _require_current(state, ballot, around)
    if state.opening is None:
        require_separate_duties(state, ballot.by, _named_principal(state, ballot, around), around)
        return (_decision(ApprovalApproved, state, ballot, ballot.on_behalf_of, around),)
    standing = Standing(state, around)
    require_separate_duties(state, ballot.by, ballot.on_behalf_of, around)
    principal = principal_of(state, standing, ballot, around)
    vote = _vote(ApprovalAgreed, state, ballot, principal, standing, around)
    votes = (*state.votes, vote)
    missing = standing.missing_with(votes)
    if missing and not standing.can_be_met_with(votes) and standing.can_be_met_with(state.votes):
        raise _uses_up_two(ballot.by, principal)
    waits_for = standing.waits_for_with(votes) if missing else ()
    agreed = msgspec.structs.replace(vote, missing=missing, waits_for=waits_for)
    if missing:
        return (agreed,)
    following = state.opening.stage + 1
    if following < len(state.policy.stages):
        next_stage = opening(state.policy, following, round=state.rounds, barred=state.barred, around=around)
        opened = ApprovalStageOpened(approval_id=state.approval_id, at=around.now, opening=next_stage)
        return (agreed, opened, *news_of(evolve(evolve(state, agreed), opened), around))
    return (agreed, _decision(ApprovalApproved, state, ballot, principal, around))


def reject(state: Approval, ballot: Ballot, around: Circumstances) -> tuple[Event, ...]:
    """Vote against it. As many rejections as the stage says end it, and so does one after which too few
    others could approve.

    Raises:
        BadInput: the policy requires a reason, and there is none.
        ApprovalUndecidable: too few others could approve, and only because the vote is for another person.
        DutiesNotSeparate: they may decide only by a delegation that whoever asked for it, or owns the deal,
            has made for another.
        ApprovalNotPending, NotAnApprover, DecidedOtherwise, FactsChanged, StageNotOpen, Unknown: as with
            :func:`approve`.
    """
    if _said_before(state, ballot, approves=False):
        return ()
    _require_current(state, ballot, around)
    if state.policy.reason_on_rejection and not (ballot.comment or "").strip():
        missing = Fault("comment", "must give the reason for the rejection")
        raise BadInput("a rejection needs a reason", [missing])
    if state.opening is None:
        _named_principal(state, ballot, around)
        return (_decision(ApprovalRejected, state, ballot, ballot.on_behalf_of, around),)
    standing = Standing(state, around)
    principal = principal_of(state, standing, ballot, around)
    vote = _vote(ApprovalObjected, state, ballot, principal, standing, around)
    votes = (*state.votes, vote)
    objected = msgspec.structs.replace(vote, waits_for=standing.waits_for_with(votes))
    rejections = sum(isinstance(vote, ApprovalObjected) for vote in votes)
    stage = state.policy.stages[state.opening.stage]
    if rejections < stage.rejections:
        if standing.can_be_met_with(votes):
            return (objected,)
        alone = msgspec.structs.replace(vote, by=principal or ballot.by, on_behalf_of=None)
        if standing.can_be_met_with((*state.votes, alone)):
            raise _uses_up_two(ballot.by, principal)
    return (objected, _decision(ApprovalRejected, state, ballot, principal, around))


def _said_before(state: Approval, ballot: Ballot, *, approves: bool) -> bool:
    """Return whether they have voted the same before, in the same stage and for the same person, if they name
    them.

    A person may be asked in several stages. Whoever voted in an earlier stage has to name the stage that they
    mean now, so that a repeated click does not count as two votes.

    Raises:
        DecidedOtherwise: they have voted the opposite in the open stage.
    """
    if state.opening is None:
        return state.ended_by == ballot.by and state.status == ("approved" if approves else "rejected")
    mine = next((vote for vote in state.votes if _is_meant(state, vote, ballot)), None)
    if mine is None:
        earlier = (vote for vote in state.earlier if _is_meant(state, vote, ballot))
        return any(isinstance(vote, ApprovalAgreed) == approves for vote in earlier)
    if isinstance(mine, ApprovalAgreed) == approves:
        return True
    if state.status != "pending":
        return False
    said = "agreed to" if isinstance(mine, ApprovalAgreed) else "objected to"
    raise DecidedOtherwise(
        f"{ballot.by} already {said} this approval at {timestamp(mine.at)}",
        {"decidedBy": ballot.by, "decidedAt": timestamp(mine.at)},
    )


def _is_meant(state: Approval, vote: Vote, ballot: Ballot) -> bool:
    stage = state.policy.stages[vote.stage].name
    return (
        vote.by == ballot.by
        and ballot.stage in (None, stage)
        and ballot.on_behalf_of in (None, vote.on_behalf_of)
    )


def _require_current(state: Approval, ballot: Ballot, around: Circumstances) -> None:
    """Check that what is decided on exists, and is what was seen."""
    require_pending(state, around.now)
    if ballot.digest is not None and ballot.digest != state.digest:
        raise FactsChanged(
            "the approval has changed: payloadDigest is not the current one", {"payloadDigest": state.digest}
        )
    open_stage = state.opening.name if state.opening else None
    if ballot.stage is not None and ballot.stage != open_stage:
        details = None if open_stage is None else {"stage": open_stage}
        raise StageNotOpen(f"stage {ballot.stage} is not open", details)


def _named_principal(state: Approval, ballot: Ballot, around: Circumstances) -> str | None:
    """Return for whom they say they decide, if anybody may decide."""
    if ballot.on_behalf_of is not None:
        require_principal(state, ballot.by, ballot.on_behalf_of, around)
    return ballot.on_behalf_of


def _uses_up_two(by: str, principal: str | None) -> ApprovalUndecidable:
    """Nobody counts twice, so a vote for another person uses up the votes of both."""
    return ApprovalUndecidable(f"if {by} decides for {principal}, too few others could agree")


V = TypeVar("V", bound=Vote)


def _vote(
    kind: type[V],
    state: Approval,
    ballot: Ballot,
    principal: str | None,
    standing: Standing,
    around: Circumstances,
) -> V:
    assert state.opening is not None
    person = principal or ballot.by
    roles = ballot.roles if principal is None else frozenset()
    return kind(
        approval_id=state.approval_id,
        stage=state.opening.stage,
        by=ballot.by,
        at=around.now,
        digest=state.digest,
        seats=tuple(sorted(standing.seats_of(person, roles))),
        own=tuple(sorted(standing.own_seats_of(person, roles))),
        on_behalf_of=principal,
        comment=ballot.comment,
    )


def _decision(
    kind: type[Decision],
    state: Approval,
    ballot: Ballot,
    principal: str | None,
    around: Circumstances,
) -> Decision:
    return kind(
        approval_id=state.approval_id,
        opportunity_id=state.opportunity_id,
        decided_by=ballot.by,
        decided_at=around.now,
        comment=ballot.comment,
        step=state.step,
        on_behalf_of=principal,
        digest=state.digest,
    )
