"""The platform's own approval: one person, one decision, no policy to write."""

import pytest

from domain import approval
from domain.approval import BARE, Ballot
from domain.errors import ApprovalNotPending, BadInput, DutiesNotSeparate, NotAnApprover, StageNotOpen
from domain.event import Event
from tests.builders import after
from tests.domain.approval.asked import (
    DIGEST,
    REQUESTED,
    Decide,
    approve,
    approved,
    around,
    asked,
    given,
    policy,
    reject,
    rejected,
)


def test_asking_for_a_decision_opens_an_approval_without_a_policy_in_its_event() -> None:
    assert approval.request(None, REQUESTED, BARE, around()) == (REQUESTED,)
    state = given(REQUESTED).state
    assert (state.status, state.policy, state.opening, state.waits_for) == ("pending", BARE, None, ())


def test_an_approval_of_before_there_were_policies_is_decided_as_it_was() -> None:
    old = approval.ApprovalRequested(
        approval_id="a-1",
        opportunity_id="opp-1",
        risk_score=0.91,
        amount=250_000,
        requested_at=after(minutes=0),
    )
    given(old).when(approve("ann")).then(approved("ann"))


def test_any_one_person_approves_a_pending_approval() -> None:
    after_it = asked().when(approve("ann", comment="fine")).then(approved("ann", comment="fine")).state
    assert (after_it.status, after_it.ended_by) == ("approved", "ann")
    assert after_it.ended_at == after(minutes=5)


def test_any_one_person_rejects_a_pending_approval_even_who_asked_for_it() -> None:
    after_it = asked().when(reject("ann", comment="no")).then(rejected("ann", comment="no")).state
    assert (after_it.status, after_it.ended_by) == ("rejected", "ann")
    asked().when(reject("rita")).then(rejected("rita"))


def test_the_same_person_may_repeat_the_same_decision_and_nothing_changes() -> None:
    later = after(minutes=60)
    given(REQUESTED, approved("ann")).when(approve("ann", comment="really", at=later)).then_nothing()
    given(REQUESTED, rejected("ann")).when(reject("ann", at=later)).then_nothing()


def test_the_same_person_may_not_take_the_other_decision_afterwards() -> None:
    given(REQUESTED, approved("ann")).when(reject("ann")).then_refused(ApprovalNotPending)
    given(REQUESTED, rejected("ann")).when(approve("ann")).then_refused(ApprovalNotPending)


@pytest.mark.parametrize("again", [approve("bob"), reject("bob")])
@pytest.mark.parametrize(
    ("decision", "status"), [(approved("ann"), "approved"), (rejected("ann"), "rejected")]
)
def test_another_person_is_told_who_decided_what_and_when(
    decision: Event, status: str, again: Decide
) -> None:
    refusal = given(REQUESTED, decision).when(again).then_refused(ApprovalNotPending)
    assert refusal.code == "HITL_APPROVAL_NOT_PENDING"
    assert refusal.details == {"status": status, "decidedBy": "ann", "decidedAt": "2026-11-22T22:15:05.123Z"}
    assert refusal.message == f"this approval was {status} by ann at 2026-11-22T22:15:05.123Z"


def test_nobody_decides_for_another_who_has_not_delegated_to_them() -> None:
    for decide in (approve, reject):
        refusal = asked().when(decide("ben", for_="ann")).then_refused(NotAnApprover)
        assert refusal.message == "ben has no active delegation to decide for ann"
    away = [("ann", "ben")]
    asked().when(approve("ben", for_="ann", away=away)).then(approved("ben", on_behalf_of="ann"))
    asked().when(reject("ben", for_="ann", away=away)).then(rejected("ben", on_behalf_of="ann"))


def test_there_is_no_stage_to_name() -> None:
    refusal = asked().when(approve("ann", stage="first")).then_refused(StageNotOpen)
    assert refusal.details is None, "rather than a member without a value"


def test_the_decision_names_the_digest_of_what_was_decided() -> None:
    assert approved("ann").digest == DIGEST
    asked().when(approve("ann", digest=DIGEST)).then(approved("ann"))


@pytest.mark.parametrize("comment", [None, "", "  \n"])
def test_a_rejection_without_a_reason_is_refused_where_the_policy_wants_one(comment: str | None) -> None:
    strict = asked(policy(reason_on_rejection=True))
    ballot = Ballot(by="ann", comment=comment)
    refusal = strict.when(lambda state: approval.reject(state, ballot, around()))
    assert refusal.then_refused(BadInput).details == [
        {"field": "comment", "message": "must give the reason for the rejection"}
    ]
    strict.when(reject("ann", comment="no")).then(rejected("ann", comment="no"))
    strict.when(approve("ann")).then(approved("ann"))


def test_who_repeats_a_rejection_need_not_repeat_the_reason() -> None:
    strict = asked(policy(reason_on_rejection=True)).when(reject("ann", comment="no")).and_so()
    strict.when(reject("ann")).then_nothing()


def test_who_asked_and_who_owns_the_deal_may_approve_where_separate_duties_are_given_up() -> None:
    lax = asked(policy(separate_duties=False))
    lax.when(approve("rita")).then(approved("rita"))
    lax.when(approve("otto")).then(approved("otto"))
    asked().when(approve("otto")).then_refused(DutiesNotSeparate)
