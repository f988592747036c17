"""All that people and the clock ask of one approval, in any order, while groups and delegations change."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import approval, delegation
from domain.approval import (
    BARE,
    Approval,
    ApprovalApproved,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalExpired,
    ApprovalRejected,
    ApprovalReleased,
    ApprovalWithdrawn,
    Approver,
    Ballot,
    Circumstances,
    Escalation,
    People,
    Policy,
    Stage,
)
from domain.business_time import ALWAYS
from domain.delegation import DelegationMade, Delegations
from domain.errors import Refusal
from domain.event import Event
from tests.builders import NOW
from tests.domain.approval.asked import REQUESTED, group, role, user
from tests.domain.approval.model import BEARER, Model, Surrounding
from tests.domain.scenario import fold

PEOPLE = ("ada", "bob", "cleo", "dora", "rita", "otto", BEARER)
ASKERS = frozenset({"rita", "otto"})

Decide = Callable[[Approval, Ballot, Circumstances], Sequence[Event]]

people = st.sampled_from(PEOPLE)
groups = st.sampled_from(["finance", "legal"])
approvers = st.one_of(
    people.map(user), st.builds(group, groups, st.sampled_from([1, 2, None])), st.just(role("cfo"))
)

ENDS = (ApprovalApproved, ApprovalRejected, ApprovalWithdrawn, ApprovalExpired)
COMES_FROM: dict[type[Event], str] = {
    ApprovalApproved: "approve",
    ApprovalRejected: "reject",
    ApprovalWithdrawn: "withdraw",
    ApprovalExpired: "expire",
    ApprovalClaimed: "claim",
    ApprovalReleased: "release",
}


@st.composite
def stages(draw: st.DrawFn, name: str) -> Stage:
    """Any stage that makes sense."""
    asked = draw(st.lists(approvers, min_size=1, max_size=3, unique_by=lambda each: each.key))
    seats = sum(each.count or 1 for each in asked)
    escalation = Escalation(after_seconds=60, to=(draw(st.one_of(people.map(user), groups.map(group))),))
    return Stage(
        name=name,
        approvers=tuple(asked),
        agree=draw(st.one_of(st.just("all"), st.integers(1, seats))),
        rejections=draw(st.integers(1, 2)),
        remind_after_seconds=(30,),
        escalations=draw(st.sampled_from([(), (escalation,)])),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy of up to two stages."""
    names = draw(st.sampled_from([("first",), ("first", "last")]))
    return Policy(
        stages=tuple(draw(stages(name)) for name in names),
        due_after_seconds=draw(st.sampled_from([None, 300.0])),
        grace_seconds=60.0,
        bound_to=("price",),
    )


