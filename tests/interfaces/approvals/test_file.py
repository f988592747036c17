"""The approvals file: what it lays down for whom, and every fault of it at once."""

from datetime import time

import pytest

from application.approval_terms import Terms
from domain.approval import Approver, Policy, Rule, Stage
from domain.business_time import ALWAYS, Calendar, Hours
from interfaces.approvals.file import MOST_BYTES, NOTHING, BadApprovals, LaidDown, read_approvals
from tests.builders import OTHER_TENANT, TENANT

TWO_EYES = Policy(stages=(Stage(name="finance", approvers=(Approver(group="finance", count=2),)),))
SMALL = Policy(stages=(Stage(name="sales", approvers=(Approver(user="ada"),)),))


def lines(text: str) -> tuple[str, ...]:
    """What is said of a bad file."""
    with pytest.raises(BadApprovals) as bad:
        read_approvals(text.encode())
    assert str(bad.value).splitlines() == list(bad.value.lines)
    return bad.value.lines


def test_all_that_a_tenant_may_lay_down() -> None:
    text = f"""
    tenants:
      {TENANT}:
        calendar: {{zone: Europe/Berlin, week: {{monday: ["09:00-17:00"]}}}}
        policies:
          two-eyes: {{stages: [{{name: finance, approvers: [{{group: finance, count: 2}}]}}]}}
          small: {{stages: [{{name: sales, approvers: [{{user: ada}}]}}]}}
        rules:
          - {{amountFrom: 100000, amountBelow: 1e6, riskFrom: 0.7, riskBelow: 1, policy: two-eyes}}
          - {{policy: small}}
        policiesInRequests: named
        groups: {{finance: [ada, bob, ada], empty: []}}
    """
    week = {0: (Hours(time(9), time(17)),)}
    terms = Terms(
        policies={"two-eyes": TWO_EYES, "small": SMALL},
        rules=(
            Rule(policy=TWO_EYES, amount_from=100_000, amount_below=1e6, risk_from=0.7, risk_below=1),
            Rule(policy=SMALL),
        ),
        calendar=Calendar(zone="Europe/Berlin", week=week),
        in_requests="named",
    )
    groups = {"finance": frozenset({"ada", "bob"}), "empty": frozenset[str]()}
    assert read_approvals(text.encode()) == {TENANT: LaidDown(terms, groups)}


def test_what_is_not_laid_down_is_open() -> None:
    found = read_approvals(f"tenants: {{'*': {{}}, {TENANT.upper()}: {{groups: {{a: [b]}}}}}}".encode())
    assert found["*"] == NOTHING
    assert found[TENANT] == LaidDown(Terms(), {"a": frozenset({"b"})})
    assert (NOTHING.terms.calendar, NOTHING.terms.in_requests) == (ALWAYS, "any")


def test_a_file_may_name_nobody() -> None:
    assert read_approvals(b"tenants: {}") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it must be a mapping with tenants"),
        ("- a", "it must be a mapping with tenants"),
        ("a: [", "not YAML"),
        ("tenants: {'*': {}, '*': {}}", "not allowed: the key '*' given twice in line 1"),
        (f"# {'x' * MOST_BYTES}", f"it is longer than {MOST_BYTES} bytes"),
        ("{}", "tenants: Field required"),
        ("tenants:", "tenants: Input should be an object"),
    ],
)
def test_what_is_no_file_of_approvals_is_told_in_a_line(text: str, told: str) -> None:
    (line,) = lines(text)
    assert line.startswith(told)


BAD = f"""
tenants:
  acme: {{}}
  {TENANT}:
    colour: red
    calendar:
      zone: Europe/Berln
      week: {{monday: ["09:00-12:00", "11:00-13:00"], montag: []}}
      holidays: [2026-02-30]
    policies:
      two-eyes:
        due: soon
        stages: [{{name: a, approvers: [{{user: ada}}], agree: 2}}, {{name: b, approvers: [{{role: 5}}]}}]
      twice: {{stages: [{{name: a, approvers: [{{user: ada}}]}}, {{name: a, approvers: [{{user: bob}}]}}]}}
      "": {{stages: [{{name: a, approvers: [{{user: ada}}]}}]}}
    rules:
      - {{amountFrom: 5, amountBelow: 5, riskFrom: 2, riskBelow: 1, policy: two-eyes}}
      - {{policy: two-eye}}
      - {{amountFrom: a lot}}
      - none
    policiesInRequests: some
    groups: {{finance: [5], legal: ada}}
  {OTHER_TENANT}:
    calendar: {{zone: UTC, week: {{}}}}
    rules: [{{policy: two-eyes}}]
  {OTHER_TENANT.upper()}: {{}}
"""


def test_every_fault_of_a_file_is_told_at_once_with_its_place() -> None:
    mine, other = f"tenants.{TENANT}", f"tenants.{OTHER_TENANT}"
    told = dict(line.partition(": ")[::2] for line in lines(BAD))
    assert set(told) == {
        "tenants.acme",
        f"{mine}.colour",
        f"{mine}.calendar.zone",
        f"{mine}.calendar.week.monday[1]",
        f"{mine}.calendar.week.montag",
        f"{mine}.calendar.holidays[0]",
        f"{mine}.policies.two-eyes.due",
        f"{mine}.policies.two-eyes.stages[0].agree",
        f"{mine}.policies.two-eyes.stages[1].approvers[0].role",
        f"{mine}.policies.twice.stages[1].name",
        f"{mine}.policies.",
        f"{mine}.rules[0].amountBelow",
        f"{mine}.rules[0].riskBelow",
        f"{mine}.rules[1].policy",
        f"{mine}.rules[2].amountFrom",
        f"{mine}.rules[2].policy",
        f"{mine}.rules[3]",
        f"{mine}.policiesInRequests",
        f"{mine}.groups.finance[0]",
        f"{mine}.groups.legal",
        f"{other}.calendar.week",
        f"{other}.rules[0].policy",
        f"tenants.{OTHER_TENANT.upper()}",
    }
    assert told["tenants.acme"] == "Input should be a tenant's UUID, or * for all other tenants"
    assert told[f"{mine}.rules[1].policy"] == "this tenant has no policy of that name; did you mean two-eyes?"
    assert told[f"{other}.rules[0].policy"] == "this tenant has no policy of that name"


def test_a_rule_that_is_never_asked_is_told() -> None:
    policies = "policies: {small: {stages: [{name: a, approvers: [{user: ada}]}]}}"
    rules = "rules: [{amountFrom: 5, policy: small}, {policy: small}, {riskFrom: 1, policy: small}]"
    (line,) = lines(f"tenants: {{'*': {{{policies}, {rules}}}}}")
    assert line == (
        "tenants.*.rules[2]: Input should come before the rule that fits everything, or it never applies"
    )


def test_no_file_has_more_to_say_than_one_can_read() -> None:
    tenants = "".join(f"  t{number}: {{}}\n" for number in range(600))
    assert len(lines(f"tenants:\n{tenants}")) == 500


def test_the_groups_that_policies_name_and_nobody_is_in_are_known() -> None:
    stage = "{name: a, approvers: [{group: finance}], escalate: [{after: 1h, to: [{group: board}]}]}"
    text = (
        f"tenants: {{'*': {{policies: {{p: {{stages: [{stage}]}}}}, groups: {{finance: [ada], board: []}}}}}}"
    )
    assert read_approvals(text.encode())["*"].empty_groups == ["board"]
