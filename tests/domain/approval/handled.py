"""Short words for what is done with an approval besides deciding it, by people and by the clock."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypedDict, Unpack

from domain import approval
from domain.approval import BARE, Approver, Policy
from tests.builders import after
from tests.domain.approval.asked import Decide, Said, Surroundings, around, ballot, surroundings


class Facts(TypedDict, total=False):
    """What may have changed."""

    amount: int | float
    risk_score: int | float
    subject: str
    payload: dict[str, Any]
    reason: str


def revise(
    by: str,
    *,
    operator: bool = False,
    rules: Callable[[float, float], Policy] | None = None,
    here: Surroundings | None = None,
    **facts: Unpack[Facts],
) -> Decide:
    """To tell of changed facts; the rules are the policy that there is, if silent."""
    return lambda state: approval.revise(
        state,
        by=by,
        may_do_all=operator,
        amount=facts.get("amount"),
        risk_score=facts.get("risk_score"),
        subject=facts.get("subject"),
        payload=facts.get("payload"),
        reason=facts.get("reason"),
        policy_for=rules or (lambda amount, risk_score: state.policy),
        around=around(**(here or {})),
    )


def to_bare(amount: float, risk_score: float) -> Policy:
    """Rules by which any one person decides."""
    return BARE


def withdraw(by: str, *, operator: bool = False, at: datetime | None = None) -> Decide:
    """To ask no longer."""
    circumstances = around(at=at or after(minutes=5))
    return lambda state: approval.withdraw(
        state, by=by, reason="off", around=circumstances, may_do_all=operator
    )


def claim(by: str, **said: Unpack[Said]) -> Decide:
    """To see to it."""
    return lambda state: approval.claim(state, ballot(by, **said), around(**surroundings(said)))


def release(by: str, *, operator: bool = False, at: datetime | None = None) -> Decide:
    """To see to it no longer."""
    circumstances = around(at=at or after(minutes=5))
    return lambda state: approval.release(state, by, circumstances, may_do_all=operator)


def reassign(by: str, to: Approver, *, operator: bool = False, **said: Unpack[Said]) -> Decide:
    """To let another decide."""
    return lambda state: approval.reassign(
        state,
        ballot(by, **said),
        around(**surroundings(said)),
        to=to,
        reason="away",
        may_do_all=operator,
    )


def comment(by: str, text: str) -> Decide:
    """To say something."""
    return lambda state: approval.comment(state, by=by, text=text, around=around())


def expire(at: datetime) -> Decide:
    """The clock says that it is over."""
    return lambda state: approval.expire(state, now=at)


def remind(number: int = 1, *, round: int = 0, stage: int = 0, at: datetime | None = None) -> Decide:
    """The clock says that it is time for a reminder."""
    now = at or after(minutes=5)
    return lambda state: approval.remind(state, round=round, stage=stage, number=number, now=now)


def escalate(number: int = 1, *, round: int = 0, stage: int = 0, **here: Unpack[Surroundings]) -> Decide:
    """The clock says that it is time for an escalation."""
    return lambda state: approval.escalate(
        state, round=round, stage=stage, number=number, around=around(**here)
    )


def look_again(**here: Unpack[Surroundings]) -> Decide:
    """To see who is left."""
    return lambda state: approval.look_again(state, around(**here))
