"""Groups all of whose members are asked, while people come and go, and others stand in for them."""

from collections.abc import Sequence

import pytest

from domain.approval import Approval, ApprovalAgreed, ApprovalBecameUndecidable, Escalation, Policy, Stage
from domain.errors import NotAnApprover
from tests.domain.approval.asked import (
    Groups,
    agreed,
    approve,
    approved,
    asked,
    group,
    of,
    reject,
    user,
)
from tests.domain.approval.handled import escalate, look_again, reassign
from tests.domain.scenario import Given

THREE = of(group("finance", None))
ALL: Groups = {"finance": ("ada", "bob", "cleo"), "board": ("edna",)}


def without(*gone: str, new: Sequence[str] = ()) -> Groups:
    left = tuple(person for person in ALL["finance"] if person not in gone)
    return {**ALL, "finance": (*left, *new)}


def missing_after(story: Given[Approval], person: str, groups: Groups) -> int | None:
    """How many are missing when that person has agreed; none, if it is approved."""
    last = story.when(approve(person, groups=groups)).and_so()
    vote = last.state.votes[-1]
    assert isinstance(vote, ApprovalAgreed)
    assert (last.state.status == "approved") == (vote.missing == 0)
    return vote.missing or None


def escalated_to_the_board(chosen: Policy) -> Given[Approval]:
    (stage,) = chosen.stages
    staged = Stage(
        name=stage.name,
        approvers=stage.approvers,
        rejections=stage.rejections,
        escalations=(Escalation(after_seconds=60, to=(group("board"),)),),
    )
    story = asked(Policy(stages=(staged,)), groups=ALL)
    return story.when(escalate(groups=ALL)).and_so()


def test_who_has_left_is_waited_for_no_longer() -> None:
    story = asked(THREE, groups=ALL)
    assert missing_after(story, "ada", ALL) == 2
    assert missing_after(story, "ada", without("cleo")) == 1
    assert missing_after(story, "ada", without("bob", "cleo")) is None


def test_who_agreed_and_left_has_agreed() -> None:
    story = asked(THREE, groups=ALL).when(approve("ada", groups=ALL)).and_so()
    assert missing_after(story, "bob", without("ada")) == 1
    assert missing_after(story, "bob", without("ada", "cleo")) is None


def test_who_joins_later_is_not_asked_but_may_take_the_seat_of_who_has_left() -> None:
    story = asked(THREE, groups=ALL)
    assert missing_after(story, "ada", without(new=["dora"])) == 2
    replaced = without("cleo", new=["dora"])
    assert missing_after(story, "ada", replaced) == 2
    story = (
        story.when(approve("dora", groups=replaced)).and_so().when(approve("ada", groups=replaced)).and_so()
    )
    assert missing_after(story, "bob", replaced) is None


def test_when_everybody_has_left_nobody_approves_and_it_is_said_to_be_undecidable() -> None:
    empty = without("ada", "bob", "cleo")
    story = asked(THREE, groups=ALL)
    (raised,) = story.when(look_again(groups=empty)).happened()
    assert isinstance(raised, ApprovalBecameUndecidable)
    assert raised.reason == "stage only does not have enough people who can agree"
    story.when(approve("ada", groups=empty)).then_refused(NotAnApprover)


def test_when_all_who_are_left_have_agreed_it_does_not_end_by_itself_but_somebody_has_to_be_added() -> None:
    story = asked(THREE, groups=ALL)
    for person in ("ada", "bob"):
        story = story.when(approve(person, groups=ALL)).and_so()
    left = without("cleo")
    story = story.when(look_again(groups=left)).and_so()
    assert isinstance(story.events[-1], ApprovalBecameUndecidable)
    for person in ("ada", "bob"):
        story.when(approve(person, groups=left)).then_nothing()
    story = story.when(reassign("root", user("hugo"), operator=True, groups=left)).and_so()
    assert not story.state.undecidable
    story.when(approve("hugo", groups=left)).then(agreed("hugo", 0, own=()), approved("hugo"))


def test_when_all_who_are_left_have_agreed_anybody_else_who_may_ends_it() -> None:
    story = escalated_to_the_board(THREE).when(approve("ada", groups=ALL)).and_so()
    left = without("bob", "cleo")
    story.when(look_again(groups=left)).then_nothing()
    story.when(approve("edna", groups=left)).then(agreed("edna", 0, own=()), approved("edna"))


def test_who_stands_in_for_a_member_does_not_add_a_seat_when_another_leaves() -> None:
    """Ada hands on to Hugo; Cleo leaves. Hugo and Bob are all that is needed."""
    story = asked(THREE, groups=ALL).when(reassign("ada", user("hugo"), groups=ALL)).and_so()
    left = without("cleo")
    story = story.when(approve("hugo", groups=left)).then(
        agreed("hugo", 0, own=(), missing=1, waits_for=("group:finance",))
    )
    story.when(look_again(groups=left)).then_nothing()
    story.when(approve("bob", groups=left)).then(agreed("bob", 0), approved("bob"))


