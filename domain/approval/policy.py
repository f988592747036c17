"""Who decides on an approval: stages one after the other, and in each of them seats that people fill."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from domain.faults import Fault, within

MOST_SEATS = 50
"""The most seats of one stage."""

MOST_APPROVERS = 50
"""The most entries of all stages. Each may be a group of thousands."""

ANYONE = "anyone"
"""Whom a stage without approvers waits for."""

Agree = Literal["all"] | int


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a policy, and of the events that store it. A default is part of the stored format."""


class Approver(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Whom a stage waits for: a person, some members of a group, or some people with a role. Exactly one is
    set.

    They have ``count`` seats. For a group, ``None`` means a seat for each of its members.
    """

    user: str | None = None
    group: str | None = None
    role: str | None = None
    count: int | None = 1

    @property
    def key(self) -> str:
        """Its form in the inbox: ``user:ada``, ``group:finance`` or ``role:cfo``."""
        return next(f"{kind}:{name}" for kind, name in self._named())

    @property
    def name(self) -> str:
        """Its own name, without the kind."""
        return next(name for _, name in self._named())

    def _named(self) -> Iterator[tuple[str, str]]:
        for kind, name in (("user", self.user), ("group", self.group), ("role", self.role)):
            if name is not None:
                yield kind, name


class Escalation(Part, frozen=True, kw_only=True, omit_defaults=True):
    """If the stage has not ended after so many business seconds, these may fill its seats as well."""

    after_seconds: float
    to: tuple[Approver, ...]


class Stage(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Who must approve before the next stage opens, or the deal goes on.

    ``agree`` says how many of the seats must be filled. Each person fills one. As many ``rejections`` end the
    approval. Reminders are in business seconds after the stage has opened.
    """

    name: str
    approvers: tuple[Approver, ...] = ()
    agree: Agree = "all"
    rejections: int = 1
    remind_after_seconds: tuple[float, ...] = ()
    escalations: tuple[Escalation, ...] = ()

    @property
    def groups(self) -> frozenset[str]:
        """Every group that it names."""
        escalated = (to for escalation in self.escalations for to in escalation.to)
        return frozenset(each.group for each in (*self.approvers, *escalated) if each.group is not None)

    def faults(self) -> Iterator[Fault]:
        """Yield what does not fit together, beyond the form of each part."""
        seats = sum(each.count or 1 for each in self.approvers)
        if seats > MOST_SEATS:
            yield Fault("approvers", f"must have at most {MOST_SEATS} seats, not {seats}")
        known = all(each.count is not None for each in self.approvers)
        if isinstance(self.agree, int) and known and self.agree > seats:
            yield Fault("agree", f"must be at most {seats}, the number of seats")
        keys = [each.key for each in self.approvers]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                yield Fault(f"approvers[{number}]", f"{key} is named twice; use count")


class Policy(Part, frozen=True, kw_only=True, omit_defaults=True):
    """The stages, and until when they may decide.

    An approval is due ``due_after_seconds`` after the request, and expires ``grace_seconds`` after that; both
    are business seconds. ``bound_to`` are the places in the payload that a vote is about, or all of it if not
    given: when one changes, everybody is asked again. The requester and the owner of the deal cannot approve
    it, nor their delegates, unless ``separate_duties`` is off.
    """

    stages: tuple[Stage, ...] = ()
    due_after_seconds: float | None = None
    grace_seconds: float = 0.0
    bound_to: tuple[str, ...] | None = None
    separate_duties: bool = True
    reason_on_rejection: bool = False

    @property
    def groups(self) -> frozenset[str]:
        """Every group that it names."""
        return frozenset().union(*(stage.groups for stage in self.stages))

    def faults(self) -> Iterator[Fault]:
        """Yield everything that does not fit together."""
        approvers = sum(len(stage.approvers) for stage in self.stages)
        if approvers > MOST_APPROVERS:
            yield Fault("stages", f"must name at most {MOST_APPROVERS} approvers in all, not {approvers}")
        names = [stage.name for stage in self.stages]
        for number, stage in enumerate(self.stages):
            yield from within(f"stages[{number}]", stage.faults())
            if stage.name in names[:number]:
                yield Fault(f"stages[{number}].name", f"another stage is already named {stage.name}")


BARE = Policy()
"""The platform's own policy: one decision, by anybody who neither asked for it nor owns the deal."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Which policy applies to an amount and a risk, each from one bound up to below another."""

    policy: Policy
    amount_from: float | None = None
    amount_below: float | None = None
    risk_from: float | None = None
    risk_below: float | None = None

    def fits(self, amount: float, risk_score: float) -> bool:
        """Return whether the rule applies to such an approval."""
        return _within(amount, self.amount_from, self.amount_below) and _within(
            risk_score, self.risk_from, self.risk_below
        )


def chosen(rules: Sequence[Rule], *, amount: float, risk_score: float) -> Policy:
    """Return the policy of the first rule that fits, or the bare one."""
    return next((rule.policy for rule in rules if rule.fits(amount, risk_score)), BARE)


def _within(value: float, least: float | None, below: float | None) -> bool:
    return (least is None or value >= least) and (below is None or value < below)
