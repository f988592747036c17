"""What is done with an approval besides deciding it: to see to it, to comment, to withdraw."""

import pytest

from domain.approval import (
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalReleased,
    ApprovalWithdrawn,
    Policy,
)
from domain.approval.handling import MOST_COMMENTS
from domain.errors import (
    ApprovalClaimedByAnother,
    ApprovalNotPending,
    NotAllowed,
    NotAnApprover,
    TooManyComments,
)
from domain.values import StepRef, timestamp
from tests.builders import NOW, after
from tests.domain.approval.asked import (
    REQUESTED,
    Decide,
    agreed,
    approve,
    approved,
    asked,
    given,
    group,
    of,
    policy,
    reject,
    requested,
    role,
    stage,
    user,
)
from tests.domain.approval.handled import claim, comment, expire, reassign, release, withdraw

FINANCE = of(group("finance", 2))


def claimed(by: str) -> ApprovalClaimed:
    return ApprovalClaimed(approval_id="a-1", by=by, at=after(minutes=5))


def released(by: str) -> ApprovalReleased:
    return ApprovalReleased(approval_id="a-1", by=by, at=after(minutes=5))


@pytest.mark.parametrize("chosen", [policy(), FINANCE])
def test_one_of_those_asked_sees_to_it_and_others_are_told_who(chosen: Policy) -> None:
    seen_to = asked(chosen).when(claim("ada")).then(claimed("ada"))
    assert seen_to.state.claim is not None
    assert seen_to.state.claim.by == "ada"
    seen_to.when(claim("ada")).then_nothing()
    refusal = seen_to.when(claim("bob")).then_refused(ApprovalClaimedByAnother)
    assert refusal.message == "ada claimed this approval at 2026-11-22T22:15:05.123Z"
    assert refusal.details == {"claimedBy": "ada", "claimedAt": "2026-11-22T22:15:05.123Z"}


def test_a_claim_keeps_nobody_from_deciding() -> None:
    seen_to = asked(FINANCE).when(claim("ada")).and_so().when(approve("bob")).and_so()
    assert seen_to.state.claim is not None
    seen_to.when(approve("cleo")).then(agreed("cleo", 0), approved("cleo"))


def test_who_has_done_their_part_or_handed_it_on_sees_to_it_no_longer() -> None:
    seen_to = asked(FINANCE).when(claim("ada")).and_so()
    assert seen_to.when(approve("ada")).and_so().state.claim is None
    assert seen_to.when(reassign("ada", user("hugo"))).and_so().state.claim is None
    seen_to.when(approve("ada")).and_so().when(claim("bob")).then(claimed("bob"))


def test_who_is_not_asked_cannot_see_to_it() -> None:
    asked(FINANCE).when(claim("dora")).then_refused(NotAnApprover)
    asked(FINANCE).when(approve("ada")).and_so().when(claim("ada")).then_refused(NotAnApprover)
    asked(of(role("cfo"))).when(claim("zoe", roles=["hr"])).then_refused(NotAnApprover)
    asked(of(role("cfo"))).when(claim("zoe", roles=["cfo"])).then(claimed("zoe"))


def test_who_decides_for_one_who_is_asked_can_see_to_it() -> None:
    asked(FINANCE).when(claim("zoe", away=[("ada", "zoe")])).then(claimed("zoe"))


def test_the_next_stage_is_seen_to_by_nobody_yet() -> None:
    stages = [stage(group("finance"), name=name) for name in ("a", "b")]
    story = asked(policy(*stages)).when(claim("ada")).and_so().when(approve("ada")).and_so()
    assert story.state.claim is None
    story.when(claim("bob")).then(claimed("bob"))


def test_who_sees_to_it_may_stop_and_so_may_an_operator_say() -> None:
    seen_to = asked(FINANCE).when(claim("ada")).and_so()
    assert seen_to.when(release("ada")).then(released("ada")).state.claim is None
    refusal = seen_to.when(release("bob")).then_refused(NotAllowed)
    assert (refusal.message, refusal.details) == ("this approval is claimed by ada", {"claimedBy": "ada"})
    free = seen_to.when(release("zoe", operator=True)).then(released("zoe"))
    free.when(release("ada")).then_nothing()
    free.when(claim("bob")).then(claimed("bob"))


