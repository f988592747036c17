"""What a message stands for, and what is made of odd ones."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from structlog.testing import capture_logs

from application.approval_commands import RequestApproval
from application.command import Command
from application.job_commands import CompleteJobRun, FailJobRun
from application.workflow_commands import RequestRun, TakeReply
from domain.definition import OPPORTUNITY_ANALYSIS
from domain.scopes import Scopes
from domain.values import SYSTEM_TENANT, derived_id, is_uuid
from domain.workflow import PlatformAnswer
from interfaces.messaging.envelope import Delivery, Unreadable, read_envelope
from interfaces.messaging.messages import command_for
from tests.domain.test_scopes import misfits
from tests.harness import TENANT

SHARDS = ("opportunity", "c_opportunity")
WORKFLOW = "4f1c7a52-0f6b-4f5e-9b7e-2a4d8c6e1b90"
ASKED = {"opportunityId": "opp-1", "riskScore": 0.9, "amount": 250000}


def message(message_type: str, data: Any, **changes: Any) -> Delivery:
    """A delivery as a neighbour sends it, but for what is changed; ``None`` leaves a member out."""
    body = {
        "id": str(uuid4()),
        "type": message_type,
        "version": "1.0",
        "timestamp": "2026-11-22T22:10:05.123Z",
        "tenantId": TENANT,
        "source": {"service": "a-neighbour", "instance": "a-neighbour-1"},
        "data": data,
        **changes,
    }
    kept = {name: value for name, value in body.items() if value is not None}
    return Delivery(body=json.dumps(kept).encode(), routing_key=message_type)


def command(delivery: Delivery, aliases: dict[str, str] | None = None) -> Command | None:
    """What the delivery stands for."""
    return command_for(read_envelope(delivery, aliases or {}), SHARDS)


@pytest.mark.parametrize(
    ("message_type", "data", "kind"),
    [
        ("integration.opportunity.updated", {"opportunityId": "o"}, RequestRun),
        ("shard.updated", {"shardId": "o", "shardTypeName": "opportunity"}, RequestRun),
        ("shard.updated", {"id": "o", "shardType": "c_opportunity", "x": 1}, RequestRun),
        ("hitl.approval.requested", ASKED, RequestApproval),
        (
            "risk.evaluation.completed",
            {"workflowId": WORKFLOW, "evaluationId": "e", "riskScore": 1, "detectedRisks": []},
            TakeReply,
        ),
        ("risk.evaluation.failed", {"workflowId": WORKFLOW}, TakeReply),
        ("recommendation.generation.failed", {"workflowId": WORKFLOW, "error": {"code": 7}}, TakeReply),
        ("workflow.job.completed", {"job": "outcome-sync", "status": "success"}, CompleteJobRun),
        ("workflow.job.failed", {"job": "outcome-sync", "error": "x"}, FailJobRun),
    ],
)
def test_each_type_stands_for_its_command(message_type: str, data: Any, kind: type[Command]) -> None:
    assert type(command(message(message_type, data))) is kind


@pytest.mark.parametrize(
    ("message_type", "data"),
    [
        ("shard.updated", {"shardId": "d", "shardTypeName": "document"}),
        ("shard.updated", {"shardId": "d"}),
        ("forecast.completed", {"forecastId": "f", "revenueForecast": 1, "confidence": 1}),
        ("risk.evaluation.failed", {"error": "x"}),
        ("forecast.completed", {"workflowId": "nightly-run-7"}),
        ("forecast.completed", {"workflowId": 12}),
        ("risk.evaluation.failed", [1]),
        ("something.else.happened", {}),
        ("something.else.happened", [1]),
    ],
)
def test_what_is_not_for_this_service_stands_for_nothing(message_type: str, data: Any) -> None:
    assert command(message(message_type, data)) is None


@pytest.mark.parametrize(
    ("message_type", "data", "named"),
    [
        ("hitl.approval.requested", {"opportunityId": "o"}, ["data.riskScore", "data.amount"]),
        ("hitl.approval.requested", {**ASKED, "riskScore": "0.9"}, ["data.riskScore"]),
        ("hitl.approval.requested", {**ASKED, "amount": True}, ["data.amount"]),
        ("integration.opportunity.updated", {}, ["data.opportunityId"]),
        ("integration.opportunity.updated", {"opportunityId": "x" * 256}, ["data.opportunityId"]),
        ("shard.updated", {"shardTypeName": "opportunity"}, ["data.shardId"]),
        ("shard.updated", {"shardTypeName": "opportunity", "shardId": "", "id": ""}, ["data.shardId"]),
        ("forecast.completed", {"workflowId": WORKFLOW}, ["data.forecastId", "data.confidence"]),
        ("shard.updated", {"shardTypeName": "opportunity", "shardId": 0.5}, ["data.shardId"]),
        ("workflow.job.completed", {}, ["data.job"]),
        (
            "recommendation.generation.completed",
            {"workflowId": WORKFLOW, "recommendationId": "r", "recommendations": {}},
            ["data.recommendations: Input should be an array"],
        ),
    ],
)
def test_what_does_not_validate_is_unreadable_and_names_the_fields(
    message_type: str, data: Any, named: list[str]
) -> None:
    with pytest.raises(Unreadable) as refused:
        command(message(message_type, data))
    for field in named:
        assert field in str(refused.value)


@pytest.mark.parametrize(
    ("message_type", "data", "field"),
    [
        ("hitl.approval.requested", {**ASKED, "requestedAt": "soon"}, "requested_at"),
        ("hitl.approval.requested", {**ASKED, "requestedAt": 10**30}, "requested_at"),
        ("hitl.approval.requested", {**ASKED, "approvalUrl": "/approvals/1"}, "approval_url"),
        ("hitl.approval.requested", {**ASKED, "approvalUrl": ["https://x"]}, "approval_url"),
        ("workflow.job.completed", {"job": "industry-benchmarks", "completedAt": "just now"}, "completed_at"),
        ("workflow.job.failed", {"job": "industry-benchmarks", "failedAt": {}}, "failed_at"),
    ],
)
def test_what_only_decorates_a_message_is_left_out_where_it_is_of_no_use(
    message_type: str, data: Any, field: str
) -> None:
    with capture_logs() as logs:
        made = command(message(message_type, data))
    assert getattr(made, field) is None
    assert [(line["event"], line["field"]) for line in logs] == [("field_left_out", field)]


def test_a_shard_of_another_type_may_have_any_tenant() -> None:
    data = {"shardId": "d", "shardTypeName": "document"}
    assert command(message("shard.updated", data, tenantId=4)) is None


def test_an_id_may_be_a_number() -> None:
    """Of which JSON has but one kind."""
    made = command(message("hitl.approval.requested", {**ASKED, "opportunityId": 815, "ownerId": 7}, id=12))
    assert isinstance(made, RequestApproval)
    assert (made.opportunity_id, made.owner_id) == ("815", "7")
    same = {**ASKED, "opportunityId": 815.0, "ownerId": 7.0}
    assert command(message("hitl.approval.requested", same, id=12.0)) == made


def test_half_a_number_is_no_id() -> None:
    with pytest.raises(Unreadable, match=r"data\.opportunityId"):
        command(message("hitl.approval.requested", {**ASKED, "opportunityId": 7.5}))


def test_a_reply_is_to_its_workflow_in_either_case() -> None:
    made = command(message("risk.evaluation.failed", {"workflowId": WORKFLOW.upper()}))
    assert isinstance(made, TakeReply)
    assert made.workflow_id == WORKFLOW
    assert made.answer == PlatformAnswer(step_type="risk_analysis", error="the service gave no reason")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"message": "no model", "code": 5}, "no model"),
        ({"message": "", "code": 5}, '{"message": "", "code": 5}'),
        (["a", {"b": 1}], '["a", {"b": 1}]'),
        ("größer", "größer"),
        ({}, "the service gave no reason"),
    ],
)
def test_what_went_wrong_is_told_in_whatever_form(error: object, told: str) -> None:
    made = command(message("risk.evaluation.failed", {"workflowId": WORKFLOW, "error": error}))
    assert isinstance(made, TakeReply)
    assert made.answer is not None
    assert made.answer.error == told


def test_a_text_that_was_cut_within_a_character_costs_no_message() -> None:
    delivery = message("integration.opportunity.updated", {"opportunityId": "o", "preview": "CUT", "n": 1.5})
    cut = Delivery(body=delivery.body.replace(b"CUT", b"deal \\uD83d"), routing_key=delivery.routing_key)
    assert read_envelope(cut, {}).data["preview"] == "deal \ufffd"
    assert isinstance(command(cut), RequestRun)
    for body in (b'{"type": "x", "a": "\\ud83d", "n": NaN}', b'{"type": "x", "a": "\\ud83d"', b'"\\ud83d'):
        with pytest.raises(Unreadable):
            command(Delivery(body=body))


def test_a_mark_of_utf_8_at_the_beginning_costs_no_message() -> None:
    delivery = message("integration.opportunity.updated", {"opportunityId": "o", "preview": "CUT"})
    for body in (delivery.body, delivery.body.replace(b"CUT", b"deal \\uD83d")):
        marked = Delivery(body=b"\xef\xbb\xbf" + body, routing_key=delivery.routing_key)
        assert isinstance(command(marked), RequestRun)


def test_a_shard_with_an_empty_id_of_its_own_is_the_one_of_the_other_name() -> None:
    made = command(message("shard.updated", {"shardTypeName": "opportunity", "shardId": "", "id": "o-1"}))
    assert isinstance(made, RequestRun)
    assert made.opportunity_id == "o-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"7",
        b'{"data": {}}',
        b'{"type": 7, "data": {}}',
        b"\xff",
        b'{"type": "x", "data": {"n": NaN}}',
        b'{"type": "x", "data": ' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_parsed_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        command(Delivery(body=body))


@pytest.mark.parametrize("tenant", [None, "", "acme"])
def test_a_message_that_needs_a_tenant_and_has_none_is_unreadable(tenant: str | None) -> None:
    with pytest.raises(Unreadable, match="tenantId"):
        command(message("hitl.approval.requested", ASKED, tenantId=tenant))


def test_the_tenant_may_stand_in_the_data() -> None:
    found = command(message("hitl.approval.requested", {**ASKED, "tenantId": TENANT.upper()}, tenantId=""))
    assert found is not None
    assert found.meta.tenant == TENANT


def test_a_jobs_report_belongs_to_the_system_whatever_tenant_it_names() -> None:
    found = command(message("workflow.job.completed", {"job": "outcome-sync"}, tenantId=None))
    assert found is not None
    assert found.meta.tenant == SYSTEM_TENANT


@pytest.mark.parametrize("status", ["failed", "Failure", "error", " timed_out"])
def test_a_job_that_is_over_and_has_failed_has_failed(status: str) -> None:
    when = "2026-11-23T01:00:00Z"
    over = {"job": "outcome-sync", "status": status, "completedAt": when, "error": "disk full"}
    found = command(message("workflow.job.completed", over))
    assert isinstance(found, FailJobRun)
    assert (found.job, found.error) == ("outcome-sync", "disk full")
    assert found.failed_at == datetime(2026, 11, 23, 1, tzinfo=UTC)


@pytest.mark.parametrize("status", ["success", "ok", "sucess", None, 7, {"failed": 1}])
def test_any_other_status_of_a_job_that_is_over_is_success(status: Any) -> None:
    over = {"job": "outcome-sync", "status": status}
    assert isinstance(command(message("workflow.job.completed", over)), CompleteJobRun)


def test_a_repeated_message_stands_for_the_same_command() -> None:
    delivery = message("hitl.approval.requested", ASKED)
    assert command(delivery) == command(delivery)


def test_two_tenants_with_one_message_id_get_two_approvals() -> None:
    other = str(uuid4())
    ids = set()
    for tenant in (TENANT, other):
        found = command(message("hitl.approval.requested", ASKED, id="m-1", tenantId=tenant))
        assert isinstance(found, RequestApproval)
        ids.add(found.approval_id)
    assert len(ids) == 2


@pytest.mark.parametrize("identifier", ["m-1", None])
def test_a_message_without_a_uuid_has_a_stable_one_derived(identifier: str | None) -> None:
    delivery = message("hitl.approval.requested", ASKED, id=identifier)
    first, second = command(delivery), command(delivery)
    assert first is not None
    assert is_uuid(first.meta.command_id)
    assert first == second
    if identifier:
        assert first.meta.command_id == derived_id("message", identifier)


@pytest.mark.parametrize("identifier", [{"b": 1, "a": [2.0]}, ["m"], 0.5, True, "m" * 300])
def test_an_id_of_another_form_tells_a_repeat_too(identifier: object) -> None:
    first, again = (command(message("hitl.approval.requested", ASKED, id=identifier)) for _ in range(2))
    other = command(message("hitl.approval.requested", ASKED, id="another"))
    assert first is not None
    assert first == again != other


@pytest.mark.parametrize("identifier", [True, False, {}, [], ""])
def test_what_tells_no_message_from_another_is_no_id(identifier: object) -> None:
    one = command(message("hitl.approval.requested", ASKED, id=identifier))
    other = command(message("hitl.approval.requested", {**ASKED, "amount": 7}, id=identifier))
    assert one is not None
    assert other is not None
    assert one.meta.command_id != other.meta.command_id, "the second would be taken for a repeat"


@pytest.mark.parametrize("odd", ["ann\x00", "a\nb", "u" * 256, 7, None, ""])
def test_what_can_be_no_persons_id_names_nobody(odd: object) -> None:
    found = command(message("hitl.approval.requested", ASKED, metadata={"userId": odd}))
    assert isinstance(found, RequestApproval)
    assert (found.meta.actor, found.requested_by) == ("service:a-neighbour", None)


@pytest.mark.parametrize(
    ("said", "actor"),
    [
        ("risk\x00analytics", "service:unknown"),
        ("s" * 300, f"service:{'s' * 255}"),
        (None, "service:unknown"),
    ],
)
def test_a_service_that_says_odd_things_of_itself_costs_no_message(said: object, actor: str) -> None:
    found = command(message("hitl.approval.requested", ASKED, source={"service": said}))
    assert found is not None
    assert found.meta.actor == actor


def test_the_transports_id_stands_in_for_a_missing_one() -> None:
    identifier = str(uuid4())
    delivery = msgspec.structs.replace(
        message("hitl.approval.requested", ASKED, id=None), message_id=identifier
    )
    found = command(delivery)
    assert found is not None
    assert found.meta.command_id == identifier


@pytest.mark.parametrize(
    ("changes", "data", "expected"),
    [
        ({"metadata": {"correlationId": "not-a-uuid", "userId": "not-a-uuid"}}, {}, None),
        ({"metadata": "odd"}, {}, None),
        ({"metadata": {"correlationId": TENANT}}, {}, TENANT),
        ({}, {"correlationId": TENANT}, TENANT),
        ({"metadata": {"correlationId": TENANT.upper()}}, {}, TENANT),
        ({}, {"correlationId": TENANT.upper()}, TENANT),
    ],
)
def test_odd_metadata_is_passed_over(changes: Any, data: Any, expected: str | None) -> None:
    delivery = message("hitl.approval.requested", {**ASKED, **data}, **changes)
    found = command(delivery)
    assert found is not None
    assert found.meta.correlation_id == (expected or found.meta.command_id)


@pytest.mark.parametrize(
    ("source", "actor"),
    [
        ("crm", "service:crm"),
        ({"service": "crm"}, "service:crm"),
        (None, "service:unknown"),
        (7, "service:unknown"),
    ],
)
def test_the_source_may_be_a_plain_string(source: Any, actor: str) -> None:
    found = command(message("hitl.approval.requested", ASKED, source=source))
    assert found is not None
    assert found.meta.actor == actor


def test_an_alias_is_taken_as_the_documented_type() -> None:
    delivery = message("shard.record.updated", {"shardId": "o", "shardTypeName": "opportunity"})
    assert isinstance(command(delivery, {"shard.record.updated": "shard.updated"}), RequestRun)


def test_the_recommendations_are_counted() -> None:
    data = {"workflowId": WORKFLOW, "recommendationId": "r", "recommendations": [1, 2, 3], "extra": 1}
    found = command(message("recommendation.generation.completed", data))
    assert isinstance(found, TakeReply)
    assert found.answer is not None
    assert found.answer.result == {"recommendationId": "r", "recommendations": [1, 2, 3], "count": 3}


@pytest.mark.parametrize("changes", [{}, {"metadata": None}, {"metadata": "x", "tenantId": None}])
def test_a_trigger_speaks_of_what_is_known_beforehand(changes: dict[str, Any]) -> None:
    given = read_envelope(message("contract.signed", {"x": 1}, **changes), {}).as_context()
    assert list(misfits(Scopes(OPPORTUNITY_ANALYSIS).of_message.context, given)) == []
