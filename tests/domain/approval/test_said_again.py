"""The same click twice is one decision, whatever has become of the approval since; another is told so."""

from collections.abc import Callable

import pytest

from domain.errors import (
    ApprovalNotPending,
    DecidedOtherwise,
    FactsChanged,
    NotAnApprover,
    StageNotOpen,
)
from tests.builders import after
from tests.domain.approval.asked import (
    Decide,
    agreed,
    approve,
    approved,
    asked,
    group,
    objected,
    of,
    policy,
    reject,
    stage,
    user,
)
from tests.domain.approval.handled import expire, revise, withdraw

FIRST_AND_LAST = policy(
    stage(group("finance"), name="first", rejections=2), stage(group("finance"), name="last", rejections=2)
)


@pytest.mark.parametrize("decide", [approve, reject])
def test_the_same_click_twice_in_a_stage_counts_once(decide: Callable[..., Decide]) -> None:
    once = asked(of(group("finance", 2), rejections=2)).when(decide("ada")).and_so()
    assert len(once.state.votes) == 1
    once.when(decide("ada", comment="again")).then_nothing()


def test_the_same_click_twice_counts_once_although_the_stage_has_passed() -> None:
    second = asked(FIRST_AND_LAST).when(approve("ada")).and_so()
    assert second.state.opening is not None
    assert second.state.opening.name == "last"
    second.when(approve("ada")).then_nothing()
    second.when(approve("ada", stage="first")).then_nothing()
    second.when(approve("ada", stage="last")).then(agreed("ada", 0, stage=1), approved("ada"))


def test_an_objection_twice_counts_once_although_the_stage_has_passed() -> None:
    second = asked(FIRST_AND_LAST).when(reject("ada")).and_so().when(approve("bob")).and_so()
    second.when(reject("ada")).then_nothing()
    second.when(reject("ada", stage="first")).then_nothing()
    waits_for = ("group:finance",)
    second.when(reject("ada", stage="last")).then(objected("ada", 0, stage=1, waits_for=waits_for))
    second.when(approve("ada")).then(agreed("ada", 0, stage=1), approved("ada"))


def test_the_same_click_twice_counts_once_where_the_person_is_not_asked_in_the_next_stage() -> None:
    second = asked(policy(stage(group("finance")), stage(group("legal"), name="last")))
    second.when(approve("ada")).and_so().when(approve("ada")).then_nothing()


def test_the_same_click_twice_counts_once_after_the_end_too() -> None:
    two = asked(of(group("finance", 2), rejections=2)).when(approve("ada")).and_so()
    ends = {
        "approved": two.when(approve("bob")),
        "rejected": two.when(reject("bob")).and_so().when(reject("cleo")),
        "withdrawn": two.when(withdraw("rita")),
    }
    for status, end in ends.items():
        ended = end.and_so()
        assert ended.state.status == status
        ended.when(approve("ada", at=after(days=9))).then_nothing()
        ended.when(reject("ada", at=after(days=9))).then_refused(ApprovalNotPending)
    until = asked(policy(stage(group("finance", 2)), due_after_seconds=600.0)).when(approve("ada")).and_so()
    until.when(approve("ada", at=after(minutes=11))).then_nothing()
    expired = until.when(expire(after(minutes=11))).and_so()
    expired.when(approve("ada", at=after(minutes=12))).then_nothing()
    expired.when(approve("bob", at=after(minutes=12))).then_refused(ApprovalNotPending)


def test_who_agreed_in_an_earlier_stage_and_rejected_it_in_the_last_does_not_approve_it_afterwards() -> None:
    single = policy(stage(group("finance"), name="first"), stage(group("finance"), name="last"))
    ended = asked(single).when(approve("ada")).and_so().when(reject("ada")).and_so()
    assert ended.state.status == "rejected"
    ended.when(approve("ada")).then_refused(ApprovalNotPending)
    ended.when(reject("ada")).then_nothing()


def test_who_said_the_opposite_is_refused_and_told_when() -> None:
    both = asked(of(group("finance", 2), rejections=2))
    refusal = both.when(approve("ada")).and_so().when(reject("ada")).then_refused(DecidedOtherwise)
    assert refusal.message == "ada already agreed to this approval at 2026-11-22T22:15:05.123Z"
    assert refusal.details == {"decidedBy": "ada", "decidedAt": "2026-11-22T22:15:05.123Z"}
    refusal = both.when(reject("ada")).and_so().when(approve("ada")).then_refused(DecidedOtherwise)
    assert (refusal.code, refusal.message) == (
        "HITL_DECIDED_OTHERWISE",
        "ada already objected to this approval at 2026-11-22T22:15:05.123Z",
    )


def test_who_means_another_stage_is_not_told_what_they_said_in_this_one() -> None:
    second = asked(FIRST_AND_LAST).when(approve("bob")).and_so().when(reject("ada", stage="last")).and_so()
    second.when(approve("ada", stage="first")).then_refused(StageNotOpen)
    second.when(approve("ada")).then_refused(DecidedOtherwise)


def test_in_a_later_stage_one_may_say_the_opposite() -> None:
    second = asked(FIRST_AND_LAST).when(approve("ada")).and_so()
    waits_for = ("group:finance",)
    second.when(reject("ada")).then(objected("ada", 0, stage=1, waits_for=waits_for))


def test_what_was_said_before_the_facts_changed_is_not_said_of_the_new_ones() -> None:
    two = asked(of(group("finance", 2))).when(approve("ada")).and_so()
    seen = two.state.digest
    anew = two.when(revise("rita", amount=300_000)).and_so()
    anew.when(approve("ada", digest=seen)).then_refused(FactsChanged)
    again = anew.when(approve("ada")).and_so().state
    assert [vote.digest for vote in again.votes] == [anew.state.digest]


def test_the_same_click_for_another_counts_once() -> None:
    away = [("ada", "zoe")]
    once = asked(of(group("finance", 2))).when(approve("zoe", away=away)).and_so()
    assert once.state.votes[0].on_behalf_of == "ada"
    once.when(approve("zoe", away=away)).then_nothing()
    once.when(approve("zoe", for_="ada", away=away)).then_nothing()
    once.when(reject("zoe", away=away)).then_refused(DecidedOtherwise)


def test_who_has_been_heard_is_told_so_when_they_name_somebody_else() -> None:
    away = [("ada", "bob"), ("cleo", "bob")]
    once = asked(of(group("finance"), user("edna"))).when(approve("bob", away=away)).and_so()
    for decide in (approve, reject):
        refusal = once.when(decide("bob", for_="ada", away=away)).then_refused(NotAnApprover)
        assert refusal.message == "bob already agreed at 2026-11-22T22:15:05.123Z, and bob counts only once"
