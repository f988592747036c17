"""What can become of approvals, by the rules of the domain: between them, every event of theirs happens."""

from collections.abc import Callable, Sequence

import msgspec

from domain import approval
from domain.approval import (
    BARE,
    Approval,
    ApprovalRequested,
    Approver,
    Ballot,
    Circumstances,
    Escalation,
    People,
    Policy,
    Stage,
    approval_stream,
)
from domain.business_time import ALWAYS
from domain.delegation import Delegation, Delegations
from domain.event import Event, Recorded
from domain.values import StepRef, derived_id
from tests.builders import NOW, TENANT, after, recorded
from tests.domain.scenario import fold

APPROVAL = derived_id("approval", "of", "the", "stories")
EVERYBODY = {"finance": frozenset({"ada", "bob", "cleo"}), "executives": frozenset({"edna", "fritz"})}
AWAY = Delegations(
    {"d-1": Delegation(delegation_id="d-1", by="bob", to="gina", starts_at=NOW, ends_at=after(days=30))}
)
TWO_OF_FINANCE = Policy(stages=(Stage(name="finance", approvers=(Approver(group="finance", count=2),)),))
LARGE_DEAL = Policy(
    stages=(
        Stage(
            name="review",
            approvers=(Approver(group="finance", count=2), Approver(role="lawyer")),
            agree=2,
            rejections=2,
            remind_after_seconds=(3600.0,),
            escalations=(Escalation(after_seconds=7200.0, to=(Approver(group="executives"),)),),
        ),
        Stage(name="executives", approvers=(Approver(user="hugo"), Approver(group="executives", count=None))),
    ),
    due_after_seconds=48 * 3600.0,
    grace_seconds=3600.0,
    bound_to=("discount", "terms.days"),
)
REQUEST = ApprovalRequested(
    approval_id=APPROVAL, opportunity_id="opp-1", risk_score=0.5, amount=1000, requested_at=NOW
)
FULL_REQUEST = msgspec.structs.replace(
    REQUEST,
    owner_id="otto",
    approver_id="ada",
    recipient_id="ada",
    correlation_id="deal-1",
    approval_url="https://app.example/approvals/1",
    step=StepRef(workflow_id=derived_id("a", "workflow"), step_id=derived_id("a", "step"), attempt=1),
    requested_by="rita",
    subject="Acme, three years",
    payload={"discount": 0.2, "terms": {"days": 30}, "note": "as discussed"},
)

Decide = Callable[[Approval, Circumstances], Sequence[Event]]


class Story:
    """An approval, and what happens to it from hour to hour."""

    def __init__(self, requested: ApprovalRequested, policy: Policy = BARE) -> None:
        self._groups = EVERYBODY
        self._events: list[Event] = []
        self._events += approval.request(None, requested, policy, self._around())

    @property
    def events(self) -> tuple[Recorded, ...]:
        """What has happened, as the log has it."""
        return recorded(approval_stream(TENANT, APPROVAL), self._events)

    def then(self, decide: Decide) -> "Story":
        """Somebody does something, and something comes of it."""
        happened = decide(fold(approval.evolve, self._events), self._around())
        assert happened
        self._events += happened
        return self

    def with_finance(self, *people: str) -> "Story":
        """People leave a group, or come to it."""
        self._groups = self._groups | {"finance": frozenset(people)}
        return self

    def _around(self) -> Circumstances:
        people = People(members=self._groups, delegations=AWAY)
        return Circumstances(after(hours=len(self._events)), people, ALWAYS)


def agrees(person: str, *, comment: str | None = None) -> Decide:
    """Somebody approves."""
    return lambda state, around: approval.approve(state, Ballot(by=person, comment=comment), around)


def objects(person: str, *, comment: str | None = None) -> Decide:
    """Somebody rejects."""
    return lambda state, around: approval.reject(state, Ballot(by=person, comment=comment), around)


def claims(person: str) -> Decide:
    """Somebody sees to it."""
    return lambda state, around: approval.claim(state, Ballot(by=person), around)


