"""Delegations that somebody has made for another: not by them who asked for an approval, or own the deal."""

import pytest

from domain.approval import ApprovalAgreed
from domain.errors import DutiesNotSeparate, NotAnApprover
from tests.domain.approval.asked import Links, Makers, Said, approve, asked, of, policy, reject, stage, user
from tests.domain.approval.handled import claim

OF_ADA = of(user("ada"))
ADAS: Links = [("ada", "fred")]


@pytest.mark.parametrize(("maker", "who"), [("rita", "asked for this approval"), ("otto", "owns the deal")])
@pytest.mark.parametrize("named", [False, True])
def test_who_asked_or_owns_the_deal_does_not_choose_who_decides_for_an_approver(
    maker: str, who: str, named: bool
) -> None:
    said: Said = {"away": ADAS, "made_by": {("ada", "fred"): maker}}
    if named:
        said["for_"] = "ada"
    for decide in (approve, reject, claim):
        refusal = asked(OF_ADA).when(decide("fred", **said)).then_refused(DutiesNotSeparate)
        why = f"decides for ada by a delegation made by {maker}, who {who}"
        assert refusal.message == f"fred {why}: it does not count for this approval"
        assert refusal.details == {"person": "fred", "reason": why}


@pytest.mark.parametrize("maker", ["ada", "olga"])
def test_an_approvers_own_delegation_counts_and_so_does_another_operators(maker: str) -> None:
    asked(OF_ADA).when(approve("fred", away=ADAS, made_by={("ada", "fred"): maker})).and_so()


def test_a_link_of_a_chain_that_does_not_count_breaks_it() -> None:
    chain: Links = [("ada", "bob"), ("bob", "fred")]
    makers: Makers = {("bob", "fred"): "rita"}
    asked(OF_ADA).when(approve("bob", away=chain, made_by=makers)).and_so()
    asked(OF_ADA).when(approve("fred", away=chain, made_by=makers)).then_refused(DutiesNotSeparate)


def test_another_way_to_the_approver_counts() -> None:
    links: Links = [("ada", "fred"), ("ada", "bob"), ("bob", "fred")]
    asked(OF_ADA).when(approve("fred", away=links, made_by={("ada", "fred"): "rita"})).and_so()


def test_of_two_ways_that_do_not_count_one_is_told() -> None:
    links: Links = [("ada", "fred"), ("ada", "bob"), ("bob", "fred")]
    makers: Makers = {("ada", "fred"): "rita", ("ada", "bob"): "otto"}
    refusal = asked(OF_ADA).when(approve("fred", away=links, made_by=makers)).then_refused(DutiesNotSeparate)
    assert "a delegation made by otto, who owns the deal" in refusal.message


def test_their_own_part_is_theirs_and_so_is_that_of_another_for_whom_they_decide() -> None:
    both = of(user("ada"), user("fred"), user("bob"), agree=1)
    links: Links = [("ada", "fred"), ("bob", "fred")]
    makers: Makers = {("ada", "fred"): "rita"}
    asked(both).when(approve("fred", away=links, made_by=makers)).and_so()
    of_two = of(user("ada"), user("bob"), agree=1)
    vote, _ = asked(of_two).when(approve("fred", away=links, made_by=makers)).happened()
    assert isinstance(vote, ApprovalAgreed)
    assert vote.on_behalf_of == "bob"


def test_who_has_no_part_by_any_way_is_no_approver() -> None:
    makers: Makers = {("ada", "fred"): "rita"}
    asked(OF_ADA).when(approve("gina", away=ADAS, made_by=makers)).then_refused(NotAnApprover)


def test_where_anybody_may_decide_nobody_is_named_by_it() -> None:
    makers: Makers = {("ada", "fred"): "rita"}
    named = approve("fred", away=ADAS, made_by=makers, for_="ada")
    asked(policy()).when(named).then_refused(DutiesNotSeparate)
    asked(policy()).when(approve("fred", away=ADAS, made_by=makers)).and_so()


def test_where_duties_are_not_separate_every_delegation_counts() -> None:
    together = policy(stage(user("ada")), separate_duties=False)
    makers: Makers = {("ada", "fred"): "rita"}
    asked(together).when(approve("fred", away=ADAS, made_by=makers)).and_so()
