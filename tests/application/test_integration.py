"""What the neighbours are told of each event, in the words of the wire contract."""

from typing import Any

import msgspec
import pytest

from application.integration import PUBLISHED_EVENTS, PUBLISHED_TYPES, Source, envelope, public_message
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.event import type_registry
from domain.values import is_uuid
from tests.builders import CAUSE, CORRELATION, NOW, TENANT, USER, metadata, recorded
from tests.samples import SAMPLE_EVENT_ID, SAMPLES, STREAM

SOURCE = Source("workflow-orchestrator", "workflow-orchestrator-7-1790000000000")

TOLD: dict[str, tuple[str, dict[str, Any]]] = {
    "approval.approved": (
        "hitl.approval.completed",
        {
            "tenantId": TENANT,
            "opportunityId": "opp-1",
            "approvalId": "a-1",
            "approved": True,
            "decidedBy": "ann",
            "decidedAt": "2026-11-22T22:15:05.123Z",
        },
    ),
    "approval.rejected": (
        "hitl.approval.completed",
        {
            "tenantId": TENANT,
            "opportunityId": "opp-1",
            "approvalId": "a-1",
            "approved": False,
            "decidedBy": "bob",
            "decidedAt": "2026-11-22T22:16:05.123Z",
        },
    ),
    "job.fired": (
        "workflow.job.trigger",
        {
            "job": "outcome-sync",
            "metadata": {
                "schedule": "0 1 * * *",
                "triggeredAt": "2026-11-22T22:10:05.123Z",
                "n": [1, 2.5, None],
            },
            "triggeredBy": "scheduler",
            "timestamp": "2026-11-22T22:10:05.123Z",
        },
    ),
    "workflow.started": (
        "workflow.opportunity.analysis.started",
        {"workflowId": "w-1", "opportunityId": "opp-1", "timestamp": "2026-11-22T22:10:05.123Z"},
    ),
    "workflow.step_dispatched": (
        "workflow.forecast.requested",
        {"workflowId": "w-1", "opportunityId": "opp-1", "stepId": "step-1"},
    ),
    "workflow.step_completed": (
        "workflow.step.completed",
        {
            "workflowId": "w-1",
            "stepId": "step-1",
            "stepType": "forecast",
            "result": {
                "forecastId": "f-1",
                "revenueForecast": 125_000,
                "confidence": 0.6,
                "parts": [{"q": 1}],
            },
        },
    ),
    "workflow.completed": (
        "workflow.opportunity.analysis.completed",
        {
            "workflowId": "w-1",
            "opportunityId": "opp-1",
            "results": {"forecast": {"forecastId": "f-1"}},
            "timestamp": "2026-11-22T22:12:05.123Z",
        },
    ),
    "workflow.failed": (
        "workflow.opportunity.analysis.failed",
        {"workflowId": "w-1", "opportunityId": "opp-1", "error": "no data", "failedStep": "forecast"},
    ),
}

NOT_TOLD = sorted(set(type_registry) - set(TOLD))


@pytest.mark.parametrize("topic", sorted(TOLD))
def test_the_neighbours_are_told_in_the_contracts_words(topic: str) -> None:
    message = public_message(SAMPLES[topic])
    assert message is not None
    assert (message.type, message.data) == TOLD[topic]
    assert (message.tenant, message.timestamp) == (TENANT, NOW)
    assert message.metadata == {"correlationId": CORRELATION, "causationId": CAUSE, "userId": USER}


@pytest.mark.parametrize("topic", NOT_TOLD)
def test_of_the_other_events_they_are_told_nothing(topic: str) -> None:
    assert public_message(SAMPLES[topic]) is None


@pytest.mark.parametrize("topic", sorted(type_registry))
def test_the_outbox_wants_just_the_events_that_are_told(topic: str) -> None:
    assert isinstance(SAMPLES[topic].event, PUBLISHED_EVENTS) == (topic in TOLD)


def test_every_event_is_either_told_or_deliberately_not() -> None:
    assert NOT_TOLD == [
        "approval.requested",
        "job.run_completed",
        "job.run_failed",
        "workflow.retried",
        "workflow.step_failed",
    ]


@pytest.mark.parametrize("topic", sorted(TOLD))
def test_a_message_made_twice_is_the_same_to_the_byte(topic: str) -> None:
    bodies = set()
    for _ in range(2):
        message = public_message(SAMPLES[topic])
        assert message is not None
        bodies.add(envelope(message, SOURCE))
    assert len(bodies) == 1


def test_a_messages_id_is_its_events_id() -> None:
    message = public_message(SAMPLES["job.fired"])
    assert message is not None
    assert message.id == SAMPLE_EVENT_ID
    assert is_uuid(message.id)
    event = SAMPLES["job.fired"].event
    first, second = (public_message(each) for each in recorded(STREAM, [event, event]))
    assert first is not None
    assert second is not None
    assert first.id != second.id


@pytest.mark.parametrize(
    ("actor", "correlation", "cause", "kept"),
    [
        (USER, CORRELATION, CAUSE, {"userId", "correlationId", "causationId"}),
        ("system:cron", CORRELATION, None, {"correlationId"}),
        ("", "order 7", "42", set()),
        (f"urn:{USER.replace('-', '')}", CORRELATION[:-1], f"{{{CAUSE}}}", set()),
    ],
)
def test_only_uuids_leave_in_the_metadata_because_neighbours_drop_the_rest(
    actor: str, correlation: str, cause: str | None, kept: set[str]
) -> None:
    meta = metadata(actor=actor, correlation_id=correlation, causation_id=cause)
    (fired,) = recorded(STREAM, [SAMPLES["job.fired"].event], meta=meta)
    message = public_message(fired)
    assert message is not None
    assert set(message.metadata) == kept
    body = msgspec.json.decode(envelope(message, SOURCE))
    assert set(body.get("metadata", {})) == kept
    assert ("metadata" in body) == bool(kept)


def test_the_envelope_is_the_contracts() -> None:
    message = public_message(SAMPLES["workflow.step_dispatched"])
    assert message is not None
    assert msgspec.json.decode(envelope(message, SOURCE)) == {
        "id": SAMPLE_EVENT_ID,
        "type": "workflow.forecast.requested",
        "version": "1.0",
        "timestamp": "2026-11-22T22:10:05.123Z",
        "tenantId": TENANT,
        "source": {
            "service": "workflow-orchestrator",
            "instance": "workflow-orchestrator-7-1790000000000",
        },
        "data": {"workflowId": "w-1", "opportunityId": "opp-1", "stepId": "step-1"},
        "metadata": {"correlationId": CORRELATION, "causationId": CAUSE, "userId": USER},
    }


def test_every_type_that_goes_out_is_listed() -> None:
    requests = {step.request_type for step in OPPORTUNITY_ANALYSIS.steps}
    assert {message_type for message_type, _ in TOLD.values()} | requests == set(PUBLISHED_TYPES)
    assert len(set(PUBLISHED_TYPES)) == len(PUBLISHED_TYPES)
