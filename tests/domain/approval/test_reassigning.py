"""To hand one's part on, or to add somebody: who may take which seats afterwards, and instead of whom."""

from typing import Any

import pytest

from domain.approval import ApprovalBecameUndecidable, ApprovalReassigned, Approver, Escalation, Policy
from domain.errors import (
    ApprovalNotPending,
    ApprovalUndecidable,
    DutiesNotSeparate,
    NotAnApprover,
)
from tests.builders import after
from tests.domain.approval.asked import (
    agreed,
    approve,
    approved,
    asked,
    group,
    of,
    policy,
    reject,
    requested,
    role,
    stage,
    user,
)
from tests.domain.approval.handled import claim, escalate, look_again, reassign

BOTH = of(user("ada"), user("bob"))
FINANCE = of(group("finance", 2))


def handed_on(by: str, to: Approver, **more: Any) -> ApprovalReassigned:
    """That somebody handed on their part of the usual approval."""
    usual: dict[str, Any] = {
        "approval_id": "a-1",
        "opportunity_id": "opp-1",
        "at": after(minutes=5),
        "owner_id": "otto",
        "approver_id": to.user,
        "recipient_id": to.user,
        "by": by,
        "to": to,
        "reason": "away",
    }
    return ApprovalReassigned(**usual | more)


def test_ones_own_part_goes_to_another_and_is_ones_own_no_more() -> None:
    story = (
        asked(BOTH)
        .when(reassign("ada", user("hugo")))
        .then(
            handed_on(
                "ada",
                user("hugo"),
                instead_of="ada",
                seats=(0,),
                own=(0,),
                waits_for=("user:bob", "user:hugo"),
            )
        )
    )
    assert (story.state.approver_id, story.state.recipient_id) == ("hugo", "hugo")
    story.when(approve("ada")).then_refused(NotAnApprover)
    story.when(reject("ada")).then_refused(NotAnApprover)
    story = story.when(approve("hugo")).then(agreed("hugo", 0, own=(), missing=1, waits_for=("user:bob",)))
    story.when(approve("bob")).then(agreed("bob", 1), approved("bob"))


def test_as_many_have_to_agree_as_before() -> None:
    story = asked(FINANCE).when(reassign("ada", user("hugo"))).and_so()
    one = story.when(approve("hugo")).and_so()
    assert one.state.status == "pending"
    one.when(approve("cleo")).then(agreed("cleo", 0), approved("cleo"))


def test_a_part_goes_to_a_group_and_any_one_of_it_takes_it() -> None:
    story = asked(BOTH, requested(approver_id="ada", recipient_id="ada"))
    to_board = handed_on(
        "ada",
        group("board"),
        approver_id=None,
        recipient_id=None,
        instead_of="ada",
        seats=(0,),
        own=(0,),
        waits_for=("user:bob", "group:board"),
    )
    story = story.when(reassign("ada", group("board"))).then(to_board)
    story = story.when(approve("fritz")).and_so()
    assert story.state.waits_for == ("user:bob",)
    story = story.when(approve("edna")).and_so()
    assert story.state.status == "pending"
    assert story.when(approve("bob")).and_so().state.status == "approved"


def test_of_a_part_that_went_to_a_group_one_alone_takes_it_however_many_seats_there_are() -> None:
    groups = {"finance": ["ada", "bob", "cleo"], "interns": ["ian", "ina", "bob"]}
    story = asked(of(group("finance", 2)), groups=groups)
    story = story.when(reassign("ada", group("interns"), groups=groups)).and_so()
    one = story.when(approve("ian", groups=groups)).and_so()
    both = one.when(approve("ina", groups=groups)).and_so()
    assert (both.state.status, both.state.waits_for) == ("pending", ("group:finance",))
    again = one.when(reassign("bob", group("interns"), groups=groups)).and_so()
    for story in (both, one):
        assert story.when(approve("cleo", groups=groups)).and_so().state.status == "approved"
    assert again.when(approve("ina", groups=groups)).and_so().state.status == "approved"


def test_who_may_not_approve_it_adds_nobody_who_does() -> None:
    for barred in ("rita", "otto"):
        asked(FINANCE).when(reassign(barred, user("friend"))).then_refused(NotAnApprover)
        asked(FINANCE).when(reassign(barred, user("friend"), operator=True)).then_refused(DutiesNotSeparate)


def test_where_anybody_may_decide_who_asked_may_name_another_as_when_they_asked() -> None:
    assert asked(policy()).when(reassign("rita", user("hugo"))).happened()


