"""Reads the approvals file, which has the approval policies, rules and groups of each tenant, in YAML.

.. code-block:: yaml

    tenants:
      "*":                           # every tenant that is not named
        groups: {finance: [ada, bob]}
      6f0f0c58-6a51-4b0c-9a53-1b2f5a1c9e10:
        calendar:
          zone: Europe/Berlin
          week: {monday: ["09:00-12:00", "13:00-17:00"], tuesday: ["09:00-17:00"]}
          holidays: [2026-12-25]
        policies:
          two-eyes: {stages: [{name: finance, approvers: [{group: finance, count: 2}]}]}
        rules:                       # the first that fits
          - {amountFrom: 100000, policy: two-eyes}
        policiesInRequests: named
        groups: {finance: [cy, dee, eve]}

A tenant that is named has only what is under its own name: it inherits nothing from ``*``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import msgspec
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from application.approval_terms import Terms
from domain.approval import Policy, Rule
from domain.business_time import ALWAYS
from domain.faults import Fault, path_of
from domain.suggestions import did_you_mean
from domain.values import is_uuid
from interfaces.approvals.business_time import CalendarDocument
from interfaces.approvals.faults import raise_faults
from interfaces.approvals.policy import PolicyDocument, PolicyName
from interfaces.definitions.yaml_reader import InvalidYaml, read_yaml
from interfaces.fields import Id, Number, Silent
from interfaces.findings import findings
from interfaces.rest.models import ApiModel

EVERYONE_ELSE = "*"
"""The name for all tenants that are not named."""

MOST_BYTES = 1024 * 1024
MOST_MEMBERS = 5_000
"""The largest number of members of a group."""

MOST_FAULTS = 500
_MOST_POLICIES = 200
_MOST_RULES = 200
_MOST_GROUPS = 1_000


class BadApprovals(Exception):
    """The file is not valid. The text has a line for each fault."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.lines = tuple(f"{field}: {message}" if field else message for field, message in faults)
        super().__init__("\n".join(self.lines))


class LaidDown(msgspec.Struct, frozen=True):
    """The terms and groups of a tenant in the file. The terms lack the parts that the settings add."""

    terms: Terms = Terms()
    groups: Mapping[str, frozenset[str]] = {}

    @property
    def empty_groups(self) -> list[str]:
        """The groups in the policies that have no members."""
        stages = (stage for policy in self.terms.policies.values() for stage in policy.stages)
        named = frozenset(group for stage in stages for group in stage.groups)
        return sorted(group for group in named if not self.groups.get(group))


NOTHING = LaidDown()


class RuleDocument(ApiModel):
    """The policy for a range of amounts and risk scores. Lower bounds are inclusive, upper ones exclusive."""

    amount_from: Silent[Number] = None
    amount_below: Silent[Number] = None
    risk_from: Silent[Number] = None
    risk_below: Silent[Number] = None
    policy: PolicyName

    @model_validator(mode="after")
    def _fits_something(self) -> Self:
        raise_faults("rule", self._empty_bounds())
        return self

    @property
    def fits_everything(self) -> bool:
        """Whether the rule has no bounds, so that later rules never apply."""
        bounds = (self.amount_from, self.amount_below, self.risk_from, self.risk_below)
        return all(bound is None for bound in bounds)

    def rule(self, policies: Mapping[str, Policy]) -> Rule:
        """Return the domain's object."""
        return Rule(
            policy=policies[self.policy],
            amount_from=self.amount_from,
            amount_below=self.amount_below,
            risk_from=self.risk_from,
            risk_below=self.risk_below,
        )

    def _empty_bounds(self) -> Iterator[Fault]:
        for what, least, below in (
            ("amount", self.amount_from, self.amount_below),
            ("risk", self.risk_from, self.risk_below),
        ):
            if least is not None and below is not None and below <= least:
                yield Fault(f"{what}Below", f"Input should be greater than {what}From")


