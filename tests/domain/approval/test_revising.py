"""Facts that change: what matters voids what was agreed and asks again, what does not is only told."""

from typing import Any

import pytest

from domain.approval import BARE, ApprovalRevised, Escalation, Opening, Policy
from domain.approval.seen import MOST_PAYLOAD_BYTES
from domain.errors import (
    ApprovalNotPending,
    ApprovalUndecidable,
    BadInput,
    FactsChanged,
    NotAllowed,
    NotAnApprover,
)
from domain.values import StepRef
from tests.builders import after
from tests.domain.approval.asked import (
    agreed,
    approve,
    approved,
    asked,
    group,
    of,
    policy,
    reject,
    requested,
    stage,
    user,
)
from tests.domain.approval.handled import (
    claim,
    escalate,
    look_again,
    reassign,
    remind,
    revise,
    to_bare,
    withdraw,
)

TWO = of(group("finance", 2))
STAGED = policy(stage(group("finance"), name="first"), stage(user("edna"), name="last"))
PAYLOAD = {"discount": 0.2, "terms": {"days": 30}, "note": "as discussed"}
BOUND = policy(stage(group("finance", 2)), bound_to=("discount", "terms.days"))


def told(**facts: Any) -> ApprovalRevised:
    """That the usual approval's facts are now these."""
    usual: dict[str, Any] = {
        "approval_id": "a-1",
        "at": after(minutes=5),
        "amount": 250_000,
        "risk_score": 0.91,
    }
    return ApprovalRevised(**usual | facts)


def test_a_changed_amount_voids_what_was_agreed_and_asks_again_in_the_first_stage() -> None:
    second = asked(STAGED).when(approve("ada")).and_so()
    opening = Opening(round=1, stage=0, name="first", waits_for=("group:finance",), seats=(1,))
    anew = second.when(revise("rita", amount=300_000, reason="more")).then(
        told(amount=300_000, reason="more", voids=True, opening=opening)
    )
    state = anew.state
    assert (state.amount, state.rounds, state.status) == (300_000, 1, "pending")
    assert (state.votes, state.earlier, state.waits_for) == ((), (), ("group:finance",))
    assert state.digest != second.state.digest
    anew.when(approve("edna")).then_refused(NotAnApprover)
    anew.when(approve("ada", digest=second.state.digest)).then_refused(FactsChanged)
    again = anew.when(approve("ada", digest=state.digest)).and_so()
    assert again.state.opening is not None
    assert (again.state.opening.round, again.state.opening.name) == (1, "last")


@pytest.mark.parametrize("facts", [{"amount": 1}, {"risk_score": 0.5}, {"payload": {"a": 1}}])
def test_what_the_decision_is_about_matters(facts: Any) -> None:
    once = asked(TWO).when(approve("ada")).and_so()
    (event,) = once.when(revise("rita", **facts)).happened()
    assert isinstance(event, ApprovalRevised)
    assert event.voids


def test_a_changed_description_changes_nothing_else() -> None:
    once = asked(TWO).when(approve("ada")).and_so()
    revised = once.when(revise("otto", subject="Acme", reason="typo")).then(
        told(subject="Acme", reason="typo")
    )
    assert revised.state.subject == "Acme"
    assert (revised.state.votes, revised.state.opening) == (once.state.votes, once.state.opening)
    assert (revised.state.digest, revised.state.due_at) == (once.state.digest, once.state.due_at)
    revised.when(approve("bob")).then(agreed("bob", 0), approved("bob"))


@pytest.mark.parametrize(
    ("payload", "voids"),
    [
        ({**PAYLOAD, "note": "as discussed with legal", "new": [1]}, False),
        ({**PAYLOAD, "terms": {"days": 30, "place": "Kiel"}}, False),
        ({**PAYLOAD, "discount": 0.3}, True),
        ({**PAYLOAD, "terms": {"days": 31}}, True),
        ({"discount": 0.2, "note": "no terms"}, True),
        ({**PAYLOAD, "terms": 30}, True),
    ],
)
def test_of_the_payload_that_matters_which_the_policy_binds_to(payload: Any, voids: bool) -> None:
    once = asked(BOUND, requested(payload=PAYLOAD)).when(approve("ada")).and_so()
    revised = once.when(revise("rita", payload=payload)).and_so()
    assert revised.state.payload == payload
    assert bool(revised.state.votes) != voids
    assert revised.state.rounds == voids


