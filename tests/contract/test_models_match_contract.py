"""The models that requests are read into and the contract's schemas: neither drifts from the other."""

import inspect
import json
from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import ValidationError

from interfaces.definitions.document import DefinitionDocument
from interfaces.rest import approval_models, audit_models, backfill_models, models
from interfaces.rest.approval_models import (
    ApprovalFilters,
    CommentRequest,
    CreateApprovalRequest,
    DecisionRequest,
    DecisionsRequest,
    DelegateRequest,
    DelegationFilters,
    InboxOf,
    ReassignRequest,
    ReviseRequest,
)
from interfaces.rest.audit_models import CheckQuery, TrailFilters, TrailQuery
from interfaces.rest.backfill_models import BackfillFilters, StartBackfillRequest
from interfaces.rest.models import (
    ApiModel,
    AsOfQuery,
    ClaimTasksRequest,
    CompleteStepRequest,
    CompleteTaskRequest,
    FailTaskRequest,
    HeartbeatTaskRequest,
    NoQuery,
    NothingToSayRequest,
    OptionalReasonRequest,
    Paging,
    PreviewQuery,
    Query,
    ReasonRequest,
    RetryRequest,
    RunFilters,
    StartWorkflowRequest,
    TaskFilters,
    TriggerJobRequest,
    WhichVersion,
    WorkflowFilters,
)
from tests.contract.contract import SCHEMAS, faults, operations

BODIES = {name: SCHEMAS[name] for name in SCHEMAS if name.endswith("Request")}
"""The contract's schemas of what is sent in."""

MODELS = {
    name: each
    for module in (models, approval_models, audit_models, backfill_models)
    for name, each in inspect.getmembers(module, inspect.isclass)
    if issubclass(each, ApiModel) and name.endswith("Request")
}
"""What reads them."""

QUERIES: dict[str, type[Query]] = {
    "listWorkflows": WorkflowFilters,
    "listWorkflowSteps": Paging,
    "listWorkflowExecutions": Paging,
    "listWorkflowEvents": Paging,
    "listWorkflowDefinitions": Paging,
    "getWorkflowDefinition": WhichVersion,
    "retireWorkflowDefinition": WhichVersion,
    "drawWorkflowDefinition": WhichVersion,
    "listApprovals": ApprovalFilters,
    "countApprovals": InboxOf,
    "getApproval": AsOfQuery,
    "getWorkflow": AsOfQuery,
    "getJob": AsOfQuery,
    "getJobRun": AsOfQuery,
    "getBackfill": AsOfQuery,
    "listApprovalEvents": Paging,
    "listDelegations": DelegationFilters,
    "listJobs": Paging,
    "previewJob": PreviewQuery,
    "listJobRuns": RunFilters,
    "listBackfills": BackfillFilters,
    "listTasks": TaskFilters,
    "listTaskEvents": Paging,
    "listJobEvents": Paging,
    "listBackfillEvents": Paging,
    "listDefinitionEvents": Paging,
    "listDelegationEvents": Paging,
    "listAuditEvents": TrailQuery,
    "verifyAuditChain": CheckQuery,
    "exportAuditTrail": TrailFilters,
}
"""Which model reads the query string of which operation."""

_ANNOTATIONS = {"title", "description", "examples", "example", "$defs"}

Json = dict[str, Any]


def normalised(schema: Json, definitions: Json) -> Json:
    """A schema without its words and references, its unordered members in order."""
    component = schema.get("$ref", "").rpartition("/")[2]
    if component in ("JsonObject", "JsonValue"):
        sort = {"type": "object"} if component == "JsonObject" else {}
        return {**sort, "x-component": component} | _rest(schema, definitions)
    if component:
        return normalised(definitions[component], definitions) | _rest(schema, definitions)
    return _rest(schema, definitions)


def _rest(schema: Json, definitions: Json) -> Json:
    found: Json = {}
    for name, value in schema.items():
        if name in _ANNOTATIONS or name == "$ref" or (name, value) == ("default", None):
            continue
        match name, value:
            case "properties", {}:
                members = {member: normalised(each, definitions) for member, each in value.items()}
                if members:
                    found[name] = members
            case (("required" | "enum"), [*_]):
                if value:
                    found[name] = sorted(value)
            case (("anyOf" | "oneOf"), [*_]):
                found[name] = [normalised(each, definitions) for each in value]
            case _, {} if name != "default":
                found[name] = normalised(value, definitions)
            case _:
                found[name] = value
    return found


