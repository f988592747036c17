"""What the neighbours are told of each event, in the words of the wire contract."""

from typing import Any

import msgspec
import pytest

from application.audit.anchors import ANCHORED
from application.integration import (
    NOTICES,
    PUBLISHED_EVENTS,
    PUBLISHED_TYPES,
    Source,
    envelope,
    public_message,
)
from application.ports import PublicMessage
from domain.definition import OPPORTUNITY_ANALYSIS, Announcements
from domain.event import type_registry
from domain.values import derived_id, is_uuid
from domain.workflow import WorkflowStarted
from tests.builders import CAUSE, CORRELATION, NOW, TENANT, USER, metadata, recorded
from tests.jobs import fired
from tests.samples import SAMPLE_EVENT_ID, SAMPLES, STREAM
from tests.samples_older import OLDER

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

SAID = {
    topic: msgspec.structs.replace(sample, event=OLDER[topic, 1]) if (topic, 1) in OLDER else sample
    for topic, sample in SAMPLES.items()
}
SAID["job.fired"] = msgspec.structs.replace(
    SAMPLES["job.fired"],
    event=msgspec.structs.replace(SAMPLES["job.fired"].event, message_type="workflow.job.trigger"),
)
"""The samples; of workflows those of opportunity-analysis, whose words the contract fixes."""

TOLD_TOPICS = {*TOLD, *(kind.TOPIC for kind in NOTICES)}

NOT_TOLD = sorted(set(type_registry) - TOLD_TOPICS)


@pytest.mark.parametrize("topic", sorted(TOLD))
def test_the_neighbours_are_told_in_the_contracts_words(topic: str) -> None:
    message = public_message(SAID[topic])
    assert message is not None
    assert (message.type, message.data) == TOLD[topic]
    assert (message.tenant, message.timestamp) == (TENANT, NOW)
    assert message.metadata == {"correlationId": CORRELATION, "causationId": CAUSE, "userId": USER}


@pytest.mark.parametrize("topic", NOT_TOLD)
def test_of_the_other_events_they_are_told_nothing(topic: str) -> None:
    assert public_message(SAID[topic]) is None


@pytest.mark.parametrize("topic", sorted(type_registry))
def test_the_outbox_wants_just_the_events_that_are_told(topic: str) -> None:
    assert isinstance(SAMPLES[topic].event, PUBLISHED_EVENTS) == (topic in TOLD_TOPICS)


def test_every_event_is_either_told_or_deliberately_not() -> None:
    assert NOT_TOLD == [
        "approval.agreed",
        "approval.became_decidable",
        "approval.claimed",
        "approval.commented",
        "approval.objected",
        "approval.released",
        "approval.requested",
        "approval.revised",
        "approval.stage_opened",
        "approval.withdrawn",
        "backfill.admitted",
        "backfill.cancelled",
        "backfill.ended",
        "backfill.left",
        "backfill.requested",
        "backfill.window_completed",
        "backfill.window_failed",
        "backfill.window_started",
        "backfill.window_tried_again",
        "concurrency.run_ended",
        "concurrency.run_replaced",
        "concurrency.start_debounced",
        "concurrency.start_granted",
        "concurrency.start_queued",
        "concurrency.start_withdrawn",
        "definition.published",
        "definition.retired",
        "delegation.ended",
        "delegation.made",
        "job.backfill_cancelled",
        "job.paused",
        "job.report_unmatched",
        "job.resumed",
        "job.run_completed",
        "job.run_failed",
        "job.run_missed",
        "job.run_published",
        "job.run_scheduled",
        "job.run_skipped",
        "job.run_timed_out",
        "job.runs_missed",
        "privacy.erasure_carried_out",
        "request.accepted",
        "task.claimed",
        "task.completed",
        "task.failed",
        "task.lease_expired",
        "task.lease_extended",
        "task.offered",
        "task.released",
        "task.revoked",
        "workflow.cancelled",
        "workflow.compensated",
        "workflow.compensation_began",
        "workflow.compensation_failed",
        "workflow.paused",
        "workflow.queued",
        "workflow.resumed",
        "workflow.retried",
        "workflow.step_cancelled",
        "workflow.step_failed",
        "workflow.step_held_back",
        "workflow.step_mapped",
        "workflow.step_reopened",
        "workflow.step_settled",
        "workflow.step_skipped",
    ]


@pytest.mark.parametrize("topic", sorted(TOLD))
def test_a_message_made_twice_is_the_same_to_the_byte(topic: str) -> None:
    bodies = set()
    for _ in range(2):
        message = public_message(SAID[topic])
        assert message is not None
        bodies.add(envelope(message, SOURCE))
    assert len(bodies) == 1


def test_a_workflow_that_is_not_announced_is_not_told_of() -> None:
    for topic in ("workflow.started", "workflow.completed", "workflow.failed"):
        event = SAID[topic].event
        silent = (
            {"announcements": Announcements()}
            if isinstance(event, WorkflowStarted)
            else {"announced_as": None}
        )
        event = msgspec.structs.replace(event, **silent)
        assert public_message(msgspec.structs.replace(SAID[topic], event=event)) is None


def test_only_a_step_that_is_a_request_is_one() -> None:
    assert public_message(SAMPLES["workflow.step_dispatched"]) is None


def test_a_request_carries_its_input_and_cannot_change_whose_it_is() -> None:
    event = msgspec.structs.replace(
        SAID["workflow.step_dispatched"].event, input={"amount": 5, "workflowId": "w-2"}, opportunity_id=None
    )
    message = public_message(msgspec.structs.replace(SAID["workflow.step_dispatched"], event=event))
    assert message is not None
    assert message.data == {"workflowId": "w-1", "stepId": "step-1", "amount": 5}


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
    (completed,) = recorded(STREAM, [SAID["workflow.step_completed"].event], meta=meta)
    message = public_message(completed)
    assert message is not None
    assert set(message.metadata) == kept
    body = msgspec.json.decode(envelope(message, SOURCE))
    assert set(body.get("metadata", {})) == kept
    assert ("metadata" in body) == bool(kept)


def trigger(**fields: Any) -> PublicMessage:
    (told,) = recorded(STREAM, [fired(derived_id("run", "1"), **fields)], meta=metadata(correlation_id=USER))
    message = public_message(told)
    assert message is not None
    return message


def test_a_trigger_carries_what_its_report_is_to_be_told_by() -> None:
    """A run that another's report has let go, or a retry, stands in the log beside that one's correlation."""
    assert trigger(correlation_id=CORRELATION).metadata["correlationId"] == CORRELATION
    assert trigger().metadata["correlationId"] == derived_id("run", "1")


def test_a_jobs_trigger_has_the_jobs_own_type() -> None:
    assert trigger(message_type="workflow.invoices.trigger").type == "workflow.invoices.trigger"


@pytest.mark.parametrize(
    ("by", "told"), [("scheduler", "scheduler"), ("manual", "manual"), ("backfill", "api")]
)
def test_who_triggered_is_told_in_the_contracts_words(by: str, told: str) -> None:
    assert trigger(triggered_by=by).data["triggeredBy"] == told


def test_the_envelope_is_the_contracts() -> None:
    message = public_message(SAID["workflow.step_dispatched"])
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
    requests = {step.parameters["request"] for step in OPPORTUNITY_ANALYSIS.steps}
    told = {message_type for message_type, _ in TOLD.values()}
    assert told | requests | set(NOTICES.values()) | {ANCHORED} == set(PUBLISHED_TYPES)
    assert len(set(PUBLISHED_TYPES)) == len(PUBLISHED_TYPES)