def test_where_anybody_may_decide_it_goes_to_no_group_of_which_nobody_could() -> None:
    groups = {"finance": ["ada"], "askers": ["rita"], "finanze": list[str]()}
    story = asked(policy(), groups=groups)
    for name in ("askers", "finanze"):
        story.when(reassign("zoe", group(name), groups=groups)).then_refused(ApprovalUndecidable)
    assert story.when(reassign("zoe", group("finance"), groups=groups)).happened()


def test_whom_the_request_named_is_told_again_in_the_next_stage_and_where_all_are_asked_anew() -> None:
    stages = [stage(user("ada"), name="first"), stage(user("edna"), name="last")]
    named = requested(approver_id="lead", recipient_id="desk")
    story = asked(policy(*stages), named).when(reassign("ada", user("hugo"))).and_so()
    assert (story.state.approver_id, story.state.recipient_id) == ("hugo", "hugo")
    story = story.when(approve("hugo")).and_so()
    assert (story.state.approver_id, story.state.recipient_id) == ("lead", "desk")


def test_who_hands_on_what_they_see_to_for_another_sees_to_it_no_longer() -> None:
    away = [("ada", "gina")]
    story = asked(BOTH).when(claim("gina", away=away)).and_so()
    assert story.state.claim is not None
    assert story.when(reassign("gina", user("hugo"), away=away)).and_so().state.claim is None


def test_a_part_that_was_handed_on_may_be_handed_on_again_but_not_by_who_had_it_first() -> None:
    story = asked(BOTH).when(reassign("ada", user("hugo"))).and_so()
    story.when(reassign("ada", user("ines"))).then_refused(NotAnApprover)
    story = story.when(reassign("hugo", user("ines"))).and_so()
    assert story.state.waits_for == ("user:bob", "user:ines")
    for gone in ("ada", "hugo"):
        story.when(approve(gone)).then_refused(NotAnApprover)
    story.when(approve("ines")).then(agreed("ines", 0, own=(), missing=1, waits_for=("user:bob",)))


def test_a_part_may_come_back_and_is_waited_for_again() -> None:
    story = asked(BOTH).when(reassign("ada", user("hugo"))).and_so()
    story = story.when(reassign("hugo", user("ada"))).and_so()
    assert story.state.waits_for == ("user:bob", "user:ada")
    story.when(approve("hugo")).then_refused(NotAnApprover)
    again = story.when(reassign("ada", user("hugo"))).and_so()
    again.when(approve("ada")).then_refused(NotAnApprover)
    story.when(approve("ada")).then(agreed("ada", 0, own=(), missing=1, waits_for=("user:bob",)))


def test_all_that_one_may_take_is_handed_on_also_what_came_by_an_escalation() -> None:
    escalation = Escalation(after_seconds=60, to=(user("ada"),))
    story = asked(of(user("ada"), user("bob"), escalations=(escalation,))).when(escalate()).and_so()
    story = story.when(reassign("ada", user("hugo"))).and_so()
    story.when(approve("ada")).then_refused(NotAnApprover)
    story.when(approve("hugo")).then(agreed("hugo", 0, 1, own=(), missing=1, waits_for=("user:bob",)))


def test_what_is_given_afterwards_is_ones_own_again() -> None:
    escalation = Escalation(after_seconds=60, to=(group("finance"),))
    story = asked(of(user("ada"), user("bob"), escalations=(escalation,)))
    story = story.when(reassign("ada", user("hugo"))).and_so().when(escalate()).and_so()
    assert story.when(approve("ada")).and_so().state.votes[0].seats == (0, 1)


def test_to_hand_it_on_to_oneself_changes_nothing() -> None:
    asked(BOTH).when(reassign("ada", user("ada"))).then_nothing()
    asked(FINANCE).when(reassign("ada", user("ada"))).then_nothing()
    asked(FINANCE).when(reassign("ada", group("finance"))).then_nothing()


def test_who_is_not_asked_or_has_been_heard_has_nothing_to_hand_on() -> None:
    asked(BOTH).when(reassign("cleo", user("hugo"))).then_refused(NotAnApprover)
    heard = asked(FINANCE).when(approve("ada")).and_so()
    refusal = heard.when(reassign("ada", user("hugo"))).then_refused(NotAnApprover)
    assert refusal.message == "ada already agreed at 2026-11-22T22:15:05.123Z, and ada counts only once"


def test_who_decides_for_another_may_hand_their_part_on() -> None:
    away = [("ada", "zoe")]
    story = asked(BOTH).when(reassign("zoe", user("hugo"), away=away)).and_so()
    event = story.events[-1]
    assert isinstance(event, ApprovalReassigned)
    assert (event.by, event.instead_of, event.seats) == ("zoe", "ada", (0,))
    story.when(approve("zoe", away=away)).then_refused(NotAnApprover)


