"""What one person's word does to a stage, and to the approval."""

import pytest

from domain.approval import ApprovalStageOpened, Opening
from domain.errors import (
    ApprovalNotPending,
    ApprovalUndecidable,
    BadInput,
    FactsChanged,
    NotAnApprover,
    StageNotOpen,
)
from tests.builders import after
from tests.domain.approval.asked import (
    DIGEST,
    agreed,
    approve,
    approved,
    asked,
    group,
    objected,
    of,
    policy,
    reject,
    rejected,
    role,
    stage,
    user,
)

FINANCE = ("group:finance",)


def test_one_of_a_group_is_enough_where_one_is_asked() -> None:
    one = asked(of(group("finance")))
    one.when(approve("bob", comment="ok")).then(agreed("bob", 0, comment="ok"), approved("bob", comment="ok"))


def test_two_of_a_group_have_to_agree_and_the_first_is_told_that_one_is_missing() -> None:
    two = asked(of(group("finance", 2)))
    waiting = two.when(approve("ada")).then(agreed("ada", 0, missing=1, waits_for=FINANCE))
    assert (waiting.state.status, waiting.state.waits_for) == ("pending", FINANCE)
    waiting.when(approve("cleo")).then(agreed("cleo", 0), approved("cleo"))


def test_everybody_in_a_group_has_to_agree_where_all_are_asked() -> None:
    story = asked(of(group("finance", None)))
    for missing, person in [(2, "ada"), (1, "bob")]:
        story = story.when(approve(person)).then(agreed(person, 0, missing=missing, waits_for=FINANCE))
    story.when(approve("cleo")).then(agreed("cleo", 0), approved("cleo"))


def test_who_is_barred_is_not_one_of_all() -> None:
    groups = {"finance": ["ada", "rita", "otto"]}
    everybody = asked(of(group("finance", None)), groups=groups)
    assert everybody.state.opening is not None
    assert everybody.state.opening.seats == (1,)
    everybody.when(approve("ada", groups=groups)).then(agreed("ada", 0), approved("ada"))


def test_any_of_several_is_enough_whoever_it_is() -> None:
    anyone = asked(of(user("ada"), group("legal"), role("cfo"), agree=1))
    anyone.when(approve("ada")).then(agreed("ada", 0), approved("ada"))
    anyone.when(approve("cleo")).then(agreed("cleo", 1), approved("cleo"))
    anyone.when(approve("zoe", roles=["cfo", "hr"])).then(agreed("zoe", 2), approved("zoe"))


def test_who_bears_no_role_of_those_asked_is_no_approver() -> None:
    asked(of(role("cfo"))).when(approve("zoe", roles=["hr"])).then_refused(NotAnApprover)


def test_who_is_in_two_groups_fills_a_seat_of_one_and_leaves_open_which() -> None:
    both = asked(of(group("finance"), group("legal")))
    after_cleo = both.when(approve("cleo")).then(
        agreed("cleo", 0, 1, missing=1, waits_for=("group:finance", "group:legal"))
    )
    after_cleo.when(approve("dora")).then(agreed("dora", 1), approved("dora"))
    after_cleo.when(approve("ada")).then(agreed("ada", 0), approved("ada"))


def test_two_of_the_same_group_do_not_fill_the_seat_of_the_other() -> None:
    story = asked(of(group("finance"), group("legal"))).when(approve("ada")).and_so()
    assert story.state.waits_for == ("group:legal",)
    story = story.when(approve("bob")).then(agreed("bob", 0, missing=1, waits_for=("group:legal",)))
    story.when(approve("dora")).then(agreed("dora", 1), approved("dora"))


def test_two_of_three_entries_suffice_whichever_they_are() -> None:
    two = asked(of(user("ada"), group("legal"), role("cfo"), agree=2))
    waits_for = ("user:ada", "group:legal")
    story = two.when(approve("zoe", roles=["cfo"])).then(agreed("zoe", 2, missing=1, waits_for=waits_for))
    story.when(approve("ada")).then(agreed("ada", 0), approved("ada"))


def test_who_is_not_asked_is_no_approver_and_is_told_so() -> None:
    for decide in (approve, reject):
        refusal = asked(of(group("finance"))).when(decide("dora")).then_refused(NotAnApprover)
        assert (refusal.code, refusal.message) == (
            "HITL_NOT_AN_APPROVER",
            "the open stage is not waiting for dora",
        )


def test_the_next_stage_opens_when_the_one_before_it_has_agreed() -> None:
    staged = policy(
        stage(group("finance", 2), name="finance"),
        stage(user("edna"), group("legal"), name="last", agree=1, remind_after_seconds=(60.0,)),
    )
    story = asked(staged).when(approve("ada")).and_so()
    opened = ApprovalStageOpened(
        approval_id="a-1",
        at=after(minutes=5),
        opening=Opening(
            round=0,
            stage=1,
            name="last",
            waits_for=("user:edna", "group:legal"),
            seats=(1, 1),
            remind_at=(after(minutes=6),),
        ),
    )
    second = story.when(approve("bob")).then(agreed("bob", 0), opened)
    assert second.state.status == "pending"
    assert (second.state.votes, len(second.state.earlier)) == ((), 2)
    second.when(approve("bob", stage="last")).then_refused(NotAnApprover)
    second.when(approve("edna")).then(agreed("edna", 0, stage=1), approved("edna"))


def test_one_rejection_ends_it_in_whichever_stage() -> None:
    first = asked(policy(stage(group("finance"), name="a"), stage(group("legal"), name="b")))
    first.when(reject("ada", comment="no")).then(
        objected("ada", 0, comment="no", waits_for=FINANCE), rejected("ada", comment="no")
    )
    second = first.when(approve("ada")).and_so()
    ended = second.when(reject("dora")).and_so()
    assert (ended.state.status, ended.state.ended_by) == ("rejected", "dora")


