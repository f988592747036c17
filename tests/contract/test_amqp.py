"""The check of published messages: it takes what the wire contract says, and nothing else."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.definition import Announcements, MapOver, StepDefinition, Work, WorkflowDefinition
from tests.contract.amqp import PUBLISHED_TYPES, SYSTEM_TENANT, BrokenContract, validate_message

TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
WORKFLOW = "3f1c7a52-0f6b-5f5e-9b7e-2a4d8c6e1b90"
STEP = "5a0f6f0e-7c1d-5b52-8d1e-90c4a1b6f001"
NOW = "2026-11-22T22:10:05.123Z"
OF_WORKFLOW = {"workflowId": WORKFLOW, "opportunityId": "opp-1"}
OF_APPROVAL = {"tenantId": TENANT, "opportunityId": "opp-1", "approvalId": WORKFLOW}
TOLD = OF_APPROVAL | {"timestamp": NOW, "waitsFor": ["group:finance"]}
ADDRESSED = {
    "ownerId": "otto",
    "approverId": "ada",
    "recipientId": "ada",
    "approvalUrl": "https://app.example/approvals/1",
    "dueAt": NOW,
}
"""What else a message about an approval may say: whom it is for, and where to go."""
RISK = {"evaluationId": "e", "riskScore": 0.7, "detectedRisks": []}
RECOMMENDATION = {"recommendationId": "r", "recommendations": ["call"], "count": 1}

DATA: dict[str, dict[str, Any]] = {
    "workflow.job.trigger": {
        "job": "outcome-sync",
        "metadata": {"schedule": "0 1 * * *", "triggeredAt": NOW},
        "triggeredBy": "scheduler",
        "timestamp": NOW,
    },
    "workflow.opportunity.analysis.started": OF_WORKFLOW | {"timestamp": NOW},
    "workflow.risk.analysis.requested": OF_WORKFLOW | {"stepId": STEP},
    "workflow.risk.scoring.requested": OF_WORKFLOW | {"stepId": STEP},
    "workflow.forecast.requested": OF_WORKFLOW | {"stepId": STEP},
    "workflow.recommendation.requested": OF_WORKFLOW | {"stepId": STEP},
    "workflow.step.completed": {
        "workflowId": WORKFLOW,
        "stepId": STEP,
        "stepType": "risk_analysis",
        "result": RISK,
    },
    "workflow.opportunity.analysis.completed": OF_WORKFLOW
    | {"results": {"risk": RISK, "forecast": {}, "recommendations": RECOMMENDATION}, "timestamp": NOW},
    "workflow.opportunity.analysis.failed": OF_WORKFLOW | {"error": "late", "failedStep": "forecast"},
    "hitl.approval.completed": OF_APPROVAL | {"approved": False, "decidedBy": "u-1", "decidedAt": NOW},
    "hitl.approval.reminded": TOLD | {"number": 1},
    "hitl.approval.escalated": TOLD | {"to": ["group:executives", "role:cfo"]},
    "hitl.approval.reassigned": TOLD | {"to": "user:grace", "by": "ada", "reason": "away"},
    "hitl.approval.expired": TOLD | {"waitsFor": []},
    "hitl.approval.undecidable": TOLD | {"reason": "all have left"},
    "workflow.deal_review.completed": OF_WORKFLOW | {"results": {"score": {}}, "timestamp": NOW},
    "workflow.audit.anchored": {
        "tenantId": TENANT,
        "sequence": 1,
        "number": 3,
        "position": 7,
        "hash": "ab" * 32,
        "anchoredAt": NOW,
        "keyId": f"sha256:{'cd' * 32}",
        "previous": "",
        "previousHeld": True,
        "signature": "ef" * 64,
    },
    "workflow.deal_review.failed": OF_WORKFLOW | {"error": "not completed within 2592000 s"},
}

OF_A_TENANT = WorkflowDefinition(
    name="deal-check",
    version=1,
    steps=(
        StepDefinition(
            step_type="credit",
            parameters={"request": "credit.check.requested"},
            compensation=Work(parameters={"request": "credit.check.withdrawn"}),
            result_key="credit",
        ),
        StepDefinition(
            step_type="calls",
            kind="map",
            map=MapOver(over="input.people", each=Work(parameters={"request": "person.call.requested"})),
            result_key="calls",
        ),
    ),
    announcements=Announcements(
        started="deal.check.started", completed="deal.check.completed", failed="deal.check.failed"
    ),
)
ASKED = {"workflowId": WORKFLOW, "stepId": STEP}
DONE = ASKED | {"stepType": "credit", "result": None}

OF_DEFINITIONS: list[tuple[str, dict[str, Any]]] = [
    ("credit.check.requested", ASKED | {"opportunityId": "opp-1", "tenantId": "any", "amount": 5}),
    ("credit.check.withdrawn", ASKED),
    ("person.call.requested", ASKED | {"opportunityId": None}),
    ("workflow.step.completed", DONE),
    ("workflow.step.completed", DONE | {"stepType": "calls[9999]", "result": {"called": True}}),
    ("workflow.step.completed", DONE | {"stepType": "credit.compensation", "result": []}),
    ("deal.check.started", {"workflowId": WORKFLOW, "timestamp": NOW}),
    ("deal.check.completed", OF_WORKFLOW | {"results": {"calls": [None]}, "timestamp": NOW}),
    ("deal.check.failed", {"workflowId": WORKFLOW, "error": "late"}),
    ("deal.check.failed", OF_WORKFLOW | {"error": "no such customer", "failedStep": "credit"}),
]
"""What a tenant's definition has the service say."""

