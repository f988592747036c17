"""What the clock does to an approval: each thing once, in any order, and never too late."""

from typing import Any

import pytest

from domain.approval import (
    ApprovalBecameDecidable,
    ApprovalBecameUndecidable,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    Escalation,
    Unknown,
)
from domain.errors import ApprovalNotPending, NotAnApprover
from domain.values import StepRef, timestamp
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
    stage,
    user,
)
from tests.domain.approval.handled import escalate, expire, look_again, reassign, remind, withdraw

TO_BOARD, TO_GINA = (
    Escalation(after_seconds=60, to=(group("board"),)),
    Escalation(after_seconds=120, to=(user("gina"), group("legal"))),
)
FINANCE = stage(group("finance", 2), remind_after_seconds=(60.0, 120.0), escalations=(TO_BOARD, TO_GINA))
STAGED = policy(
    FINANCE, stage(user("edna"), name="last", remind_after_seconds=(60.0,)), due_after_seconds=600
)

WHOM: dict[str, Any] = {
    "approval_id": "a-1",
    "opportunity_id": "opp-1",
    "at": after(minutes=5),
    "owner_id": "otto",
    "approver_id": "ann",
    "recipient_id": "rolf",
    "approval_url": "https://crm/a-1",
    "due_at": after(minutes=10),
}
REQUEST = requested(approver_id="ann", recipient_id="rolf", approval_url="https://crm/a-1")


def reminded(number: int) -> ApprovalReminded:
    return ApprovalReminded(round=0, stage=0, number=number, waits_for=("group:finance",), **WHOM)


def escalated(number: int, *waits_for: str) -> ApprovalEscalated:
    to = (TO_BOARD, TO_GINA)[number - 1].to
    return ApprovalEscalated(round=0, stage=0, number=number, to=to, waits_for=waits_for, **WHOM)


def test_those_whom_the_stage_waits_for_are_reminded_once_each_time() -> None:
    story = asked(STAGED, REQUEST).when(remind(1)).then(reminded(1))
    story.when(remind(1)).then_nothing()
    story.when(remind(2)).then(reminded(2)).when(remind(1)).then_nothing()


def test_a_reminder_that_comes_late_comes_and_one_out_of_order_too() -> None:
    story = asked(STAGED, REQUEST).when(remind(2)).then(reminded(2))
    story.when(remind(1)).then(reminded(1))


@pytest.mark.parametrize("event", [remind, escalate])
def test_nothing_comes_to_a_stage_or_a_round_that_is_not_open(event: Any) -> None:
    story = asked(STAGED, REQUEST)
    story.when(event(stage=1)).then_nothing()
    story.when(event(round=1)).then_nothing()
    second = story.when(approve("ada")).and_so().when(approve("bob")).and_so()
    second.when(event()).then_nothing()
    story.when(reject("ada")).and_so().when(event()).then_nothing()
    story.when(withdraw("rita")).and_so().when(event()).then_nothing()
    asked(policy(due_after_seconds=600)).when(event()).then_nothing()


@pytest.mark.parametrize("event", [remind, escalate])
def test_nothing_comes_to_what_has_expired(event: Any) -> None:
    story = asked(STAGED, REQUEST)
    story.when(event(at=after(minutes=10))).then_nothing()
    assert story.when(event(at=after(minutes=10, microseconds=-1))).happened()
    graced = asked(policy(FINANCE, due_after_seconds=600, grace_seconds=60))
    assert graced.when(event(at=after(minutes=10))).happened()
    graced.when(event(at=after(minutes=11))).then_nothing()


def test_the_next_stage_has_reminders_of_its_own() -> None:
    story = asked(STAGED, REQUEST).when(remind(1)).and_so()
    second = story.when(approve("ada")).and_so().when(approve("bob")).and_so()
    (event,) = second.when(remind(1, stage=1)).happened()
    assert isinstance(event, ApprovalReminded)
    assert event.waits_for == ("user:edna",)