def test_a_claim_that_nobody_has_is_released_by_anybody_without_effect() -> None:
    asked(FINANCE).when(release("zoe")).then_nothing()


def test_there_is_nothing_to_see_to_in_what_is_over() -> None:
    over = asked(FINANCE).when(reject("ada")).and_so()
    over.when(claim("bob")).then_refused(ApprovalNotPending)
    over.when(release("bob")).then_refused(ApprovalNotPending)
    late = asked(policy(due_after_seconds=300.0))
    late.when(claim("bob")).then_refused(ApprovalNotPending)
    late.when(release("bob")).then_refused(ApprovalNotPending)


def test_anybody_may_comment_whatever_has_become_of_the_approval() -> None:
    said = ApprovalCommented(approval_id="a-1", by="zoe", at=after(minutes=5), text="why?")
    story = asked(FINANCE).when(comment("zoe", "why?")).then(said)
    over = story.when(reject("ada")).and_so().when(comment("zoe", "why?")).then(said)
    assert (over.state.comments, over.state.status) == (2, "rejected")


def test_two_hundred_comments_are_enough() -> None:
    said = ApprovalCommented(approval_id="a-1", by="zoe", at=NOW, text="why?")
    story = given(REQUESTED, *[said] * (MOST_COMMENTS - 1))
    story = story.when(comment("zoe", "last")).and_so()
    refusal = story.when(comment("zoe", "one more")).then_refused(TooManyComments)
    assert refusal.message == "this approval has 200 comments, the maximum"


def withdrawn(**more: StepRef) -> ApprovalWithdrawn:
    return ApprovalWithdrawn(
        approval_id="a-1",
        opportunity_id="opp-1",
        reason="off",
        withdrawn_at=after(minutes=5),
        by="rita",
        **more,
    )


def test_what_is_withdrawn_is_decided_by_nobody() -> None:
    off = asked(FINANCE).when(withdraw("rita")).then(withdrawn())
    assert off.state.status == "withdrawn"
    refusal = off.when(approve("ada")).then_refused(ApprovalNotPending)
    told = {"status": "withdrawn", "withdrawnBy": "rita", "withdrawnAt": timestamp(after(minutes=5))}
    assert refusal.details == told
    assert refusal.message == f"this approval was withdrawn by rita at {told['withdrawnAt']}"
    off.when(withdraw("rita")).then_nothing()
    off.when(withdraw("otto")).then_nothing()


def test_of_a_withdrawal_that_an_earlier_version_stored_it_is_told_when_it_was() -> None:
    older = ApprovalWithdrawn(
        approval_id="a-1", opportunity_id="opp-1", reason="off", withdrawn_at=after(minutes=5)
    )
    off = asked(FINANCE).when(lambda state: (older,)).and_so()
    refusal = off.when(approve("ada")).then_refused(ApprovalNotPending)
    told = {"status": "withdrawn", "withdrawnAt": timestamp(after(minutes=5))}
    assert refusal.details == told
    assert refusal.message == f"this approval was withdrawn at {told['withdrawnAt']}"


def test_a_step_that_waits_for_it_is_named_when_it_is_withdrawn() -> None:
    step = StepRef(workflow_id="w-1", step_id="s-1", attempt=1)
    asked(policy(), requested(step=step)).when(withdraw("rita")).then(withdrawn(step=step))


@pytest.mark.parametrize("decide", [approve("ada"), reject("ada")])
def test_what_has_been_decided_stays_decided(decide: Decide) -> None:
    ended = asked(policy()).when(decide).and_so()
    ended.when(withdraw("rita")).then_refused(ApprovalNotPending)


def test_what_has_expired_or_is_about_to_is_not_withdrawn() -> None:
    late = asked(policy(due_after_seconds=300.0))
    late.when(withdraw("rita")).then_refused(ApprovalNotPending)
    refusal = late.when(expire(after(minutes=5))).and_so().when(withdraw("rita"))
    expired_at = timestamp(after(minutes=5))
    assert refusal.then_refused(ApprovalNotPending).message == f"this approval expired at {expired_at}"