def test_who_bears_a_role_may_hand_its_seat_on() -> None:
    story = asked(of(role("cfo"), user("bob"))).when(reassign("zoe", user("hugo"), roles=["cfo"])).and_so()
    story.when(approve("zoe", roles=["cfo"])).then_refused(NotAnApprover)
    story.when(approve("hugo")).then(agreed("hugo", 0, own=(), missing=1, waits_for=("user:bob",)))


@pytest.mark.parametrize("chosen", [policy(), BOTH])
@pytest.mark.parametrize("operator", [False, True])
def test_it_does_not_go_to_who_may_not_approve_it(chosen: Policy, operator: bool) -> None:
    for barred in ("rita", "otto", "deputy"):
        refusal = asked(chosen).when(
            reassign("ada", user(barred), operator=operator, away=[("otto", "deputy")])
        )
        assert refusal.then_refused(DutiesNotSeparate).details == {"person": barred}


def test_who_may_not_approve_it_does_not_choose_who_does() -> None:
    """Rita asked for it and is in finance herself: her seat is nobody's, and not hers to give."""
    groups = {"finance": ("ada", "bob", "rita")}
    story = asked(FINANCE, groups=groups)
    refusal = story.when(reassign("rita", user("friend"), groups=groups)).then_refused(DutiesNotSeparate)
    assert refusal.message == "rita asked for this approval, and so cannot approve it"
    away = [("rita", "deputy")]
    story.when(reassign("deputy", user("friend"), groups=groups, away=away)).then_refused(DutiesNotSeparate)


def test_a_part_is_not_handed_on_where_too_few_could_agree_afterwards() -> None:
    refusal = asked(BOTH).when(reassign("ada", user("bob"))).then_refused(ApprovalUndecidable)
    assert refusal.details == {"reason": "stage only does not have enough people who can agree"}
    refusal = asked(BOTH).when(reassign("ada", group("nobody"))).then_refused(ApprovalUndecidable)
    assert refusal.message == "group nobody has nobody who can decide this approval"
    heard = asked(BOTH).when(approve("bob")).and_so()
    heard.when(reassign("ada", user("bob"))).then_refused(ApprovalUndecidable)


def test_where_it_cannot_be_met_anyhow_a_part_may_still_be_handed_on() -> None:
    chosen = policy(stage(user("ada"), name="first"), stage(group("nobody"), name="last"))
    story = asked(chosen, must_open=True).when(reassign("ada", user("hugo"))).and_so()
    assert isinstance(story.events[-1], ApprovalBecameUndecidable)
    assert story.state.undecidable
    story.when(approve("hugo")).and_so()


def test_an_operator_adds_somebody_to_the_whole_stage_instead_of_nobody() -> None:
    chosen = of(user("ada"), group("legal"))
    story = (
        asked(chosen)
        .when(reassign("root", user("hugo"), operator=True))
        .then(
            handed_on("root", user("hugo"), seats=(0, 1), waits_for=("user:ada", "group:legal", "user:hugo"))
        )
    )
    story.when(reassign("root", user("hugo"), operator=True)).then_nothing()
    for other in ("ada", "dora"):
        assert story.when(approve(other)).and_so().when(approve("hugo")).and_so().state.status == "approved"


def test_an_operator_adds_a_group_once() -> None:
    story = asked(BOTH).when(reassign("root", group("board"), operator=True)).and_so()
    story.when(reassign("root", group("board"), operator=True)).then_nothing()
    assert story.when(reassign("root", group("legal"), operator=True)).happened()


def test_an_operator_who_is_in_the_group_that_they_add_adds_it_once() -> None:
    story = asked(BOTH).when(reassign("edna", group("board"), operator=True)).and_so()
    story.when(reassign("edna", group("board"), operator=True)).then_nothing()
    (event,) = story.when(reassign("edna", group("legal"), operator=True)).happened()
    assert isinstance(event, ApprovalReassigned)
    assert event.instead_of == "edna"


def test_an_operator_may_add_somebody_again_who_has_handed_it_on() -> None:
    story = asked(BOTH).when(reassign("root", user("hugo"), operator=True)).and_so()
    story = story.when(reassign("hugo", user("ines"))).and_so()
    story = story.when(reassign("root", user("hugo"), operator=True)).and_so()
    story.when(approve("hugo")).and_so()


def test_an_operator_who_is_asked_hands_their_own_part_on_and_adds_somebody_once_they_are_heard() -> None:
    (event,) = asked(BOTH).when(reassign("ada", user("hugo"), operator=True)).happened()
    assert isinstance(event, ApprovalReassigned)
    assert (event.instead_of, event.seats) == ("ada", (0,))
    heard = asked(BOTH).when(approve("ada")).and_so()
    (event,) = heard.when(reassign("ada", user("hugo"), operator=True)).happened()
    assert isinstance(event, ApprovalReassigned)
    assert (event.instead_of, event.seats) == (None, (0, 1))


