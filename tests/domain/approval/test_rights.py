"""Who may do what: separate duties, delegations, and whose word counts once."""

import pytest

from domain import approval
from domain.approval import ApprovalRequested, Policy, Unknown
from domain.errors import ApprovalNotPending, DutiesNotSeparate, NotAllowed, NotAnApprover
from tests.builders import after
from tests.domain.approval.asked import (
    Links,
    agreed,
    approve,
    approved,
    around,
    asked,
    ballot,
    group,
    of,
    policy,
    reject,
    requested,
    role,
    stage,
    user,
)
from tests.domain.approval.handled import claim, expire, release, remind, revise, withdraw

ANYBODY = policy()
OF_BOTH = of(user("rita"), user("otto"), user("deputy"), user("ada"), role("cfo"), agree=1)


@pytest.mark.parametrize("chosen", [ANYBODY, OF_BOTH])
@pytest.mark.parametrize(
    ("person", "why"),
    [("rita", "rita asked for this approval"), ("otto", "otto owns the deal")],
)
def test_who_asked_for_it_and_who_owns_the_deal_cannot_approve_it(
    chosen: Policy, person: str, why: str
) -> None:
    refusal = asked(chosen).when(approve(person, roles=["cfo"])).then_refused(DutiesNotSeparate)
    assert refusal.code == "HITL_SEPARATION_OF_DUTIES"
    assert refusal.message == f"{why}, and so cannot approve it"
    assert refusal.details == {"person": person, "reason": why.removeprefix(f"{person} ")}


@pytest.mark.parametrize("chosen", [ANYBODY, OF_BOTH])
@pytest.mark.parametrize(
    "away", [[("otto", "deputy")], [("otto", "x"), ("x", "deputy")], [("rita", "x"), ("x", "deputy")]]
)
def test_who_decides_for_them_cannot_either_not_even_by_way_of_another(chosen: Policy, away: Links) -> None:
    refusal = asked(chosen).when(approve("deputy", away=away)).then_refused(DutiesNotSeparate)
    principal, _ = next(iter(away))
    why = "asked for this approval" if principal == "rita" else "owns the deal"
    assert refusal.message == f"deputy decides for {principal}, who {why}, and so cannot approve it"
    asked(chosen).when(reject("deputy", away=away)).and_so()


@pytest.mark.parametrize("chosen", [ANYBODY, of(user("deputy"), user("rita"), agree=1)])
def test_nobody_approves_on_behalf_of_who_cannot(chosen: Policy) -> None:
    """The deputy decides for rita, who decides for nobody; ada for the deputy, who decides for rita."""
    away = [("rita", "deputy")]
    refusal = asked(chosen).when(approve("deputy", for_="rita", away=away)).then_refused(DutiesNotSeparate)
    assert refusal.message == "rita asked for this approval, and so cannot approve it"
    away = [("rita", "deputy"), ("deputy", "ada")]
    refusal = asked(chosen).when(approve("ada", for_="deputy", away=away)).then_refused(DutiesNotSeparate)
    assert refusal.message.startswith("ada decides for rita, who asked for this approval")


def test_a_delegation_that_is_over_bars_nobody() -> None:
    asked(OF_BOTH).when(approve("deputy", away=[])).then(agreed("deputy", 2), approved("deputy"))


def test_who_is_both_requester_and_owner_is_told_that_they_asked() -> None:
    own = asked(ANYBODY, requested(requested_by="otto"))
    refusal = own.when(approve("otto")).then_refused(DutiesNotSeparate)
    assert refusal.message == "otto asked for this approval, and so cannot approve it"


def test_where_nobody_asked_and_nobody_owns_the_deal_nobody_is_barred() -> None:
    nobodys = asked(ANYBODY, requested(requested_by=None, owner_id=None))
    nobodys.when(approve("otto")).then(approved("otto"))


@pytest.mark.parametrize("request_", [requested(), requested(requested_by=None)])
def test_whose_delegates_nobody_has_looked_up_nobody_approves(request_: ApprovalRequested) -> None:
    state = asked(ANYBODY, request_).state
    unknown = approval.Circumstances(after(minutes=5), approval.People(), around().calendar)
    with pytest.raises(Unknown) as caught:
        approval.approve(state, ballot("ada"), unknown)
    assert (caught.value.groups, caught.value.delegations) == (frozenset(), True)


