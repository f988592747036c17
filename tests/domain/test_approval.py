"""What may be decided about an approval, by whom, and how often."""

from collections.abc import Callable

import pytest

from domain import approval
from domain.approval import Approval, ApprovalApproved, ApprovalRejected, ApprovalRequested
from domain.errors import ApprovalNotPending
from domain.event import Event
from domain.job import JobRunCompleted
from tests.builders import NOW, TENANT, after
from tests.domain.scenario import Given

REQUESTED = ApprovalRequested(
    approval_id="a-1", opportunity_id="opp-1", risk_score=0.91, amount=250_000, requested_at=NOW
)


def approved(by: str = "ann", comment: str | None = None) -> ApprovalApproved:
    return ApprovalApproved(
        approval_id="a-1", opportunity_id="opp-1", decided_by=by, decided_at=after(minutes=5), comment=comment
    )


def rejected(by: str = "ann", comment: str | None = None) -> ApprovalRejected:
    return ApprovalRejected(
        approval_id="a-1", opportunity_id="opp-1", decided_by=by, decided_at=after(minutes=5), comment=comment
    )


def approve(
    state: Approval, by: str = "ann", comment: str | None = None, minutes: float = 5
) -> tuple[Event, ...]:
    return approval.approve(state, decided_by=by, comment=comment, now=after(minutes=minutes))


def reject(
    state: Approval, by: str = "ann", comment: str | None = None, minutes: float = 5
) -> tuple[Event, ...]:
    return approval.reject(state, decided_by=by, comment=comment, now=after(minutes=minutes))


def given(*events: Event) -> Given[Approval]:
    return Given(approval.evolve, *events)


def test_asking_for_a_decision_opens_an_approval() -> None:
    assert approval.request(None, REQUESTED) == (REQUESTED,)
    assert given(REQUESTED).state.status == "pending"


def test_asking_again_changes_nothing_whatever_has_been_decided() -> None:
    given(REQUESTED).when(lambda state: approval.request(state, REQUESTED)).then_nothing()
    given(REQUESTED, rejected()).when(lambda state: approval.request(state, REQUESTED)).then_nothing()


def test_a_pending_approval_can_be_approved() -> None:
    after_it = (
        given(REQUESTED).when(lambda state: approve(state, comment="fine")).then(approved("ann", "fine"))
    )
    assert (after_it.state.status, after_it.state.decided_by) == ("approved", "ann")
    assert after_it.state.decided_at == after(minutes=5)


def test_a_pending_approval_can_be_rejected() -> None:
    after_it = given(REQUESTED).when(lambda state: reject(state, comment="no")).then(rejected("ann", "no"))
    assert (after_it.state.status, after_it.state.decided_by) == ("rejected", "ann")


def test_the_same_person_may_repeat_the_same_decision_and_nothing_changes() -> None:
    given(REQUESTED, approved("ann", "fine")).when(
        lambda state: approve(state, "ann", comment="really", minutes=60)
    ).then_nothing()
    given(REQUESTED, rejected("ann")).when(lambda state: reject(state, "ann", minutes=60)).then_nothing()


def test_the_same_person_may_not_take_the_other_decision_afterwards() -> None:
    given(REQUESTED, approved("ann")).when(lambda state: reject(state, "ann")).then_refused(
        ApprovalNotPending
    )
    given(REQUESTED, rejected("ann")).when(lambda state: approve(state, "ann")).then_refused(
        ApprovalNotPending
    )


@pytest.mark.parametrize("again", [approve, reject])
@pytest.mark.parametrize(("decision", "status"), [(approved(), "approved"), (rejected(), "rejected")])
def test_another_person_is_told_who_decided_what_and_when(
    decision: Event, status: str, again: Callable[[Approval, str], tuple[Event, ...]]
) -> None:
    refusal = (
        given(REQUESTED, decision).when(lambda state: again(state, "bob")).then_refused(ApprovalNotPending)
    )
    assert refusal.code == "HITL_APPROVAL_NOT_PENDING"
    assert refusal.details == {"status": status, "decidedBy": "ann", "decidedAt": "2026-11-22T22:15:05.123Z"}
    assert refusal.message == f"ann has {status} this approval at 2026-11-22T22:15:05.123Z"


@pytest.mark.parametrize(
    ("events", "event"),
    [
        ((), approved()),
        ((), rejected()),
        ((REQUESTED,), REQUESTED),
        ((REQUESTED,), JobRunCompleted(job="outcome-sync", run_id="r", completed_at=NOW)),
    ],
)
def test_an_event_that_cannot_follow_is_a_broken_log(events: tuple[Event, ...], event: Event) -> None:
    state = given(*events).state if events else None
    with pytest.raises(TypeError, match="cannot follow"):
        approval.evolve(state, event)


def test_an_approvals_stream_is_named_by_its_tenant_and_id() -> None:
    assert approval.approval_stream(TENANT, "a-1") == f"{TENANT}/approval/a-1"