def test_an_operator_who_hands_their_own_part_on_twice_has_not_added_anybody_to_all_of_it() -> None:
    story = asked(BOTH).when(reassign("ada", user("hugo"), operator=True)).and_so()
    story.when(reassign("ada", user("hugo"), operator=True)).then_nothing()
    (event,) = story.when(reassign("ada", user("ines"), operator=True)).happened()
    assert isinstance(event, ApprovalReassigned)
    assert (event.instead_of, event.seats) == (None, (0, 1))
    back = story.when(reassign("hugo", user("ada"))).and_so()
    (event,) = back.when(reassign("ada", user("hugo"), operator=True)).happened()
    assert isinstance(event, ApprovalReassigned)
    assert (event.instead_of, event.seats) == ("ada", (0,))


def test_a_part_that_goes_to_a_group_of_ones_own_goes_there_once() -> None:
    story = asked(BOTH).when(reassign("ada", group("finance"))).and_so()
    assert story.state.waits_for == ("user:bob", "group:finance")
    story.when(reassign("ada", group("finance"))).then_nothing()
    assert story.when(reassign("ada", group("board"))).happened()
    back = story.when(reassign("cleo", user("ada"))).and_so()
    assert back.when(reassign("ada", group("finance"))).happened()


def test_an_operator_who_decides_for_another_may_name_them() -> None:
    (event,) = (
        asked(BOTH)
        .when(reassign("root", user("hugo"), operator=True, for_="bob", away=[("bob", "root")]))
        .happened()
    )
    assert isinstance(event, ApprovalReassigned)
    assert event.instead_of == "bob"


def test_an_operators_addition_makes_an_undecidable_approval_decidable() -> None:
    hopeless = asked(of(group("nobody", 2)), must_open=True)
    one = hopeless.when(reassign("root", user("hugo"), operator=True)).and_so()
    assert isinstance(one.events[-1], ApprovalBecameUndecidable)
    assert one.state.undecidable
    two = one.when(reassign("root", user("ines"), operator=True)).and_so()
    assert isinstance(two.events[-1], ApprovalReassigned)
    assert not two.state.undecidable
    two.when(look_again()).then_nothing()
    assert two.when(approve("hugo")).and_so().when(approve("ines")).and_so().state.status == "approved"


def test_where_anybody_may_decide_whoever_is_named_is_told_and_anybody_still_may() -> None:
    bare = asked(policy(), requested(approver_id="ada", recipient_id="ada"))
    story = bare.when(reassign("zoe", user("hugo"))).then(
        handed_on("zoe", user("hugo"), waits_for=("user:hugo",))
    )
    assert (story.state.approver_id, story.state.waits_for) == ("hugo", ("user:hugo",))
    story.when(approve("zoe")).then(approved("zoe"))
    story.when(reassign("zoe", user("hugo"))).then_nothing()
    bare.when(reassign("zoe", user("ada"))).then_nothing()


@pytest.mark.parametrize("approver_id", [None, "ada"])
def test_where_anybody_may_decide_a_group_may_be_asked_to(approver_id: str | None) -> None:
    bare = asked(policy(), requested(approver_id=approver_id))
    story = bare.when(reassign("zoe", group("board"))).then(
        handed_on("zoe", group("board"), waits_for=("group:board",))
    )
    story.when(reassign("zoe", group("board"))).then_nothing()
    back = story.when(reassign("zoe", user("ada"))).and_so()
    assert (back.state.approver_id, back.state.waits_for) == ("ada", ("user:ada",))


def test_a_part_of_the_stage_before_is_not_ones_own_in_the_next() -> None:
    stages = [stage(user("ada"), name="first"), stage(user("ada"), name="last")]
    story = asked(policy(*stages)).when(reassign("ada", user("hugo"))).and_so()
    second = story.when(approve("hugo")).and_so()
    second.when(approve("hugo", stage="last")).then_refused(NotAnApprover)
    second.when(approve("ada")).then(agreed("ada", 0, stage=1), approved("ada"))


def test_nobody_is_asked_instead_when_it_is_over() -> None:
    for chosen in (policy(), BOTH):
        over = asked(chosen).when(reject("ada")).and_so()
        over.when(reassign("bob", user("hugo"))).then_refused(ApprovalNotPending)
        over.when(reassign("root", user("hugo"), operator=True)).then_refused(ApprovalNotPending)