def test_what_is_not_known_of_groups_and_delegations_is_asked_for_together() -> None:
    state = asked(of(group("finance"), group("legal"))).state
    unknown = approval.Circumstances(after(minutes=5), approval.People(), around().calendar)
    for decide in (approval.approve, approval.reject, approval.claim):
        with pytest.raises(Unknown) as caught:
            decide(state, ballot("ada"), unknown)
        assert caught.value.groups == {"finance", "legal"}
        assert caught.value.delegations
        assert str(caught.value) == "groups ['finance', 'legal'] and delegations"


def test_whoever_decides_for_another_is_named_with_them() -> None:
    away = [("ada", "zoe")]
    one = asked(of(group("finance")))
    trail = (agreed("zoe", 0, on_behalf_of="ada"), approved("zoe", on_behalf_of="ada"))
    one.when(approve("zoe", away=away)).then(*trail)
    one.when(approve("zoe", for_="ada", away=away)).then(*trail)


def test_one_decides_for_oneself_first_and_for_another_only_when_that_is_said() -> None:
    away = [("ada", "bob"), ("edna", "bob")]
    both = asked(of(group("finance"), user("edna")))
    waits_for = ("user:edna",)
    both.when(approve("bob", away=away)).then(agreed("bob", 0, missing=1, waits_for=waits_for))
    waits_for = ("group:finance",)
    both.when(approve("bob", for_="edna", away=away)).then(
        agreed("bob", 1, on_behalf_of="edna", missing=1, waits_for=waits_for)
    )


def test_nobody_decides_for_one_who_is_asked_and_has_not_delegated_to_them() -> None:
    for away in ([], [("bob", "zoe")], [("zoe", "ada")], [("ada", "yan")]):
        for decide in (approve, reject, claim):
            refusal = asked(of(user("ada"))).when(decide("zoe", for_="ada", away=away))
            message = refusal.then_refused(NotAnApprover).message
            assert message == "zoe has no active delegation to decide for ada"
    asked(of(user("ada"))).when(approve("ada", for_="ada")).then_refused(NotAnApprover)


def test_of_several_the_first_by_name_who_is_asked_is_decided_for() -> None:
    away = [("dora", "zoe"), ("ada", "zoe"), ("bob", "zoe")]
    asked(of(user("dora"), user("bob"), agree=1)).when(approve("zoe", away=away)).then(
        agreed("zoe", 1, on_behalf_of="bob"), approved("zoe", on_behalf_of="bob")
    )


def test_one_decides_for_another_by_way_of_a_third_as_well() -> None:
    away = [("ada", "yan"), ("yan", "zoe")]
    asked(of(user("ada"))).when(approve("zoe", away=away)).then(
        agreed("zoe", 0, on_behalf_of="ada"), approved("zoe", on_behalf_of="ada")
    )


def test_roles_are_not_delegated_as_nobody_knows_them() -> None:
    refused = asked(of(role("cfo"))).when(approve("zoe", for_="ada", roles=["cfo"], away=[("ada", "zoe")]))
    assert refused.then_refused(NotAnApprover).message == "the open stage is not waiting for ada"


def test_the_word_of_who_is_away_counts_once_whoever_gives_it() -> None:
    away = [("ada", "yan"), ("ada", "zoe")]
    once = asked(of(group("finance", 2))).when(approve("yan", away=away)).and_so()
    told = "yan already agreed for ada at 2026-11-22T22:15:05.123Z, and ada counts only once"
    details = {"person": "ada", "decidedBy": "yan", "decidedAt": "2026-11-22T22:15:05.123Z"}
    for again in (
        approve("zoe", away=away),
        approve("zoe", for_="ada", away=away),
        approve("ada", away=away),
    ):
        refusal = once.when(again).then_refused(NotAnApprover)
        assert (refusal.message, refusal.details) == (told, details)
    once.when(reject("ada", away=away)).then_refused(NotAnApprover)
    once.when(approve("bob", away=away)).then(agreed("bob", 0), approved("bob"))


