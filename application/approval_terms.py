"""What a tenant has configured for its approvals: policies, rules, and working hours."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from domain.approval import Policy, Rule, chosen
from domain.business_time import ALWAYS, Calendar
from domain.errors import BadInput, NotAllowed
from domain.faults import Fault

InRequests = Literal["any", "named", "none"]
"""Which policy a request may choose: any that it describes, one of the tenant's, or none."""

APPROVAL_ID = "{approvalId}"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's terms. ``url`` is where people see an approval, with :data:`APPROVAL_ID` in it, or
    empty."""

    policies: Mapping[str, Policy] = {}
    rules: Sequence[Rule] = ()
    calendar: Calendar = ALWAYS
    in_requests: InRequests = "any"
    separate_duties: bool = True
    reason_on_rejection: bool = False
    url: str = ""

    def by_rule(self, amount: float, risk_score: float) -> Policy:
        """Return the policy that the tenant's rules give to an approval."""
        return self._under_tenants_rules(chosen(self.rules, amount=amount, risk_score=risk_score))

    def asked_for(self, policy: str | Policy) -> Policy:
        """Return the policy that a request names or describes.

        Raises:
            NotAllowed: the tenant lets its requests choose no policy, or not that one.
            BadInput: there is no policy of that name.
        """
        if self.in_requests == "none":
            raise NotAllowed("this tenant's rules choose the policy: a request may not name one")
        if isinstance(policy, Policy):
            if self.in_requests == "named":
                raise NotAllowed("a request may only name one of this tenant's policies")
            return self._under_tenants_rules(policy)
        if policy not in self.policies:
            known = ", ".join(sorted(self.policies)) or "none"
            message = f"must be the name of one of this tenant's policies: {known}"
            raise BadInput("the policy is not known", [Fault("policy", message)])
        return self._under_tenants_rules(self.policies[policy])

    def url_of(self, approval_id: str) -> str | None:
        """Return where people see an approval."""
        return self.url.replace(APPROVAL_ID, approval_id) or None

    def _under_tenants_rules(self, policy: Policy) -> Policy:
        """Return a policy with the tenant's separation of duties, and at least its rule on reasons."""
        return msgspec.structs.replace(
            policy,
            separate_duties=self.separate_duties,
            reason_on_rejection=policy.reason_on_rejection or self.reason_on_rejection,
        )


class ApprovalTerms(Protocol):
    """Every tenant's terms."""

    def of(self, tenant: str) -> Terms:
        """Return the present terms of a tenant."""
        ...
