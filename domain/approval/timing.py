"""What the clock does to an approval. Each command is harmless if it is repeated or late."""

from datetime import datetime

import msgspec

from domain.approval.events import ApprovalEscalated, ApprovalExpired, ApprovalReminded
from domain.approval.notices import news_of, notice_of
from domain.approval.rights import require_pending
from domain.approval.standing import Circumstances, Standing
from domain.approval.state import Approval, evolve
from domain.event import Event


def expire(state: Approval, *, now: datetime) -> tuple[Event, ...]:
    """End it, because nobody has decided in time. So it is not approved."""
    if state.status != "pending" or state.expires_at is None or now < state.expires_at:
        return ()
    return (notice_of(ApprovalExpired, state, now, step=state.step),)


def remind(state: Approval, *, round: int, stage: int, number: int, now: datetime) -> tuple[Event, ...]:
    """Remind those whom the stage waits for."""
    if not _is_open(state, round, stage, now) or number in state.reminders:
        return ()
    return (notice_of(ApprovalReminded, state, now, round=round, stage=stage, number=number),)


def escalate(
    state: Approval, *, round: int, stage: int, number: int, around: Circumstances
) -> tuple[Event, ...]:
    """Let others fill the seats of the stage as well.

    Raises:
        Unknown: something has to be looked up first.
    """
    if not _is_open(state, round, stage, around.now) or number in state.escalations:
        return ()
    assert state.opening is not None
    to = state.opening.escalate[number - 1].to
    around.people.know(each.group for each in to if each.group is not None)
    escalated = notice_of(
        ApprovalEscalated, state, around.now, round=round, stage=stage, number=number, to=to
    )
    waits_for = Standing(evolve(state, escalated), around).waits_for_with(state.votes)
    escalated = msgspec.structs.replace(escalated, waits_for=waits_for)
    return (escalated, *news_of(evolve(state, escalated), around))


def look_again(state: Approval, around: Circumstances) -> tuple[Event, ...]:
    """Report that the last person who could approve has left, or that there are enough again.

    Raises:
        ApprovalNotPending: nobody needs to look at it any more.
        Unknown: something has to be looked up first.
    """
    require_pending(state, around.now)
    return news_of(state, around)


def _is_open(state: Approval, round: int, stage: int, now: datetime) -> bool:
    expired = state.expires_at is not None and now >= state.expires_at
    opening = state.opening
    return (
        state.status == "pending"
        and not expired
        and opening is not None
        and (opening.round, opening.stage) == (round, stage)
    )