def test_who_has_decided_themselves_is_not_decided_for_as_well() -> None:
    away = [("ada", "zoe")]
    once = asked(of(group("finance", 2), rejections=2)).when(reject("ada")).and_so()
    refusal = once.when(approve("zoe", away=away)).then_refused(NotAnApprover)
    assert refusal.message == "ada already objected at 2026-11-22T22:15:05.123Z, and ada counts only once"


def test_nobody_for_whom_another_has_decided_decides_for_a_third() -> None:
    """Whichever comes first: bob's own word has been given, and he would be heard twice."""
    away = [("ada", "bob"), ("bob", "cleo")]
    three = asked(of(user("ada"), user("bob"), user("dora"), agree=1, rejections=3))
    one_way = three.when(reject("cleo", for_="bob", away=away)).and_so()
    refusal = one_way.when(reject("bob", for_="ada", away=away)).then_refused(NotAnApprover)
    told = "cleo already objected for bob at 2026-11-22T22:15:05.123Z, and bob counts only once"
    assert refusal.message == told
    other_way = three.when(reject("bob", for_="ada", away=away)).and_so()
    refusal = other_way.when(reject("cleo", for_="bob", away=away)).then_refused(NotAnApprover)
    told = "bob already objected for ada at 2026-11-22T22:15:05.123Z, and bob counts only once"
    assert refusal.message == told


def test_in_the_next_stage_everybody_counts_again() -> None:
    away = [("ada", "zoe")]
    stages = [stage(group("finance"), name=name) for name in ("a", "b")]
    second = asked(policy(*stages)).when(approve("zoe", away=away)).and_so()
    second.when(approve("ada", away=away)).then(agreed("ada", 0, stage=1), approved("ada"))
    second.when(approve("zoe", stage="b", away=away)).then(
        agreed("zoe", 0, stage=1, on_behalf_of="ada"), approved("zoe", on_behalf_of="ada")
    )


@pytest.mark.parametrize("person", ["rita", "otto"])
def test_who_asked_who_owns_the_deal_and_an_operator_may_withdraw_it_and_change_its_facts(
    person: str,
) -> None:
    assert asked().when(withdraw(person)).happened()
    assert asked().when(revise(person, amount=1)).happened()
    assert asked().when(withdraw("zoe", operator=True)).happened()
    assert asked().when(revise("zoe", operator=True, amount=1)).happened()
    told = "only the person who asked for the approval, the owner of the deal or an operator may do this"
    assert asked().when(withdraw("zoe")).then_refused(NotAllowed).message == told
    assert asked().when(revise("zoe", amount=1)).then_refused(NotAllowed).message == told


def test_what_nobody_asked_for_and_nobody_owns_only_an_operator_may_withdraw() -> None:
    nobodys = asked(ANYBODY, requested(requested_by=None, owner_id=None))
    nobodys.when(withdraw("None")).then_refused(NotAllowed)
    assert nobodys.when(withdraw("system:approval-steps", operator=True)).happened()


@pytest.mark.parametrize("end", ["approved", "rejected", "withdrawn", "expired"])
def test_nothing_more_is_done_to_what_has_ended(end: str) -> None:
    pending = asked(policy(due_after_seconds=600.0))
    ways = {
        "approved": approve("ada"),
        "rejected": reject("ada"),
        "withdrawn": withdraw("rita"),
        "expired": expire(after(minutes=10)),
    }
    ended = pending.when(ways[end]).and_so()
    assert ended.state.status == end
    for late in (approve("bob"), reject("bob"), claim("bob"), release("bob"), revise("rita", amount=1)):
        refusal = ended.when(late).then_refused(ApprovalNotPending)
        assert refusal.details["status"] == end
    ended.when(remind()).then_nothing()
    ended.when(expire(after(days=9))).then_nothing()


def test_a_group_of_which_nobody_knows_who_is_in_it_is_asked_for_by_name() -> None:
    with pytest.raises(Unknown) as caught:
        around(groups={}).people.members_of("finance")
    assert str(caught.value) == "groups ['finance']"
    assert not caught.value.delegations