def test_whom_it_was_escalated_to_does_not_add_a_seat_when_somebody_leaves() -> None:
    escalated = escalated_to_the_board(THREE)
    left = without("cleo")
    story = escalated.when(approve("edna", groups=left)).and_so()
    story.when(look_again(groups=left)).then_nothing()
    assert missing_after(story, "bob", left) is None


def test_who_has_handed_their_part_on_keeps_its_seat_open_when_they_leave() -> None:
    story = asked(THREE, groups=ALL).when(reassign("ada", user("hugo"), groups=ALL)).and_so()
    left = without("ada")
    assert missing_after(story, "hugo", left) == 2
    story = story.when(approve("hugo", groups=left)).and_so().when(approve("bob", groups=left)).and_so()
    assert missing_after(story, "cleo", left) is None


def test_a_part_that_is_handed_on_twice_is_one_part() -> None:
    story = asked(THREE, groups=ALL).when(reassign("ada", user("hugo"), groups=ALL)).and_so()
    story = story.when(reassign("hugo", user("ines"), groups=ALL)).and_so()
    left = without("cleo")
    story.when(approve("hugo", groups=left)).then_refused(NotAnApprover)
    story = story.when(approve("ines", groups=left)).and_so()
    assert missing_after(story, "bob", left) is None


def test_who_was_against_it_and_left_is_not_forgotten() -> None:
    """Another may take the seat, and has to."""
    story = (
        escalated_to_the_board(of(group("finance", None), rejections=2))
        .when(reject("cleo", groups=ALL))
        .and_so()
    )
    left = without("cleo")
    story = story.when(approve("ada", groups=left)).and_so()
    assert missing_after(story, "bob", left) == 1
    story = story.when(approve("bob", groups=left)).and_so()
    assert missing_after(story, "edna", left) is None


def test_an_objection_of_who_is_barred_asks_for_no_further_seat() -> None:
    groups = {"finance": ("ada", "bob", "rita")}
    story = asked(of(group("finance", None), rejections=2), groups=groups)
    left = {"finance": ("ada", "rita")}
    story = story.when(reject("rita", groups=left)).and_so()
    assert story.state.status == "pending"
    assert missing_after(story, "ada", left) is None


def test_who_may_not_approve_for_the_moment_is_waited_for() -> None:
    """Cleo decides for the owner of the deal meanwhile."""
    away = [("otto", "cleo")]
    story = asked(THREE, groups=ALL).when(approve("ada", groups=ALL)).and_so()
    story = story.when(approve("bob", groups=ALL, away=away)).and_so()
    assert (story.state.status, story.state.waits_for) == ("pending", ("group:finance",))
    story = story.when(approve("cleo", groups=ALL)).then(agreed("cleo", 0), approved("cleo"))


def test_nobody_is_asked_no_longer_by_whom_the_requester_makes_their_delegate() -> None:
    """That needs nobody's consent, and would put out whoever is against it."""
    away = [("rita", "bob"), ("rita", "cleo")]
    story = asked(THREE, groups=ALL).when(approve("ada", groups=ALL, away=away)).and_so()
    assert story.state.status == "pending"
    (raised,) = story.when(look_again(groups=ALL, away=away)).happened()
    assert isinstance(raised, ApprovalBecameUndecidable)
    before = asked(THREE, groups=ALL, away=away, must_open=True)
    assert before.state.opening is not None
    assert (before.state.opening.seats, before.state.undecidable) == ((3,), True)
    story = before.when(approve("ada", groups=ALL, away=away)).and_so()
    assert story.state.status == "pending"
    for person in ("bob", "cleo"):
        story = story.when(approve(person, groups=ALL)).and_so()
    assert story.state.status == "approved"


@pytest.mark.parametrize("agree", [2, 3])
def test_a_number_of_agreements_does_not_sink_with_those_who_leave(agree: int) -> None:
    story = asked(of(group("finance", None), agree=agree), groups=ALL)
    left = without("bob", "cleo")
    story = story.when(approve("ada", groups=left)).and_so()
    assert story.state.status == "pending"
    (raised,) = story.when(look_again(groups=left)).happened()
    assert isinstance(raised, ApprovalBecameUndecidable)


def test_what_could_not_be_counted_when_it_was_asked_for_is_counted_when_it_can_be() -> None:
    story = asked(THREE, reached=False)
    assert story.state.opening is not None
    assert story.state.opening.seats == (-1,)
    assert missing_after(story, "ada", ALL) == 2
    assert missing_after(story, "ada", without("bob", "cleo")) is None
    story.when(look_again(groups=ALL)).then_nothing()
    assert story.when(look_again(groups=without("ada", "bob", "cleo"))).happened()