def test_so_many_rejections_end_it_as_the_stage_says() -> None:
    story = asked(of(group("finance"), rejections=2))
    once = story.when(reject("ada")).then(objected("ada", 0, waits_for=FINANCE))
    assert once.state.status == "pending"
    twice = once.when(reject("bob")).then(objected("bob", 0, waits_for=FINANCE), rejected("bob"))
    assert twice.state.status == "rejected"
    once.when(approve("bob")).then(agreed("bob", 0), approved("bob"))


def test_a_rejection_after_which_too_few_could_agree_ends_it() -> None:
    two = asked(of(group("finance", 2), rejections=3))
    once = two.when(reject("ada")).then(objected("ada", 0, waits_for=FINANCE))
    once.when(reject("bob")).then(objected("bob", 0, waits_for=FINANCE), rejected("bob"))
    asked(of(user("ada"), user("bob"), rejections=2)).when(reject("ada")).then(
        objected("ada", 0, waits_for=("user:bob",)), rejected("ada")
    )


def test_a_stage_does_not_wait_for_who_has_been_against_it() -> None:
    story = asked(of(user("ada"), user("bob"), agree=1, rejections=2)).when(reject("ada")).and_so()
    assert story.state.waits_for == ("user:bob",)


def test_rejections_of_one_stage_do_not_count_in_the_next() -> None:
    stages = [stage(group("finance"), name=name, rejections=2) for name in ("a", "b")]
    story = asked(policy(*stages)).when(reject("ada")).and_so().when(approve("bob")).and_so()
    story.when(reject("cleo")).then(objected("cleo", 0, stage=1, waits_for=FINANCE))


def test_a_decision_on_other_facts_is_refused_and_told_the_present_ones() -> None:
    one = asked(of(group("finance")))
    for decide in (approve, reject):
        refusal = one.when(decide("ada", digest="sha256:00")).then_refused(FactsChanged)
        assert (refusal.code, refusal.details) == ("HITL_PAYLOAD_CHANGED", {"payloadDigest": DIGEST})
    one.when(approve("ada", digest=DIGEST)).then(agreed("ada", 0), approved("ada"))


def test_a_decision_for_a_stage_that_is_not_open_is_refused_and_told_which_is() -> None:
    staged = asked(policy(stage(group("finance"), name="a"), stage(group("finance"), name="b")))
    for decide in (approve, reject):
        for other in ("b", "c"):
            refusal = staged.when(decide("ada", stage=other)).then_refused(StageNotOpen)
            assert refusal.details == {"stage": "a"}
    second = staged.when(approve("ada", stage="a")).and_so()
    second.when(approve("bob", stage="a")).then_refused(StageNotOpen)


def test_nobody_decides_from_the_moment_on_at_which_it_expires() -> None:
    until = asked(policy(stage(group("finance")), due_after_seconds=300.0, grace_seconds=60.0))
    for decide in (approve, reject):
        refusal = until.when(decide("ada", at=after(minutes=6))).then_refused(ApprovalNotPending)
        assert refusal.message == "this approval expired at 2026-11-22T22:16:05.123Z"
        assert refusal.details == {"status": "expired", "expiresAt": "2026-11-22T22:16:05.123Z"}
        assert until.when(decide("ada", at=after(minutes=6, microseconds=-1))).happened()


@pytest.mark.parametrize("comment", ["", " "])
def test_a_rejection_in_a_stage_needs_a_reason_where_the_policy_wants_one(comment: str) -> None:
    lax = asked(policy(stage(group("finance")), reason_on_rejection=False))
    assert lax.when(reject("ada", comment=comment)).happened()
    strict = asked(policy(stage(group("finance")), reason_on_rejection=True))
    strict.when(reject("ada", comment=comment)).then_refused(BadInput)


def test_a_vote_for_another_that_would_leave_too_few_is_refused() -> None:
    both = asked(of(user("ada"), user("bob")))
    away = [("ada", "bob")]
    refusal = both.when(approve("bob", for_="ada", away=away)).then_refused(ApprovalUndecidable)
    assert refusal.message == "if bob decides for ada, too few others could agree"
    alone = both.when(approve("bob", away=away)).and_so()
    alone.when(approve("ada", away=away)).then(agreed("ada", 0), approved("ada"))


def test_an_objection_for_another_does_not_end_it_by_using_up_two() -> None:
    two = asked(of(group("finance", 2), rejections=2))
    away = [("ada", "bob")]
    refusal = two.when(reject("bob", for_="ada", away=away)).then_refused(ApprovalUndecidable)
    assert refusal.message == "if bob decides for ada, too few others could agree"
    two.when(reject("bob", away=away)).then(objected("bob", 0, waits_for=FINANCE))
    one = asked(of(group("finance", 2), rejections=1))
    one.when(reject("bob", for_="ada", away=away)).then(
        objected("bob", 0, on_behalf_of="ada", waits_for=FINANCE), rejected("bob", on_behalf_of="ada")
    )


def test_where_it_cannot_be_met_anyhow_everybody_may_still_say_what_they_think() -> None:
    hopeless = asked(of(user("ada"), user("bob"), group("nobody"), rejections=2), must_open=True)
    waits_for = ("group:nobody",)
    hopeless.when(approve("bob", for_="ada", away=[("ada", "bob")])).then(
        agreed("bob", 0, on_behalf_of="ada", missing=2, waits_for=waits_for)
    )
    hopeless.when(reject("ada")).then(
        objected("ada", 0, waits_for=("user:bob", "group:nobody")), rejected("ada")
    )
