"""Approvals as their documents, their audit trail and their messages tell of them, against both contracts."""

from typing import Any, get_args

import msgspec
import pytest

from application.integration import NOTICES, Source, envelope, public_message
from domain.approval import ApprovalEvent
from domain.delegation import DelegationEnded, DelegationMade, delegations_stream
from domain.event import Recorded
from domain.values import derived_id
from interfaces.rest.audit import audit_event
from projections.approvals import Approvals
from projections.delegations import Delegations
from projections.projection import document_of
from tests.builders import NOW, TENANT, after, recorded
from tests.contract.approval_stories import APPROVAL, STORIES
from tests.contract.contract import validate_document
from tests.contract.messages import MESSAGES, payload_faults

SOURCE = Source("workflow-orchestrator", "workflow-orchestrator-7-1790000000000")
TELLS = {message["name"]: name for name, message in MESSAGES.items() if name.startswith("Approval")}
"""The messages about approvals, by their types."""

of_each_story = pytest.mark.parametrize(
    "events", [story.events for story in STORIES.values()], ids=list(STORIES)
)


def test_in_the_stories_all_happens_that_can_happen_to_an_approval() -> None:
    happened = {type(recorded.event) for story in STORIES.values() for recorded in story.events}
    assert happened == set(get_args(ApprovalEvent))


@of_each_story
def test_after_each_event_the_document_is_as_the_contract_says(events: tuple[Recorded, ...]) -> None:
    for count in range(1, len(events) + 1):
        body = document_of(Approvals(), APPROVAL, events[:count])
        validate_document("Approval", msgspec.json.decode(body))


@of_each_story
def test_each_event_in_the_audit_trail_is_as_the_contract_says(events: tuple[Recorded, ...]) -> None:
    for each in events:
        validate_document("AuditEvent", msgspec.json.decode(audit_event(each)))


@of_each_story
def test_each_message_is_as_the_contract_says(events: tuple[Recorded, ...]) -> None:
    for each in events:
        message = public_message(each)
        if message is not None:
            body = msgspec.json.decode(envelope(message, SOURCE))
            assert payload_faults(TELLS[message.type], body) == []


def test_of_each_kind_of_message_about_approvals_there_is_one() -> None:
    told = [public_message(each) for story in STORIES.values() for each in story.events]
    assert {each.type for each in told if each} == {"hitl.approval.completed", *NOTICES.values()}


def delegation_events(**more: Any) -> tuple[Recorded, ...]:
    made = DelegationMade(
        delegation_id=derived_id("a", "delegation"),
        by="bob",
        to="gina",
        starts_at=NOW,
        ends_at=after(days=30),
        made_at=NOW,
        **more,
    )
    ended = DelegationEnded(delegation_id=made.delegation_id, ended_at=after(days=3))
    return recorded(delegations_stream(TENANT), [made, ended])


@pytest.mark.parametrize("events", [delegation_events(), delegation_events(reason="on leave")])
def test_a_delegation_is_a_document_as_the_contract_says(events: tuple[Recorded, ...]) -> None:
    id = derived_id("a", "delegation")
    for count in (1, 2):
        body = document_of(Delegations(), id, events[:count])
        validate_document("Delegation", msgspec.json.decode(body))