class ApprovalMachine(RuleBasedStateMachine):
    """One approval; each append is judged by the rules, and what they decide by the model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.groups = {"finance": {"ada", "bob", "cleo"}, "legal": {"cleo", "dora"}}
        self.delegations: Delegations | None = None
        self.made = 0
        self.events: list[Event] = []
        self.state: Approval | None = None
        self.model = Model()

    @property
    def surrounding(self) -> Surrounding:
        running = self.delegations.running.values() if self.delegations else ()
        links = [(each.by, each.to) for each in running if each.starts_at <= self.now < each.ends_at]
        return Surrounding(self.groups, links, ASKERS)

    @property
    def around(self) -> Circumstances:
        members = {name: frozenset(people) for name, people in self.groups.items()}
        return Circumstances(self.now, People(members, self.delegations or delegation.NONE), ALWAYS)

    @property
    def over(self) -> bool:
        return self.state is not None and (
            self.state.status != "pending"
            or (self.state.expires_at is not None and self.now >= self.state.expires_at)
        )

    def ask(self, name: str, decide: Callable[[Approval], Sequence[Event]]) -> Sequence[Event]:
        """What is decided happens; the same again leads to nothing, unless it is something more to say."""
        assert self.state is not None
        try:
            happened = decide(self.state)
        except Refusal:
            return ()
        for event in happened:
            assert COMES_FROM.get(type(event), name) == name
            if isinstance(event, ApprovalApproved):
                assert self.model.open is None or self.model.open.missing(self.surrounding) == 0
            if isinstance(event, ApprovalApproved | ApprovalRejected):
                assert not self.over
            self.model.follow(event, self.surrounding)
            self.state = approval.evolve(self.state, event)
            self.events.append(event)
        if name != "comment":
            try:
                assert decide(self.state) == ()
            except Refusal:
                assert name in {"claim", "reassign", "delegate"} or not happened
        return happened

    @initialize(chosen=st.one_of(policies(), policies(), st.just(BARE)), due=st.sampled_from([None, 200.0]))
    def request(self, chosen: Policy, due: float | None) -> None:
        due_at = None if due is None else NOW + timedelta(seconds=due)
        requested = approval.ApprovalRequested(
            **{name: getattr(REQUESTED, name) for name in ("approval_id", "opportunity_id", "risk_score")},
            amount=1,
            requested_at=NOW,
            requested_by="rita",
            owner_id="otto",
            payload={"price": 1},
            due_at=due_at,
        )
        self.model.policy = chosen
        happened = approval.request(None, requested, chosen, self.around, refuse_undecidable=False)
        for event in happened:
            self.model.follow(event, self.surrounding)
            self.state = approval.evolve(self.state, event)
            self.events.append(event)

    def ballot(self, by: str, for_: str | None, stage: str | None, digest: str) -> Ballot:
        assert self.state is not None
        digests = {"none": None, "seen": self.state.digest, "other": "sha256:00"}
        roles = frozenset({"cfo"} if by == BEARER else ())
        return Ballot(by=by, roles=roles, on_behalf_of=for_, stage=stage, digest=digests[digest])

    @rule(
        by=people,
        for_=st.one_of(st.none(), st.none(), people),
        stage=st.sampled_from([None, None, "first", "last"]),
        digest=st.sampled_from(["none", "seen", "seen", "other"]),
        agrees=st.sampled_from([True, True, True, False]),
    )
    def decide(self, by: str, for_: str | None, stage: str | None, digest: str, agrees: bool) -> None:
        ballot = self.ballot(by, for_, stage, digest)
        if agrees:
            self.ask("approve", lambda state: approval.approve(state, ballot, self.around))
        else:
            self.ask("reject", lambda state: approval.reject(state, ballot, self.around))

    @precondition(lambda self: not self.over)
    @rule(data=st.data())
    def somebody_agrees(self, data: st.DataObject) -> None:
        """What anybody says is mostly refused: here it is one of those whose word counts."""
        self.decided_by_one_who_may(data, approval.approve)

    another_agrees = rule(data=st.data())(lambda self, data: self.somebody_agrees(data))
    a_third_agrees = rule(data=st.data())(lambda self, data: self.somebody_agrees(data))

    @precondition(lambda self: not self.over)
    @rule(data=st.data())
    def somebody_objects(self, data: st.DataObject) -> None:
        self.decided_by_one_who_may(data, approval.reject)

    @rule(by=people, to=people, data=st.data())
    def somebody_stands_in(self, by: str, to: str, data: st.DataObject) -> None:
        self.delegate(by, to, 0, 100)
        self.decided_by_one_who_may(data, approval.approve, sorted(self.surrounding.principals_of(to)))

    def decided_by_one_who_may(
        self, data: st.DataObject, decide: Decide, principals: Sequence[str] = ()
    ) -> None:
        pairs: list[tuple[str, str | None]] = [(by, None) for by in PEOPLE] if not principals else []
        for by in PEOPLE:
            pairs += [(by, for_) for for_ in self.surrounding.principals_of(by) if for_ in principals]
        may = [pair for pair in pairs if self.would(decide, *pair)]
        if may:
            by, for_ = data.draw(st.sampled_from(may))
            ballot = self.ballot(by, for_, self.open_stage, "seen")
            self.ask(decide.__name__, lambda state: decide(state, ballot, self.around))

    def would(self, decide: Decide, by: str, for_: str | None) -> bool:
        assert self.state is not None
        try:
            return bool(decide(self.state, self.ballot(by, for_, self.open_stage, "seen"), self.around))
        except Refusal:
            return False

    @property
    def open_stage(self) -> str | None:
        return self.state.opening.name if self.state and self.state.opening else None

    @precondition(lambda self: len(self.events) % 2 == 1)
    @rule(by=people, to=st.one_of(people.map(user), groups.map(group)), operator=st.booleans())
    def reassign(self, by: str, to: Approver, operator: bool) -> None:
        ballot = self.ballot(by, None, None, "none")
        self.ask(
            "reassign",
            lambda state: approval.reassign(
                state, ballot, self.around, to=to, reason="r", may_do_all=operator
            ),
        )

    @precondition(lambda self: len(self.events) % 4 == 3)
    @rule(
        by=st.sampled_from(["rita", "otto", "ada"]),
        amount=st.sampled_from([None, None, 1, 2]),
        price=st.sampled_from([None, 1, 1.0, 2]),
        subject=st.sampled_from([None, "a", "b"]),
        rules=st.one_of(st.none(), st.none(), policies(), st.just(BARE)),
    )
    def revise(self, by: str, amount: Any, price: Any, subject: str | None, rules: Policy | None) -> None:
        payload = None if price is None else {"price": price, "note": subject}
        self.ask(
            "revise",
            lambda state: approval.revise(
                state,
                by=by,
                may_do_all=False,
                amount=amount,
                risk_score=None,
                subject=subject,
                payload=payload,
                reason=None,
                policy_for=lambda amount, risk_score: rules or state.policy,
                around=self.around,
            ),
        )

    @rule(by=people, what=st.sampled_from(["claim", "release", "comment"]))
    def handle(self, by: str, what: str) -> None:
        ballot, here = self.ballot(by, None, None, "none"), self.around
        ways: dict[str, Callable[[Approval], Sequence[Event]]] = {
            "claim": lambda state: approval.claim(state, ballot, here),
            "release": lambda state: approval.release(state, by, here, may_do_all=False),
            "comment": lambda state: approval.comment(state, by=by, text="t", around=here),
        }
        self.ask(what, ways[what])

    @precondition(lambda self: len(self.events) > 12)
    @rule(by=people)
    def withdraw(self, by: str) -> None:
        self.ask(
            "withdraw",
            lambda state: approval.withdraw(state, by=by, reason="r", around=self.around, may_do_all=False),
        )

    @rule(round=st.integers(0, 2), stage=st.integers(0, 1))
    def a_timer_fires(self, round: int, stage: int) -> None:
        """Each that was set, or ever was; a reminder is never early, and may be late."""
        here = self.around
        self.ask(
            "remind", lambda state: approval.remind(state, round=round, stage=stage, number=1, now=self.now)
        )
        opening = self.state.opening if self.state else None
        if opening is not None and opening.escalate:
            self.ask(
                "escalate",
                lambda state: approval.escalate(state, round=round, stage=stage, number=1, around=here),
            )
        late = self.over
        happened = self.ask("expire", lambda state: approval.expire(state, now=self.now))
        assert not happened or late
        assert self.state is not None
        assert not late or self.state.status != "pending"

    @rule(seconds=st.sampled_from([1, 1, 50, 150]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.somebody_looks()

    @rule(name=groups, person=st.sampled_from(PEOPLE[:4]))
    def somebody_joins_or_leaves(self, name: str, person: str) -> None:
        self.groups[name] = self.groups[name] ^ {person}
        self.somebody_looks()

    @rule(by=people, to=people, start=st.integers(1, 60), lasts=st.integers(1, 200))
    def delegate(self, by: str, to: str, start: int, lasts: int) -> None:
        self.made += 1
        starts_at = self.now + timedelta(seconds=start)
        made = DelegationMade(
            delegation_id=str(self.made),
            by=by,
            to=to,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(seconds=lasts),
            made_at=self.now,
        )
        try:
            (event,) = delegation.delegate(self.delegations, made)
        except Refusal:
            return
        self.delegations = delegation.evolve(self.delegations, event)
        assert delegation.delegate(self.delegations, made) == ()
        self.somebody_looks()

    @precondition(lambda self: self.made > 1)
    @rule(data=st.data())
    def end_a_delegation(self, data: st.DataObject) -> None:
        number = str(data.draw(st.integers(1, self.made)))
        try:
            (event,) = delegation.end(self.delegations, number, by="", may_do_all=True, now=self.now)
        except Refusal:
            return
        self.delegations = delegation.evolve(self.delegations, event)
        self.somebody_looks()

    def somebody_looks(self) -> None:
        self.ask("look again", lambda state: approval.look_again(state, self.around))

    @invariant()
    def it_ends_once_and_nothing_but_comments_comes_after(self) -> None:
        ends = [number for number, event in enumerate(self.events) if isinstance(event, ENDS)]
        assert len(ends) <= 1
        for event in self.events[ends[0] + 1 :] if ends else ():
            assert isinstance(event, ApprovalCommented)
        assert self.state is None or (self.state.status != "pending") == bool(ends)

    @invariant()
    def it_is_said_to_be_undecidable_just_when_too_few_are_left(self) -> None:
        if self.state is not None and not self.over:
            assert self.state.undecidable != self.model.can_be_met(self.surrounding, PEOPLE)

    @invariant()
    def nobody_is_waited_for_who_has_been_heard_or_may_never_agree(self) -> None:
        if self.state is not None and self.model.open is not None and not self.over:
            never = self.model.open.heard | ASKERS
            assert not {f"user:{person}" for person in never}.intersection(self.state.waits_for)

    @invariant()
    def the_same_events_give_the_same_state(self) -> None:
        if self.events:
            assert fold(approval.evolve, self.events) == self.state


TestApprovalMachine = ApprovalMachine.TestCase
TestApprovalMachine.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