def test_a_payload_that_comes_later_and_holds_nothing_that_is_bound_to_does_not_matter() -> None:
    once = asked(BOUND).when(approve("ada")).and_so()
    assert once.when(revise("rita", payload={"note": "x"})).and_so().state.votes
    assert not once.when(revise("rita", payload={"discount": 0})).and_so().state.votes


@pytest.mark.parametrize(
    "same", [{}, {"amount": 250_000}, {"amount": 250_000.0, "risk_score": 0.91}, {"reason": "why not"}]
)
def test_nothing_happens_where_nothing_has_changed(same: Any) -> None:
    asked(TWO).when(revise("rita", **same)).then_nothing()


def test_the_same_payload_in_another_form_is_the_same() -> None:
    story = asked(TWO, requested(payload={"a": 1, "b": [2.0]}))
    story.when(revise("rita", payload={"b": [2], "a": 1.0})).then_nothing()


@pytest.mark.parametrize("other", [{"agreed": True}, {"agreed": "1"}, {"agreed": 1, "more": None}])
def test_a_payload_that_python_takes_for_the_same_may_be_another(other: Any) -> None:
    story = asked(TWO, requested(payload={"agreed": 1})).when(approve("ada")).and_so()
    anew = story.when(revise("rita", payload=other)).and_so()
    assert (anew.state.payload, anew.state.votes) == (other, ())


def test_the_tenants_rules_choose_the_policy_for_the_new_facts() -> None:
    seen = []

    def rules(amount: float, risk_score: float) -> Policy:
        seen.append((amount, risk_score))
        return STAGED

    anew = asked(TWO).when(approve("ada")).and_so().when(revise("rita", rules=rules, amount=9)).and_so()
    assert seen == [(9, 0.91)]
    assert anew.state.policy == STAGED
    event = anew.events[-1]
    assert isinstance(event, ApprovalRevised)
    assert (event.policy, event.voids) == (STAGED, True)
    anew.when(approve("bob")).and_so().when(approve("edna")).and_so()


def test_the_same_policy_is_not_told_again() -> None:
    (event,) = asked(TWO).when(revise("rita", amount=9)).happened()
    assert isinstance(event, ApprovalRevised)
    assert event.policy is None


def test_a_request_that_described_its_own_policy_keeps_it() -> None:
    own = asked(TWO, requested(own_policy=True))
    assert own.when(revise("rita", rules=to_bare, amount=9)).and_so().state.policy == TWO


def test_where_several_had_to_agree_one_may_be_enough_afterwards() -> None:
    once = asked(TWO).when(approve("ada")).and_so()
    bare = once.when(revise("rita", rules=to_bare, amount=9)).then(told(amount=9, voids=True, policy=BARE))
    assert (bare.state.policy, bare.state.opening, bare.state.waits_for) == (BARE, None, ())
    (event,) = bare.when(approve("zoe")).happened()
    assert event == approved("zoe", digest=bare.state.digest)


def test_where_one_was_enough_several_may_have_to_agree_afterwards() -> None:
    staged = asked().when(revise("rita", rules=lambda amount, risk: TWO, amount=9_000_000)).and_so()
    assert staged.state.opening is not None
    assert staged.state.opening.seats == (2,)
    staged.when(approve("zoe")).then_refused(NotAnApprover)
    half = staged.when(approve("ada")).and_so()
    assert half.state.status == "pending"


def test_what_the_new_policy_lets_nobody_decide_is_refused_and_all_stays_as_it_was() -> None:
    once = asked(TWO).when(approve("ada")).and_so()
    hopeless = revise("rita", rules=lambda amount, risk: of(group("nobody")), amount=9)
    refusal = once.when(hopeless).then_refused(ApprovalUndecidable)
    assert refusal.details == {"reason": "stage only does not have enough people who can agree"}


def test_who_has_left_since_is_missed_when_all_are_asked_again() -> None:
    once = asked(TWO).when(approve("ada")).and_so()
    left = revise("rita", amount=9, here={"groups": {"finance": ("ada",)}})
    once.when(left).then_refused(ApprovalUndecidable)