def test_whoever_it_is_escalated_to_may_fill_the_seats_as_well() -> None:
    story = asked(STAGED, REQUEST).when(escalate(1)).then(escalated(1, "group:finance", "group:board"))
    story.when(escalate(1)).then_nothing()
    story = story.when(approve("fritz")).and_so()
    assert story.state.votes == (
        agreed("fritz", 0, own=(), missing=1, waits_for=("group:finance", "group:board")),
    )
    second = story.when(approve("ada")).and_so()
    assert second.state.opening is not None
    assert second.state.opening.name == "last"
    second.when(approve("fritz", stage="last")).then_refused(NotAnApprover)


def test_the_order_of_escalations_makes_no_difference_to_who_may() -> None:
    one = asked(STAGED, REQUEST).when(escalate(1)).and_so().when(escalate(2)).and_so()
    other = asked(STAGED, REQUEST).when(escalate(2)).and_so().when(escalate(1)).and_so()
    assert set(one.state.waits_for) == set(other.state.waits_for)
    assert one.state.waits_for == ("group:finance", "group:board", "user:gina", "group:legal")
    for person in ("fritz", "gina", "dora"):
        for story in (one, other):
            assert story.when(approve(person)).and_so().state.votes[0].seats == (0,)
    for story in (one, other):
        for number in (1, 2):
            story.when(escalate(number)).then_nothing()


def test_as_many_have_to_agree_after_an_escalation_as_before() -> None:
    story = asked(of(group("finance", 2), escalations=(TO_BOARD,))).when(escalate()).and_so()
    story = story.when(approve("edna")).and_so()
    story.when(approve("fritz")).then(agreed("fritz", 0, own=()), approved("fritz"))


def test_who_has_been_heard_is_not_heard_again_by_an_escalation() -> None:
    to_ada = Escalation(after_seconds=60, to=(user("ada"),))
    story = asked(of(group("finance", 2), escalations=(to_ada,))).when(approve("ada")).and_so()
    (event,) = story.when(escalate()).happened()
    assert isinstance(event, ApprovalEscalated)
    assert event.waits_for == ("group:finance",)


def test_a_group_that_it_is_escalated_to_is_looked_up_first() -> None:
    state = asked(STAGED).state
    with pytest.raises(Unknown) as caught:
        escalate(1, groups={"finance": ("ada", "bob")})(state)
    assert caught.value.groups == {"board"}


def test_an_escalation_may_make_an_undecidable_approval_decidable() -> None:
    hopeless = asked(of(group("nobody"), escalations=(TO_BOARD,)), must_open=True)
    story = hopeless.when(escalate()).and_so()
    escalation, news = story.events[-2:]
    assert isinstance(escalation, ApprovalEscalated)
    assert news == ApprovalBecameDecidable(approval_id="a-1", at=after(minutes=5))
    assert not story.state.undecidable
    assert story.when(approve("edna")).and_so().state.status == "approved"


def test_who_has_left_by_the_time_of_an_escalation_is_missed_then() -> None:
    story = asked(of(group("finance", 2), escalations=(TO_BOARD,)))
    groups = {"finance": (), "board": ("edna",)}
    escalation, raised = story.when(escalate(groups=groups)).happened()
    assert isinstance(escalation, ApprovalEscalated)
    assert isinstance(raised, ApprovalBecameUndecidable)


def test_what_nobody_has_decided_in_time_has_expired_and_is_not_approved() -> None:
    step = StepRef(workflow_id="w-1", step_id="s-1", attempt=1)
    story = asked(STAGED, requested(step=step)).when(approve("ada")).and_so()
    story.when(expire(after(minutes=10, microseconds=-1))).then_nothing()
    late = after(minutes=12)
    expired = ApprovalExpired(
        approval_id="a-1",
        opportunity_id="opp-1",
        at=late,
        waits_for=("group:finance",),
        owner_id="otto",
        due_at=after(minutes=10),
        step=step,
    )
    over = story.when(expire(late)).then(expired)
    assert (over.state.status, over.state.ended_by) == ("expired", None)
    over.when(expire(late)).then_nothing()
    refusal = over.when(approve("bob")).then_refused(ApprovalNotPending)
    before = story.when(approve("bob", at=late)).then_refused(ApprovalNotPending)
    assert (refusal.message, refusal.details) == (before.message, before.details)
    assert refusal.details == {"status": "expired", "expiresAt": timestamp(after(minutes=10))}