def releases(person: str) -> Decide:
    """Somebody sees to it no longer."""
    return lambda state, around: approval.release(state, person, around, may_do_all=False)


def says(person: str, text: str) -> Decide:
    """Somebody comments on it."""
    return lambda state, around: approval.comment(state, by=person, text=text, around=around)


def hands_on(person: str, to: Approver, *, operator: bool = False) -> Decide:
    """Somebody lets another decide."""
    return lambda state, around: approval.reassign(
        state, Ballot(by=person), around, to=to, reason="away", may_do_all=operator
    )


def revises(*, amount: float | None = None, subject: str | None = None, operator: bool = False) -> Decide:
    """Whoever asked tells of changed facts, or an operator where a workflow asked."""
    return lambda state, around: approval.revise(
        state,
        by="rita",
        may_do_all=operator,
        amount=amount,
        risk_score=None,
        subject=subject,
        payload=None,
        reason="news",
        policy_for=lambda amount, risk_score: LARGE_DEAL,
        around=around,
    )


def withdraws(person: str) -> Decide:
    """Whoever asked does so no longer."""
    return lambda state, around: approval.withdraw(
        state, by=person, reason="the deal is off", around=around, may_do_all=True
    )


def reminds(state: Approval, around: Circumstances) -> Sequence[Event]:
    """Time passes."""
    return approval.remind(state, round=state.rounds, stage=0, number=1, now=around.now)


def escalates(state: Approval, around: Circumstances) -> Sequence[Event]:
    """More time passes."""
    return approval.escalate(state, round=state.rounds, stage=0, number=1, around=around)


def expires(state: Approval, around: Circumstances) -> Sequence[Event]:
    """All time has passed."""
    assert state.expires_at is not None
    return approval.expire(state, now=state.expires_at)


STORIES: dict[str, Story] = {
    "one person approves": Story(REQUEST).then(agrees("ada", comment="fine")),
    "one person rejects, who was named": Story(FULL_REQUEST).then(objects("ada", comment="no champion")),
    "all of it agrees": Story(FULL_REQUEST, LARGE_DEAL)
    .then(claims("ada"))
    .then(releases("ada"))
    .then(claims("bob"))
    .then(says("cleo", "wait for\nthe report"))
    .then(reminds)
    .then(escalates)
    .then(objects("cleo", comment="too cheap"))
    .then(agrees("ada", comment="fine"))
    .then(agrees("gina"))
    .then(agrees("edna"))
    .then(agrees("hugo"))
    .then(agrees("fritz")),
    "two reject it": Story(FULL_REQUEST, LARGE_DEAL).then(objects("ada")).then(objects("gina")),
    "the facts change": Story(FULL_REQUEST, LARGE_DEAL)
    .then(agrees("ada"))
    .then(revises(subject="Acme, four years"))
    .then(revises(amount=2000, operator=True))
    .then(hands_on("ada", Approver(user="ida")))
    .then(hands_on("bob", Approver(group="executives")))
    .then(agrees("ida"))
    .then(withdraws("rita")),
    "the rules ask for more, once the amount is larger": Story(FULL_REQUEST).then(
        revises(amount=1e6, operator=True)
    ),
    "people leave": Story(REQUEST, TWO_OF_FINANCE)
    .with_finance("cleo")
    .then(approval.look_again)
    .with_finance("cleo", "ada")
    .then(approval.look_again)
    .with_finance("cleo")
    .then(approval.look_again)
    .then(hands_on("olga", Approver(user="hugo"), operator=True))
    .then(agrees("hugo")),
    "another is named": Story(REQUEST)
    .then(hands_on("ada", Approver(user="bob")))
    .then(hands_on("bob", Approver(group="finance"))),
    "nobody decides in time": Story(FULL_REQUEST, LARGE_DEAL).then(claims("ada")).then(expires),
    "any one person is too late": Story(msgspec.structs.replace(REQUEST, due_at=after(days=1))).then(expires),
}
"""Each by what it tells."""