def schema_of(model: type[ApiModel]) -> Json:
    """A model's schema, as requests must keep to it."""
    schema = model.model_json_schema(mode="validation")
    definitions = schema.pop("$defs", {})
    return normalised(schema, definitions)


def test_every_body_of_the_contract_has_its_model_and_every_model_its_body() -> None:
    assert set(MODELS) == set(BODIES)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_the_same_in_the_model_and_in_the_contract(name: str) -> None:
    assert schema_of(MODELS[name]) == normalised(BODIES[name], SCHEMAS)


def test_every_query_of_the_contract_has_its_model() -> None:
    with_a_query = {each.id for each in operations() if each.parameters("query")}
    assert with_a_query == {name for name, model in QUERIES.items() if model is not NoQuery}


@pytest.mark.parametrize(
    "operation", [each for each in operations() if each.id in QUERIES], ids=lambda o: o.id
)
def test_a_query_is_the_same_in_the_model_and_in_the_contract(operation: Any) -> None:
    parameters = operation.parameters("query")
    contract = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: each["schema"] for name, each in parameters.items()},
        "required": [name for name, each in parameters.items() if each.get("required")],
    }
    assert schema_of(QUERIES[operation.id]) == normalised(contract, SCHEMAS)


def test_a_definition_is_the_same_in_the_model_and_in_the_contract() -> None:
    document = SCHEMAS["WorkflowDefinitionDocument"]
    assert schema_of(DefinitionDocument) == normalised(document, SCHEMAS)


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: schema["properties"].pop("comment"),
        lambda schema: schema["properties"].update(colour={"type": "string"}),
        lambda schema: schema["properties"]["decidedBy"].update(type="integer"),
        lambda schema: schema["properties"]["decidedBy"].update(maxLength=256),
        lambda schema: schema["properties"]["decidedBy"].update(default="me"),
        lambda schema: schema["properties"]["decidedBy"].update(enum=["me"]),
        lambda schema: schema["required"].append("comment"),
        lambda schema: schema.update(additionalProperties=True),
        lambda schema: schema.pop("additionalProperties"),
    ],
)
def test_a_drift_of_any_kind_is_noticed(change: Any) -> None:
    contract = normalised(SCHEMAS["DecisionRequest"], SCHEMAS)
    assert schema_of(DecisionRequest) == contract
    drifted = json.loads(json.dumps(contract))
    change(drifted)
    assert schema_of(DecisionRequest) != normalised(drifted, SCHEMAS)


APPROVAL: Json = {"opportunityId": "opp-1", "riskScore": 0.5, "amount": 10}
WORKFLOW: Json = {"opportunityId": "opp-1"}
CLAIM: Json = {"queue": "q", "workerId": "w"}
DECISION: Json = {"approvalId": "a", "decision": "approve", "decidedBy": "u"}
DELEGATION: Json = {"to": "u", "endsAt": "2036-08-25T00:00:00+02:00"}
BACKFILL: Json = {"from": "2026-01-01", "to": "2026-02-01"}
STAGE: Json = {"name": "s", "approvers": [{"user": "u"}]}


def with_policy(**policy: Any) -> Json:
    """A request with a policy of one stage, or with whatever is said of it."""
    return APPROVAL | {"policy": {"stages": [STAGE]} | policy}