def _each_is_reached(rules: list[RuleDocument]) -> list[RuleDocument]:
    for number, rule in enumerate(rules[:-1]):
        if rule.fits_everything:
            why = "Input should come before the rule that fits everything, or it never applies"
            raise_faults("rules", [Fault(f"[{number + 1}]", why)])
    return rules


def _tenant(name: str) -> str:
    if name != EVERYONE_ELSE and not is_uuid(name):
        raise PydanticCustomError("tenant", "Input should be a tenant's UUID, or * for all other tenants")
    return name


class TenantDocument(ApiModel):
    """The part of one tenant."""

    calendar: Silent[CalendarDocument] = None
    policies: Annotated[
        dict[PolicyName, PolicyDocument], Field(default_factory=dict, max_length=_MOST_POLICIES)
    ]
    rules: Annotated[
        list[RuleDocument],
        Field(default_factory=list, max_length=_MOST_RULES),
        AfterValidator(_each_is_reached),
    ]
    policies_in_requests: Silent[Literal["any", "named", "none"]] = None
    groups: Annotated[
        dict[Id, Annotated[list[Id], Field(max_length=MOST_MEMBERS)]],
        Field(default_factory=dict, max_length=_MOST_GROUPS),
    ]

    def laid_down(self) -> LaidDown:
        """Return the domain's objects. The rules must name existing policies."""
        policies = {name: each.policy() for name, each in self.policies.items()}
        terms = Terms(
            policies=policies,
            rules=tuple(rule.rule(policies) for rule in self.rules),
            calendar=self.calendar.calendar() if self.calendar else ALWAYS,
            in_requests=self.policies_in_requests or ("none" if self.rules else "any"),
        )
        return LaidDown(terms, {name: frozenset(members) for name, members in self.groups.items()})


class ApprovalsDocument(ApiModel):
    """The whole file."""

    tenants: dict[Annotated[str, AfterValidator(_tenant)], TenantDocument]


def read_approvals(raw: bytes) -> dict[str, LaidDown]:
    """Return the terms and groups of each tenant that a file names.

    Raises:
        BadApprovals: the file is not valid.
    """
    if len(raw) > MOST_BYTES:
        raise BadApprovals([Fault("", f"it is longer than {MOST_BYTES} bytes")])
    try:
        given = read_yaml(raw)
    except InvalidYaml as error:
        raise BadApprovals([Fault("", str(error))]) from None
    if not isinstance(given, dict):
        raise BadApprovals([Fault("", "it must be a mapping with tenants")])
    rest = [*_tenants_named_twice(given), *_unknown_policies(given)]
    try:
        document = ApprovalsDocument.model_validate(given)
    except ValidationError as error:
        told = [Fault(path_of(place), message) for place, message in findings(error, ApprovalsDocument)]
        raise BadApprovals([*told, *rest][:MOST_FAULTS]) from None
    if rest:
        raise BadApprovals(rest[:MOST_FAULTS])
    return {name.lower(): each.laid_down() for name, each in document.tenants.items()}


def _tenants_named_twice(given: Mapping[str, Any]) -> Iterator[Fault]:
    known: set[str] = set()
    for name in _mapping(given.get("tenants")):
        if name.lower() in known:
            yield Fault(path_of(("tenants", name)), "is named twice")
        known.add(name.lower())


def _unknown_policies(given: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield faults for unknown policies. They are searched in the raw content, so that other faults do not
    hide them."""
    for name, tenant in _mapping(given.get("tenants")).items():
        known, rules = _mapping(_mapping(tenant).get("policies")), _mapping(tenant).get("rules")
        for number, rule in enumerate(rules if isinstance(rules, list) else ()):
            policy = _mapping(rule).get("policy")
            if isinstance(policy, str) and policy not in known:
                message = "this tenant has no policy of that name" + did_you_mean(policy, known)
                yield Fault(path_of(("tenants", name, "rules", number, "policy")), message)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
