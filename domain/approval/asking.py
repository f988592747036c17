"""Asking people for a decision, and asking again when the facts have changed."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from domain.approval.events import ApprovalRequested, ApprovalRevised, Number, Opening
from domain.approval.notices import news_of
from domain.approval.policy import BARE, Policy
from domain.approval.rights import require_asker, require_pending
from domain.approval.seen import MOST_PAYLOAD_BYTES, Payload
from domain.approval.standing import Circumstances, opening, undecidable
from domain.approval.state import Approval, barred_by, evolve
from domain.errors import ApprovalUndecidable, BadInput, NotAllowed
from domain.event import Event
from domain.faults import Fault
from domain.values import canonical


def request(
    state: Approval | None,
    requested: ApprovalRequested,
    policy: Policy,
    around: Circumstances,
    *,
    refuse_undecidable: bool = True,
) -> tuple[Event, ...]:
    """Ask for a decision. Asking again for the same approval changes nothing.

    A request that nobody can decide is refused. Without ``refuse_undecidable`` it is opened and marked
    undecidable at once, for those whom a refusal does not reach. If it is not known who is in a group, that
    shows later.

    Raises:
        ApprovalUndecidable: there are not enough people who could approve.
        BadInput: it would be due already, or its payload is too large.
        Unknown: something has to be looked up first.
    """
    if state is not None:
        return ()
    if found := faults_of(requested.payload, requested.due_at, around.now):
        raise BadInput.together(found)
    barred = barred_by(policy, requested.requested_by, requested.owner_id)
    due_at = requested.due_at or _due_after(policy, around)
    opened = msgspec.structs.replace(
        requested,
        policy=None if policy == BARE else policy,
        due_at=due_at,
        expires_at=_expires_after(due_at, policy, around),
        opening=_first_opening(policy, barred, around, round=0),
        unchecked=bool(policy.stages) and not around.people.reached,
    )
    after = evolve(None, opened)
    if refuse_undecidable:
        _require_decidable(after, around)
    return (opened, *news_of(after, around))


def faults_of(payload: Payload | None, due_at: datetime | None, now: datetime) -> list[BadInput]:
    """Return what is wrong with a request, whatever policy applies."""
    found = _payload_faults(payload)
    if due_at is not None and due_at <= now:
        found.append(BadInput("dueAt has already passed", [Fault("dueAt", "must be later than now")]))
    return found


def revise(
    state: Approval,
    *,
    by: str,
    may_do_all: bool,
    amount: Number | None,
    risk_score: Number | None,
    subject: str | None,
    payload: Payload | None,
    reason: str | None,
    policy_for: Callable[[Number, Number], Policy],
    around: Circumstances,
) -> tuple[Event, ...]:
    """Store changed facts. Those that are not given stay. If the change matters, everybody is asked again, by
    the rules that apply to the new facts. The due date stays, but a change never makes it pass at once.

    Raises:
        NotAllowed: this person may not change the facts.
        ApprovalNotPending, ApprovalUndecidable, BadInput, Unknown: as with a request.
    """
    require_pending(state, around.now)
    require_asker(state, by, may_do_all=may_do_all)
    if found := _payload_faults(payload):
        raise BadInput.together(found)
    revised = ApprovalRevised(
        approval_id=state.approval_id,
        at=around.now,
        amount=state.amount if amount is None else amount,
        risk_score=state.risk_score if risk_score is None else risk_score,
        subject=state.subject if subject is None else subject,
        payload=state.payload if payload is None else payload,
        reason=reason,
    )
    if _facts(revised) == _facts(state):
        return ()
    if evolve(state, revised).digest == state.digest:
        return (revised,)
    if state.step is not None and not may_do_all:
        raise NotAllowed("a workflow step asked for this approval: only an operator may change its figures")
    policy = state.policy if state.own_policy else policy_for(revised.amount, revised.risk_score)
    barred = barred_by(policy, state.requested_by, state.owner_id)
    due_at = state.due_at or _due_after(policy, around)
    expires_at = _expires_after(due_at, policy, around)
    if expires_at is not None and expires_at <= around.now:
        expires_at = state.expires_at
    revised = msgspec.structs.replace(
        revised,
        voids=True,
        policy=None if policy == state.policy else policy,
        due_at=due_at,
        expires_at=expires_at,
        opening=_first_opening(policy, barred, around, round=state.rounds + 1),
    )
    _require_decidable(evolve(state, revised), around)
    return (revised,)


def _facts(told: Approval | ApprovalRevised) -> bytes:
    """Return the facts in the form that is digested: ``1`` and ``true`` are equal only in Python."""
    return canonical([told.amount, told.risk_score, told.subject, told.payload])


def _require_decidable(state: Approval, around: Circumstances) -> None:
    reason = undecidable(state, around)
    if reason is not None:
        raise ApprovalUndecidable(reason, {"reason": reason})


def _first_opening(
    policy: Policy, barred: frozenset[str], around: Circumstances, *, round: int
) -> Opening | None:
    return opening(policy, 0, round=round, barred=barred, around=around) if policy.stages else None


def _due_after(policy: Policy, around: Circumstances) -> datetime | None:
    if policy.due_after_seconds is None:
        return None
    return around.calendar.after(around.now, policy.due_after_seconds)


def _expires_after(due_at: datetime | None, policy: Policy, around: Circumstances) -> datetime | None:
    if due_at is None or not policy.grace_seconds:
        return due_at
    return around.calendar.after(due_at, policy.grace_seconds)


def _payload_faults(payload: Payload | None) -> list[BadInput]:
    if payload is None or len(canonical(payload)) <= MOST_PAYLOAD_BYTES:
        return []
    message = f"must be at most {MOST_PAYLOAD_BYTES} bytes as JSON"
    return [BadInput("the payload is too large", [Fault("payload", message)])]