def with_stage(**stage: Any) -> Json:
    """A request with a policy of a stage, of which something is said."""
    return with_policy(stages=[STAGE | stage])


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (CreateApprovalRequest, APPROVAL),
        (CreateApprovalRequest, APPROVAL | {"riskScore": -1, "amount": 1e15}),
        (CreateApprovalRequest, APPROVAL | {"requestedAt": "2026-11-22T22:10:05.1234567+01:00"}),
        (CreateApprovalRequest, APPROVAL | {"requestedAt": "2026-11-22t22:10:05z"}),
        (CreateApprovalRequest, APPROVAL | {"requestedAt": "0001-01-01T00:00:00+10:00"}),
        (CreateApprovalRequest, APPROVAL | {"requestedAt": "9999-12-31T23:00:00-10:00"}),
        (CreateApprovalRequest, APPROVAL | {"ownerId": "x" * 255, "correlationId": "ü 漢"}),
        (CreateApprovalRequest, APPROVAL | {"approvalUrl": "http://a"}),
        (CreateApprovalRequest, APPROVAL | {"subject": "s" * 500, "payload": {"a": {"b": [1, None]}}}),
        (CreateApprovalRequest, APPROVAL | {"policy": "large deals", "dueAt": "2036-11-22T22:10:05Z"}),
        (CreateApprovalRequest, with_policy(due="40h", grace=0.5, boundTo=["a.b"], reasonOnRejection=True)),
        (CreateApprovalRequest, with_stage(agree="any", rejections=1.0, remindAfter=["1h", 7200])),
        (CreateApprovalRequest, with_stage(approvers=[{"group": "g", "count": "all"}], agree=2)),
        (CreateApprovalRequest, with_stage(escalate=[{"after": "1d", "to": [{"role": "r", "count": 2}]}])),
        (StartWorkflowRequest, WORKFLOW),
        (StartWorkflowRequest, {}),
        (StartWorkflowRequest, WORKFLOW | {"version": 1, "definition": "d", "input": {}}),
        (
            StartWorkflowRequest,
            WORKFLOW | {"input": {"a": [1, -1.5, True, None, {"b": "c\n"}], "": 2**53 - 1}},
        ),
        (DecisionRequest, {"decidedBy": "u"}),
        (DecisionRequest, {"decidedBy": "u", "comment": ""}),
        (DecisionRequest, {"decidedBy": "u", "comment": "line\nline" + "x" * 3991}),
        (DecisionRequest, {"decidedBy": "u", "payloadDigest": "sha256:" + "0" * 64, "stage": "s"}),
        (DecisionRequest, {"decidedBy": "u", "onBehalfOf": "v"}),
        (DecisionsRequest, {"decisions": [DECISION] * 100}),
        (DecisionsRequest, {"decisions": [DECISION | {"decision": "reject", "comment": "c", "stage": "s"}]}),
        (ReassignRequest, {"to": "u", "reason": "r"}),
        (ReassignRequest, {"toGroup": "g", "reason": "r"}),
        (CommentRequest, {"text": "line\nline"}),
        (ReviseRequest, {}),
        (ReviseRequest, {"amount": 1, "riskScore": 0.5, "subject": "s", "payload": {}, "reason": "r"}),
        (DelegateRequest, DELEGATION),
        (DelegateRequest, DELEGATION | {"by": "v", "startsAt": "2036-08-01T00:00:00Z", "reason": "r"}),
        (RetryRequest, {}),
        (RetryRequest, {"fromStep": "forecast", "input": {"amount": 1}, "reason": "why"}),
        (OptionalReasonRequest, {"reason": "because"}),
        (ReasonRequest, {"reason": "because\n" + "x" * 992}),
        (NothingToSayRequest, {}),
        (CompleteStepRequest, {"result": {}}),
        (TriggerJobRequest, {}),
        (TriggerJobRequest, {"metadata": {}}),
        (StartBackfillRequest, BACKFILL),
        (StartBackfillRequest, BACKFILL | {"windowDays": 36_500, "maxActive": 20.0, "dryRun": True}),
        (StartBackfillRequest, {"from": "2026-01-01T00:00:00.5+01:00", "to": "0001-01-01t00:00:00z"}),
        (StartBackfillRequest, BACKFILL | {"metadata": {"tenantIds": ["t"]}}),
        (ClaimTasksRequest, CLAIM),
        (ClaimTasksRequest, CLAIM | {"max": 100, "leaseSeconds": 43_200, "waitSeconds": 30.0}),
        (HeartbeatTaskRequest, {"leaseToken": "t", "leaseSeconds": 1}),
        (CompleteTaskRequest, {"leaseToken": "t"}),
        (CompleteTaskRequest, {"leaseToken": "t", "output": {"a": [None, {"b": 1.5}]}}),
        (FailTaskRequest, {"leaseToken": "t", "error": "", "retryable": False}),
    ],
)
def test_what_the_contract_takes_the_model_takes(model: type[ApiModel], body: Json) -> None:
    assert faults(SCHEMAS[model.__name__], body) == []
    model.model_validate(body)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (CreateApprovalRequest, APPROVAL | {"riskScore": "0.5"}),
        (CreateApprovalRequest, APPROVAL | {"riskScore": True}),
        (CreateApprovalRequest, APPROVAL | {"riskScore": None}),
        (CreateApprovalRequest, APPROVAL | {"amount": 1.1e15}),
        (CreateApprovalRequest, APPROVAL | {"amount": -(10**400)}),
        (CreateApprovalRequest, APPROVAL | {"opportunityId": ""}),
        (CreateApprovalRequest, APPROVAL | {"opportunityId": "a\x00b"}),
        (CreateApprovalRequest, APPROVAL | {"opportunityId": "a\tb"}),
        (CreateApprovalRequest, APPROVAL | {"opportunityId": "x" * 256}),
        (CreateApprovalRequest, APPROVAL | {"opportunityId": 5}),
        (CreateApprovalRequest, APPROVAL | {"ownerId": None}),
        (CreateApprovalRequest, APPROVAL | {"requestedAt": 1795385405}),
        (CreateApprovalRequest, APPROVAL | {"requestedAt": None}),
        (CreateApprovalRequest, APPROVAL | {"approvalUrl": "javascript:alert(1)"}),
        (CreateApprovalRequest, APPROVAL | {"approvalUrl": "https://a b"}),
        (CreateApprovalRequest, APPROVAL | {"owner_id": "u"}),
        (CreateApprovalRequest, APPROVAL | {"subject": "two\nlines"}),
        (CreateApprovalRequest, APPROVAL | {"payload": []}),
        (CreateApprovalRequest, APPROVAL | {"dueAt": None}),
        (CreateApprovalRequest, APPROVAL | {"policy": ""}),
        (CreateApprovalRequest, APPROVAL | {"policy": None}),
        (CreateApprovalRequest, with_policy(stages=[])),
        (CreateApprovalRequest, with_policy(stages=[STAGE | {"name": f"s{n}"} for n in range(11)])),
        (CreateApprovalRequest, with_policy(due="2w")),
        (CreateApprovalRequest, with_policy(grace=-1)),
        (CreateApprovalRequest, with_policy(boundTo=["a..b"])),
        (CreateApprovalRequest, with_policy(separateDuties=False)),
        (CreateApprovalRequest, with_stage(approvers=[])),
        (CreateApprovalRequest, with_stage(approvers=[{"user": "u", "group": "g"}])),
        (CreateApprovalRequest, with_stage(approvers=[{"user": "u", "count": 2}])),
        (CreateApprovalRequest, with_stage(approvers=[{"role": "r", "count": "all"}])),
        (CreateApprovalRequest, with_stage(agree="most")),
        (CreateApprovalRequest, with_stage(agree=0)),
        (CreateApprovalRequest, with_stage(rejections=51)),
        (CreateApprovalRequest, with_stage(escalate=[{"after": "1d", "to": []}])),
        (StartWorkflowRequest, {"opportunityId": None}),
        (StartWorkflowRequest, WORKFLOW | {"version": 0}),
        (StartWorkflowRequest, WORKFLOW | {"version": True}),
        (StartWorkflowRequest, WORKFLOW | {"version": "1"}),
        (StartWorkflowRequest, WORKFLOW | {"version": 2**31}),
        (StartWorkflowRequest, WORKFLOW | {"input": []}),
        (StartWorkflowRequest, WORKFLOW | {"input": {"a": [{"b": 2**53}]}}),
        (StartWorkflowRequest, WORKFLOW | {"input": {"a": [{"b": -1e300}]}}),
        (StartWorkflowRequest, WORKFLOW | {"input": {"a": [{"b": "c\x00"}]}}),
        (StartWorkflowRequest, WORKFLOW | {"input": {"a": [{"b\x00": 1}]}}),
        (DecisionRequest, {"comment": "c"}),
        (DecisionRequest, {"decidedBy": "u", "comment": "x" * 4001}),
        (DecisionRequest, {"decidedBy": "u", "comment": "\x00"}),
        (DecisionRequest, {"decidedBy": "u", "payloadDigest": "d"}),
        (DecisionRequest, {"decidedBy": "u", "onBehalfOf": None}),
        (DecisionsRequest, {"decisions": []}),
        (DecisionsRequest, {"decisions": [DECISION] * 101}),
        (DecisionsRequest, {"decisions": [DECISION | {"decision": "abstain"}]}),
        (DecisionsRequest, {"decisions": [{"approvalId": "a", "decision": "approve"}]}),
        (ReassignRequest, {"reason": "r"}),
        (ReassignRequest, {"to": "u", "toGroup": "g", "reason": "r"}),
        (ReassignRequest, {"to": "u"}),
        (CommentRequest, {"text": ""}),
        (ReviseRequest, {"amount": None}),
        (ReviseRequest, {"opportunityId": "o"}),
        (DelegateRequest, {"to": "u"}),
        (DelegateRequest, DELEGATION | {"endsAt": "tomorrow"}),
        (RetryRequest, {"fromStep": ""}),
        (RetryRequest, {"input": []}),
        (RetryRequest, {"from_step": "forecast"}),
        (OptionalReasonRequest, {"reason": ""}),
        (OptionalReasonRequest, {"reason": None}),
        (OptionalReasonRequest, {"reason": "x" * 1001}),
        (OptionalReasonRequest, {"why": "x"}),
        (ReasonRequest, {}),
        (ReasonRequest, {"reason": ""}),
        (ReasonRequest, {"reason": "x" * 1001}),
        (ReasonRequest, {"reason": "\x00"}),
        (NothingToSayRequest, {"reason": "x"}),
        (CompleteStepRequest, {}),
        (CompleteStepRequest, {"result": [2**53]}),
        (StartBackfillRequest, {"from": "2026-01-01"}),
        (StartBackfillRequest, BACKFILL | {"from": "2026-02-30"}),
        (StartBackfillRequest, BACKFILL | {"from": "20260101"}),
        (StartBackfillRequest, BACKFILL | {"from": "2026-01-01T00:00:00"}),
        (StartBackfillRequest, BACKFILL | {"to": 1795385405}),
        (StartBackfillRequest, BACKFILL | {"windowDays": 0}),
        (StartBackfillRequest, BACKFILL | {"windowDays": 36_501}),
        (StartBackfillRequest, BACKFILL | {"windowDays": 1.5}),
        (StartBackfillRequest, BACKFILL | {"maxActive": 0}),
        (StartBackfillRequest, BACKFILL | {"maxActive": 21}),
        (StartBackfillRequest, BACKFILL | {"maxActive": True}),
        (StartBackfillRequest, BACKFILL | {"metadata": None}),
        (StartBackfillRequest, BACKFILL | {"dryRun": "yes"}),
        (ClaimTasksRequest, {"queue": "q"}),
        (ClaimTasksRequest, CLAIM | {"max": 0}),
        (ClaimTasksRequest, CLAIM | {"max": 101}),
        (ClaimTasksRequest, CLAIM | {"max": True}),
        (ClaimTasksRequest, CLAIM | {"leaseSeconds": 0}),
        (ClaimTasksRequest, CLAIM | {"leaseSeconds": 1.5}),
        (ClaimTasksRequest, CLAIM | {"waitSeconds": 31}),
        (ClaimTasksRequest, CLAIM | {"waitSeconds": None}),
        (HeartbeatTaskRequest, {"leaseToken": ""}),
        (HeartbeatTaskRequest, {"leaseToken": "t", "leaseSeconds": None}),
        (CompleteTaskRequest, {"leaseToken": "t", "output": []}),
        (CompleteTaskRequest, {"leaseToken": "t", "output": {"a": 2**53}}),
        (FailTaskRequest, {"leaseToken": "t"}),
        (FailTaskRequest, {"leaseToken": "t", "error": "e", "retryable": "no"}),
        (TriggerJobRequest, {"metadata": None}),
        (TriggerJobRequest, {"metadata": {"a": 2**53}}),
    ],
)
def test_what_the_contract_refuses_the_model_refuses(model: type[ApiModel], body: Json) -> None:
    assert faults(SCHEMAS[model.__name__], body) != []
    with pytest.raises(ValidationError):
        model.model_validate(body)


@pytest.mark.parametrize("value", ["1", "999999999", "2026-11-22T22:10:05.123Z", "0", "007", "1.5", "now"])
def test_what_a_thing_can_be_asked_to_be_as_of_is_the_same_to_both(value: str) -> None:
    taken = not faults({"$ref": "#/components/schemas/AsOf"}, value)
    with nullcontext() if taken else pytest.raises(ValidationError):
        AsOfQuery.read([("asOf", value)])
    assert taken == (value in {"1", "999999999", "2026-11-22T22:10:05.123Z"})
