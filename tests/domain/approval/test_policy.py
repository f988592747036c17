"""Policies: what does not go together in one, and which of a tenant's holds."""

import pytest

from domain.approval import ANYONE, BARE, Approver, Escalation, Policy, Rule, chosen
from domain.approval.policy import MOST_SEATS
from domain.faults import Fault
from tests.domain.approval.asked import group, of, policy, role, stage, user


def faults(checked: Policy) -> list[Fault]:
    return list(checked.faults())


@pytest.mark.parametrize(
    "sound",
    [
        BARE,
        of(user("ada")),
        of(user("ada"), user("bob"), agree=2),
        of(group("finance", 2), role("cfo", 3), agree=5),
        of(group("finance", None), agree=40),
        of(group("finance", MOST_SEATS)),
        of(user("ada"), group("ada"), role("ada")),
        policy(stage(user("ada"), name="first"), stage(user("ada"), name="second")),
    ],
)
def test_a_policy_that_makes_sense_has_no_fault(sound: Policy) -> None:
    assert faults(sound) == []


@pytest.mark.parametrize("agree", [3, 50])
def test_more_agreements_than_seats_are_a_fault(agree: int) -> None:
    wrong = of(user("ada"), group("finance"), agree=agree)
    assert faults(wrong) == [Fault("stages[0].agree", "must be at most 2, the number of seats")]


def test_a_stage_has_no_more_seats_than_can_be_told_apart() -> None:
    wrong = of(group("finance", MOST_SEATS), group("legal", None))
    assert faults(wrong) == [Fault("stages[0].approvers", "must have at most 50 seats, not 51")]


def test_an_approver_who_is_named_twice_is_a_fault_each_time() -> None:
    wrong = of(user("ada"), user("bob"), user("ada"), user("ada"))
    message = "user:ada is named twice; use count"
    assert faults(wrong) == [
        Fault("stages[0].approvers[2]", message),
        Fault("stages[0].approvers[3]", message),
    ]


def test_stages_have_names_of_their_own() -> None:
    wrong = policy(stage(user("ada"), name="a"), stage(user("bob"), name="b"), stage(user("ada"), name="a"))
    assert faults(wrong) == [Fault("stages[2].name", "another stage is already named a")]


def test_every_fault_is_told_at_once() -> None:
    wrong = policy(stage(user("ada"), user("ada"), agree=3), stage(group("finance", 51)))
    assert [fault.field for fault in faults(wrong)] == [
        "stages[0].agree",
        "stages[0].approvers[1]",
        "stages[1].approvers",
        "stages[1].name",
    ]


@pytest.mark.parametrize(
    ("approver", "key", "name"),
    [
        (user("ada"), "user:ada", "ada"),
        (group("a:b", None), "group:a:b", "a:b"),
        (role("cfo"), "role:cfo", "cfo"),
    ],
)
def test_an_approver_is_known_by_kind_and_name(approver: Approver, key: str, name: str) -> None:
    assert (approver.key, approver.name) == (key, name)
    assert approver.key != ANYONE


def test_a_stage_speaks_of_the_groups_that_it_is_escalated_to_as_well() -> None:
    escalations = (Escalation(after_seconds=60, to=(group("board"), user("edna"))),)
    assert stage(group("finance"), role("cfo"), escalations=escalations).groups == {"finance", "board"}


SMALL, LARGE, RISKY = of(user("s")), of(user("l")), of(user("r"))

RULES = (
    Rule(policy=RISKY, risk_from=0.5, amount_from=100),
    Rule(policy=SMALL, amount_below=1_000),
    Rule(policy=LARGE, amount_from=1_000, risk_below=0.9),
)


@pytest.mark.parametrize(
    ("amount", "risk", "expected"),
    [
        (99.99, 0.5, SMALL),
        (100, 0.5, RISKY),
        (100, 0.49, SMALL),
        (999.99, 0.1, SMALL),
        (1_000, 0.1, LARGE),
        (-5, 0.9, SMALL),
        (1_000, 0.9, RISKY),
    ],
)
def test_the_first_rule_that_fits_holds_its_lower_bounds_included(
    amount: float, risk: float, expected: Policy
) -> None:
    assert chosen(RULES, amount=amount, risk_score=risk) == expected


def test_where_no_rule_fits_any_one_person_decides() -> None:
    assert chosen(RULES[2:], amount=1_000, risk_score=0.9) == BARE
    assert chosen((), amount=1, risk_score=1) == BARE