def test_what_has_no_due_date_never_expires() -> None:
    asked().when(expire(after(days=9_000))).then_nothing()


def test_between_its_due_date_and_its_expiry_it_is_late_and_may_be_decided() -> None:
    story = asked(policy(due_after_seconds=60, grace_seconds=600))
    story.when(expire(after(minutes=10))).then_nothing()
    story.when(approve("ann")).then(approved("ann"))
    story.when(expire(after(minutes=11))).and_so()


def test_what_has_ended_does_not_expire() -> None:
    bounded = asked(policy(due_after_seconds=600))
    for end in (approve("ann"), reject("ann"), withdraw("rita")):
        bounded.when(end).and_so().when(expire(after(days=1))).then_nothing()


def test_when_the_last_who_could_agree_has_left_it_is_said_once_and_so_is_their_return() -> None:
    story = asked(of(group("finance", 2)), REQUEST)
    story.when(look_again()).then_nothing()
    gone = {"finance": ("ada",)}
    raised = ApprovalBecameUndecidable(
        reason="stage only does not have enough people who can agree",
        waits_for=("group:finance",),
        **{**WHOM, "due_at": None},
    )
    story = story.when(look_again(groups=gone)).then(raised)
    assert story.state.undecidable
    story.when(look_again(groups=gone)).then_nothing()
    back = story.when(look_again()).then(ApprovalBecameDecidable(approval_id="a-1", at=after(minutes=5)))
    assert not back.state.undecidable
    back.when(look_again()).then_nothing()


def test_a_stage_that_is_not_open_yet_is_looked_at_too() -> None:
    staged = policy(stage(user("ada"), name="first"), stage(group("finance", None), name="last"))
    (raised,) = asked(staged).when(look_again(groups={"finance": ()})).happened()
    assert isinstance(raised, ApprovalBecameUndecidable)
    assert raised.reason == "stage last does not have enough people who can agree"


def test_a_stage_that_opens_where_nobody_is_left_is_said_to_be_undecidable_at_once() -> None:
    staged = policy(stage(user("ada"), name="first"), stage(group("finance", None), name="last"))
    gone = {"finance": ()}
    unaware = asked(staged).when(approve("ada", groups=gone)).and_so()
    assert isinstance(unaware.events[-1], ApprovalBecameUndecidable)
    aware = asked(staged).when(look_again(groups=gone)).and_so().when(approve("ada", groups=gone)).and_so()
    assert aware.state.undecidable
    aware.when(look_again(groups=gone)).then_nothing()
    aware.when(look_again()).then(ApprovalBecameDecidable(approval_id="a-1", at=after(minutes=5)))


def test_a_new_delegation_may_leave_too_few() -> None:
    """Bob decides for the owner of the deal from now on."""
    story = asked(of(user("bob")))
    away = [("otto", "bob")]
    (raised,) = story.when(look_again(away=away)).happened()
    assert isinstance(raised, ApprovalBecameUndecidable)


def test_a_bare_approval_can_always_be_decided() -> None:
    asked().when(look_again(groups={})).then_nothing()


def test_what_is_over_is_not_looked_at() -> None:
    over = asked(of(user("ada"))).when(reject("ada")).and_so()
    over.when(look_again()).then_refused(ApprovalNotPending)
    late = asked(policy(stage(user("ada")), due_after_seconds=300))
    late.when(look_again()).then_refused(ApprovalNotPending)


def test_what_was_handed_on_is_reminded_of_where_it_is() -> None:
    story = asked(of(user("ada"), remind_after_seconds=(60.0,))).when(reassign("ada", user("hugo"))).and_so()
    (event,) = story.when(remind()).happened()
    assert isinstance(event, ApprovalReminded)
    assert (event.waits_for, event.recipient_id) == (("user:hugo",), "hugo")