def test_the_due_date_stays_and_one_is_set_where_there_was_none() -> None:
    hours = policy(stage(group("finance")), due_after_seconds=3600.0, grace_seconds=60.0)
    bounded = asked(hours).when(revise("rita", amount=9)).and_so()
    assert (bounded.state.due_at, bounded.state.expires_at) == (after(hours=1), after(hours=1, minutes=1))
    first = asked().when(revise("rita", rules=lambda amount, risk: hours, amount=9)).and_so()
    assert first.state.due_at == after(hours=1, minutes=5)
    assert first.state.expires_at == after(hours=1, minutes=6)


def test_the_new_policys_grace_counts_from_the_same_due_date_unless_that_were_over_at_once() -> None:
    hours = policy(stage(group("finance")), due_after_seconds=240.0, grace_seconds=3600.0)
    late = asked(hours)
    longer = policy(stage(group("finance")), grace_seconds=7200.0)
    anew = late.when(revise("rita", rules=lambda amount, risk: longer, amount=9)).and_so()
    assert (anew.state.due_at, anew.state.expires_at) == (after(minutes=4), after(minutes=124))
    anew = late.when(revise("rita", rules=to_bare, amount=9)).and_so()
    assert (anew.state.due_at, anew.state.expires_at) == (after(minutes=4), after(minutes=64))
    assert anew.when(approve("zoe")).happened()


def test_what_was_claimed_reminded_of_escalated_and_handed_on_begins_anew() -> None:
    escalated = stage(
        group("finance", 2),
        remind_after_seconds=(60.0,),
        escalations=(Escalation(after_seconds=60.0, to=(group("board"),)),),
    )
    story = asked(policy(escalated))
    for step in (claim("ada"), remind(), escalate(), reassign("bob", user("hugo"))):
        story = story.when(step).and_so()
    anew = story.when(revise("rita", amount=9)).and_so()
    state = anew.state
    assert (state.claim, state.reminders, state.escalations, state.substitutes) == (None, (), (), ())
    anew.when(approve("hugo")).then_refused(NotAnApprover)
    anew.when(remind()).then_nothing()
    anew.when(escalate()).then_nothing()
    assert anew.when(remind(round=1, at=after(minutes=6))).happened()
    assert anew.when(escalate(round=1)).happened()


def test_what_was_undecidable_is_asked_again_where_the_new_facts_let_enough_decide() -> None:
    hopeless = asked(of(group("nobody")), must_open=True)
    anew = hopeless.when(revise("rita", rules=lambda amount, risk: TWO, amount=9)).and_so()
    assert not anew.state.undecidable
    hopeless.when(revise("rita", subject="x")).and_so().when(look_again()).then_nothing()


def test_the_new_payload_may_be_so_large_and_no_larger() -> None:
    too_large = {"text": "x" * MOST_PAYLOAD_BYTES}
    asked(TWO).when(revise("rita", payload=too_large)).then_refused(BadInput)


def test_what_has_ended_or_expired_cannot_be_changed() -> None:
    asked().when(reject("ann")).and_so().when(revise("rita", amount=9)).then_refused(ApprovalNotPending)
    asked().when(withdraw("rita")).and_so().when(revise("rita", amount=9)).then_refused(ApprovalNotPending)
    late = asked(policy(due_after_seconds=300.0))
    late.when(revise("rita", amount=9)).then_refused(ApprovalNotPending)


def test_a_second_change_asks_a_third_time() -> None:
    story = asked(TWO).when(revise("rita", amount=9)).and_so().when(revise("rita", amount=10)).and_so()
    assert story.state.opening is not None
    assert (story.state.rounds, story.state.opening.round) == (2, 2)
    staged = asked(STAGED).when(revise("rita", amount=9)).and_so().when(approve("ada")).and_so()
    assert staged.state.opening is not None
    assert (staged.state.opening.round, staged.state.opening.stage) == (1, 1)


def test_the_figures_of_a_steps_approval_are_an_operators_to_change() -> None:
    """The workflow goes on with its own, whatever was agreed on."""
    waited_for = asked(TWO, requested(step=StepRef(workflow_id="w-1", step_id="s-1", attempt=1)))
    waited_for.when(revise("rita", amount=1)).then_refused(NotAllowed)
    assert waited_for.when(revise("rita", subject="another word")).happened()
    assert waited_for.when(revise("olga", operator=True, amount=1)).happened()