Message = tuple[dict[str, Any], dict[str, Any]]
"""An envelope and the AMQP properties that belong to it."""


def message(message_type: str, data: dict[str, Any] | None = None) -> Message:
    """A sound message of a type, or with data of its own."""
    is_of_the_system = message_type in ("workflow.job.trigger", "workflow.audit.anchored")
    tenant = SYSTEM_TENANT if is_of_the_system else TENANT
    envelope = {
        "id": "0d9c1f5c-57f3-5d0e-9a40-3b7f5a2c6d18",
        "type": message_type,
        "version": "1.0",
        "timestamp": NOW,
        "tenantId": tenant,
        "source": {"service": "workflow-orchestrator", "instance": "workflow-orchestrator-17-1763849405123"},
        "data": copy.deepcopy(DATA[message_type] if data is None else data),
        "metadata": {"correlationId": WORKFLOW},
    }
    properties = {
        "delivery_mode": 2,
        "message_id": envelope["id"],
        "type": message_type,
        "app_id": "workflow-orchestrator",
        "timestamp": datetime(2026, 11, 22, 22, 10, 5, tzinfo=UTC),
        "content_type": "application/json",
        "headers": {"tenantId": tenant, "version": "1.0"},
    }
    return envelope, properties


def check(envelope: dict[str, Any], properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return validate_message(json.dumps(envelope).encode(), properties, **more)


def test_every_published_type_has_a_sample_here() -> None:
    assert set(DATA) == PUBLISHED_TYPES


@pytest.mark.parametrize("message_type", sorted(DATA))
def test_a_sound_message_is_taken(message_type: str) -> None:
    envelope, properties = message(message_type)
    assert check(envelope, properties, routing_key=message_type) == envelope


@pytest.mark.parametrize("message_type", sorted(DATA))
def test_a_member_that_is_missing_or_unknown_is_named(message_type: str) -> None:
    for name in DATA[message_type]:
        envelope, properties = message(message_type)
        del envelope["data"][name]
        with pytest.raises(BrokenContract, match=name):
            check(envelope, properties)
    envelope, properties = message(message_type)
    envelope["data"]["colour"] = "red"
    with pytest.raises(BrokenContract, match="colour"):
        check(envelope, properties)


@pytest.mark.parametrize(
    "message_type", sorted(each for each, data in DATA.items() if TOLD.keys() <= data.keys())
)
def test_a_message_about_an_approval_may_say_whom_it_is_for(message_type: str) -> None:
    envelope, properties = message(message_type, DATA[message_type] | ADDRESSED)
    assert check(envelope, properties) == envelope
    for name in ADDRESSED:
        envelope, properties = message(message_type, DATA[message_type] | {name: None})
        with pytest.raises(BrokenContract, match=name):
            check(envelope, properties)


def test_a_message_of_aio_pika_is_taken_by_its_attributes() -> None:
    envelope, properties = message("hitl.approval.completed")
    received = type("Received", (), properties | {"headers": {"tenantId": TENANT.encode(), "version": "1.0"}})
    assert validate_message(json.dumps(envelope).encode(), received()) == envelope


def test_a_message_without_metadata_is_taken() -> None:
    envelope, properties = message("hitl.approval.completed")
    del envelope["metadata"]
    assert check(envelope, properties) == envelope


def test_a_manual_trigger_carries_whatever_the_operator_gave() -> None:
    envelope, properties = message("workflow.job.trigger")
    envelope["data"] |= {"triggeredBy": "manual", "metadata": {"from": "2026-10-01"}}
    assert check(envelope, properties) == envelope


def test_an_alias_stands_for_the_documented_type() -> None:
    envelope, properties = message("workflow.risk.analysis.requested")
    wire = "workflow.risk_analysis.requested"
    envelope["type"] = properties["type"] = wire
    aliases = {"workflow.risk.analysis.requested": wire}
    assert check(envelope, properties, aliases=aliases, routing_key=wire) == envelope
    with pytest.raises(BrokenContract, match="not a type that the service publishes"):
        check(envelope, properties)


@pytest.mark.parametrize(("message_type", "data"), OF_DEFINITIONS)
def test_a_message_of_a_tenants_definition_is_taken_where_that_is_known(
    message_type: str, data: dict[str, Any]
) -> None:
    envelope, properties = message(message_type, data)
    assert check(envelope, properties, definitions=[OF_A_TENANT]) == envelope
    with pytest.raises(BrokenContract):
        check(envelope, properties)


@pytest.mark.parametrize(
    ("message_type", "data", "fault"),
    [
        ("credit.check.requested", {"workflowId": WORKFLOW}, "stepId"),
        ("credit.check.requested", ASKED | {"workflowId": "w-1"}, "workflowId"),
        ("workflow.step.completed", ASKED | {"stepType": "credit"}, "result"),
        ("workflow.step.completed", DONE | {"stepType": "Credit"}, "stepType"),
        ("workflow.step.completed", DONE | {"attempt": 1}, "attempt"),
        ("deal.check.started", {"workflowId": WORKFLOW}, "timestamp"),
        ("deal.check.completed", {"workflowId": WORKFLOW, "timestamp": NOW}, "results"),
        ("deal.check.completed", {"workflowId": WORKFLOW, "error": "late"}, "results"),
        ("deal.check.failed", {"workflowId": WORKFLOW, "error": "late", "failedStep": None}, "failedStep"),
        ("workflow.forecast.requested", OF_WORKFLOW | {"stepId": STEP, "amount": 5}, "amount"),
    ],
)
def test_a_broken_message_of_a_tenants_definition_is_refused(
    message_type: str, data: dict[str, Any], fault: str
) -> None:
    envelope, properties = message(message_type, data)
    with pytest.raises(BrokenContract, match=fault):
        check(envelope, properties, definitions=[OF_A_TENANT])


def _set(*path: str, to: object) -> Callable[[Message], None]:
    def change(sound: Message) -> None:
        envelope, properties = sound
        target: dict[str, Any] = {"envelope": envelope, "properties": properties}
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("message_type", "change", "fault"),
    [
        ("hitl.approval.completed", _set("envelope", "id", to="7"), r"envelope\.id"),
        (
            "hitl.approval.completed",
            _set("envelope", "id", to="0d9c1f5c-57f3-1d0e-9a40-3b7f5a2c6d18"),
            r"envelope\.id",
        ),
        ("hitl.approval.completed", _set("envelope", "version", to="1"), r"envelope\.version"),
        ("hitl.approval.completed", _set("envelope", "timestamp", to=NOW[:-1] + "+00:00"), "timestamp"),
        ("hitl.approval.completed", _set("envelope", "tenantId", to=None), "tenantId"),
        ("hitl.approval.completed", _set("envelope", "tenantId", to=""), "tenantId"),
        ("hitl.approval.completed", _set("envelope", "source", to="workflow-orchestrator"), "source"),
        (
            "hitl.approval.completed",
            _set("envelope", "source", "instance", to="a-1-1763849405123"),
            "instance",
        ),
        ("hitl.approval.completed", _set("envelope", "metadata", "userId", to="u-1"), "userId"),
        ("hitl.approval.completed", _set("envelope", "metadata", "userId", to=None), "userId"),
        ("hitl.approval.completed", _set("envelope", "metadata", "traceId", to=WORKFLOW), "traceId"),
        ("hitl.approval.completed", _set("envelope", "data", "tenantId", to=WORKFLOW), r"data\.tenantId"),
        ("hitl.approval.completed", _set("envelope", "data", "approved", to="yes"), "approved"),
        ("hitl.approval.expired", _set("envelope", "data", "tenantId", to=WORKFLOW), r"data\.tenantId"),
        ("hitl.approval.expired", _set("envelope", "data", "waitsFor", to=["finance"]), "waitsFor"),
        ("hitl.approval.reminded", _set("envelope", "data", "number", to=0), "number"),
        ("hitl.approval.escalated", _set("envelope", "data", "to", to=[]), r"data\.to"),
        ("hitl.approval.reassigned", _set("envelope", "data", "to", to="grace"), "grace"),
        ("hitl.approval.reassigned", _set("envelope", "data", "approvalUrl", to="ftp://a"), "approvalUrl"),
        ("hitl.approval.completed", _set("properties", "delivery_mode", to=1), "delivery_mode"),
        ("hitl.approval.completed", _set("properties", "message_id", to=WORKFLOW), "message_id"),
        ("hitl.approval.completed", _set("properties", "type", to=None), r"properties\.type"),
        ("hitl.approval.completed", _set("properties", "app_id", to=None), "app_id"),
        ("hitl.approval.completed", _set("properties", "timestamp", to=None), r"properties\.timestamp"),
        (
            "hitl.approval.completed",
            _set("properties", "timestamp", to=1795385405123),
            r"properties\.timestamp",
        ),
        ("hitl.approval.completed", _set("properties", "content_type", to=None), "content_type"),
        ("hitl.approval.completed", _set("properties", "headers", to=None), r"headers\.tenantId"),
        ("workflow.job.trigger", _set("envelope", "tenantId", to=TENANT), r"envelope\.tenantId"),
        ("workflow.job.trigger", _set("envelope", "data", "job", to="a nap"), "a nap"),
        ("workflow.job.trigger", _set("envelope", "data", "metadata", to={}), "schedule"),
        ("workflow.job.trigger", _set("envelope", "data", "triggeredBy", to="cron"), "triggeredBy"),
        ("workflow.step.completed", _set("envelope", "data", "stepType", to="nap"), "stepType"),
        (
            "workflow.step.completed",
            _set("envelope", "data", "result", to=RISK | {"opportunityId": "o"}),
            "opportunityId",
        ),
        (
            "workflow.opportunity.analysis.failed",
            _set("envelope", "data", "failedStep", to="risk_scoring"),
            "failedStep",
        ),
        (
            "workflow.opportunity.analysis.completed",
            _set("envelope", "data", "results", to={"risk": RISK}),
            "forecast",
        ),
    ],
)
def test_a_broken_message_is_refused(
    message_type: str, change: Callable[[Message], None], fault: str
) -> None:
    sound = message(message_type)
    change(sound)
    with pytest.raises(BrokenContract, match=fault):
        check(*sound)


def test_a_recommendation_counts_its_recommendations() -> None:
    envelope, properties = message("workflow.step.completed")
    envelope["data"] |= {"stepType": "recommendation", "result": RECOMMENDATION}
    check(envelope, properties)
    envelope["data"]["result"] = RECOMMENDATION | {"count": 2}
    with pytest.raises(BrokenContract, match="count"):
        check(envelope, properties)


def test_a_message_under_another_routing_key_is_refused() -> None:
    envelope, properties = message("hitl.approval.completed")
    with pytest.raises(BrokenContract, match="routing key"):
        check(envelope, properties, routing_key="hitl.approval.requested")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"id": NaN}'])
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenContract):
        validate_message(body, {})


def test_every_fault_is_named_at_once() -> None:
    envelope, properties = message("hitl.approval.completed")
    envelope["data"]["approved"] = 1
    properties |= {"delivery_mode": 1, "app_id": "someone"}
    with pytest.raises(BrokenContract) as refused:
        check(envelope, properties)
    assert len(str(refused.value).splitlines()) == 3
