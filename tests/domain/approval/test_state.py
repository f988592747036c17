"""What the rules know after each event; an event that cannot follow is a broken log."""

import msgspec
import pytest

from domain import approval
from domain.approval import (
    BARE,
    Approval,
    ApprovalReassigned,
    ApprovalRequested,
    Notice,
)
from domain.approval.events import ApprovalEvent
from domain.event import Event
from domain.job import JobRunCompleted
from tests.builders import NOW, TENANT
from tests.domain.approval.asked import (
    REQUESTED,
    approve,
    approved,
    asked,
    given,
    group,
    policy,
    rejected,
    requested,
    stage,
    user,
)
from tests.domain.approval.handled import claim, comment, reassign
from tests.domain.scenario import fold


@pytest.mark.parametrize(
    ("events", "event"),
    [
        ((), approved("ann")),
        ((), rejected("ann")),
        ((REQUESTED,), REQUESTED),
        ((REQUESTED,), JobRunCompleted(job="outcome-sync", run_id="r", completed_at=NOW)),
    ],
)
def test_an_event_that_cannot_follow_is_a_broken_log(events: tuple[Event, ...], event: Event) -> None:
    state = given(*events).state if events else None
    with pytest.raises(TypeError, match="cannot follow"):
        approval.evolve(state, event)


def test_every_event_of_an_approval_can_follow_a_request() -> None:
    """What each does is told beside the command that leads to it."""
    leaves = [each for each in ApprovalEvent.__args__ if each is not ApprovalRequested]
    state = asked(policy(stage(user("ada")))).state
    for kind in leaves:
        fields = msgspec.structs.fields(kind)
        event = kind(**{field.name: _anything(kind, field.name) for field in fields if field.required})
        assert isinstance(approval.evolve(state, event), Approval)
        assert event.TOPIC.startswith("approval.")


def _anything(kind: type[Event], name: str) -> object:
    opening = asked(policy(stage(user("ada")))).state.opening
    to = user("hugo") if kind is ApprovalReassigned else (user("hugo"),)
    return {"opening": opening, "to": to, "amount": 1, "risk_score": 1, "stage": 0}.get(name, NOW)


def test_an_approvals_stream_is_named_by_its_tenant_and_id() -> None:
    assert approval.approval_stream(TENANT, "a-1") == f"{TENANT}/approval/a-1"


def test_the_same_events_give_the_same_state_also_when_they_were_stored() -> None:
    staged = policy(stage(group("finance", 2)), stage(user("edna"), name="last"), bound_to=("a.b",))
    story = asked(staged, requested(payload={"a": {"b": 1}}))
    for step in (claim("ada"), comment("zoe", "why?"), reassign("bob", user("hugo")), approve("ada")):
        story = story.when(step).and_so()
    kept = [msgspec.json.decode(msgspec.json.encode(event), type=type(event)) for event in story.events]
    assert tuple(kept) == story.events
    assert fold(approval.evolve, kept) == story.state


def test_a_policy_with_nothing_in_it_is_kept_as_such() -> None:
    assert msgspec.json.encode(BARE) == b"{}"
    assert msgspec.json.decode(b"{}", type=approval.Policy) == BARE


def test_every_notice_says_whom_it_is_for_and_where_to_go() -> None:
    story = asked(
        policy(stage(user("ada"))),
        requested(approver_id="ann", recipient_id="rolf", approval_url="https://x", due_at=None),
    )
    (event,) = story.when(reassign("ada", group("finance"))).happened()
    assert isinstance(event, Notice)
    assert (event.owner_id, event.approver_id, event.recipient_id) == ("otto", None, None)
    assert (event.approval_url, event.waits_for) == ("https://x", ("group:finance",))
