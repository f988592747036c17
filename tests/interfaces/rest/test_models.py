"""What requests are read into: every fault is told, and nothing is taken for something else."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from domain.faults import Fault
from interfaces.rest.approval_models import ApprovalFilters, CreateApprovalRequest
from interfaces.rest.audit_models import TrailFilters
from interfaces.rest.backfill_models import StartBackfillRequest
from interfaces.rest.models import (
    ApiModel,
    AsOfQuery,
    ClaimTasksRequest,
    CompleteStepRequest,
    CompleteTaskRequest,
    NoQuery,
    Paging,
    PreviewQuery,
    Query,
    RetryRequest,
    StartWorkflowRequest,
    TaskFilters,
    TriggerJobRequest,
    WhichVersion,
    WorkflowFilters,
    faults,
)

APPROVAL = {"opportunityId": "opp-1", "riskScore": 1, "amount": 0.5}


def faults_of(
    error: pytest.ExceptionInfo[ValidationError], model: type[ApiModel] = NoQuery
) -> dict[str, str]:
    return {fault.field: fault.message for fault in faults(error.value, model)}


def test_every_fault_of_a_body_is_told_at_once_by_its_name_on_the_wire() -> None:
    body = {"riskScore": "1", "amount": True, "requestedAt": "yesterday", "ownerId": None, "colour": 1}
    with pytest.raises(ValidationError) as refused:
        CreateApprovalRequest.model_validate(body)
    assert set(faults_of(refused)) == {"opportunityId", *body}


def test_a_fault_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(ValidationError) as refused:
        CreateApprovalRequest.model_validate(APPROVAL | {"ownerId": "secret\n"})
    assert "secret" not in str(faults(refused.value, CreateApprovalRequest))


def test_a_body_that_is_no_object_is_at_fault_as_a_whole() -> None:
    with pytest.raises(ValidationError) as refused:
        StartWorkflowRequest.model_validate([])
    assert set(faults_of(refused)) == {"body"}


def test_a_fault_deep_in_free_json_is_told_with_its_place() -> None:
    with pytest.raises(ValidationError) as refused:
        TriggerJobRequest.model_validate({"metadata": {"a": [0, {"b": 2**60}]}})
    (fault,) = faults(refused.value, TriggerJobRequest)
    assert fault == Fault("metadata.a.1.b", "a number should be within ±9007199254740991")


@pytest.mark.parametrize(
    ("model", "around", "name"),
    [
        (StartWorkflowRequest, {}, "input"),
        (RetryRequest, {}, "input"),
        (CreateApprovalRequest, APPROVAL, "payload"),
        (CompleteStepRequest, {}, "result"),
        (TriggerJobRequest, {}, "metadata"),
        (CompleteTaskRequest, {"leaseToken": "t"}, "output"),
        (StartBackfillRequest, {"from": "2026-01-01", "to": "2026-01-02"}, "metadata"),
    ],
)
def test_every_fault_of_free_json_is_told_in_the_order_in_which_it_was_sent(
    model: type[BaseModel], around: dict[str, Any], name: str
) -> None:
    free = {"a": {"n": 1e16}, "l": [1, "x\0", [-1e16]], "s": "x\0", "in": {"x\0": 1}}
    with pytest.raises(ValidationError) as refused:
        model.model_validate({**around, name: free})
    number, text = "a number should be within ±9007199254740991", "the string contains NUL"
    assert faults(refused.value, model) == [
        Fault(f"{name}.a.n", number),
        Fault(f"{name}.l.1", text),
        Fault(f"{name}.l.2.0", number),
        Fault(f"{name}.s", text),
        Fault(f"{name}.in", "a name contains NUL"),
    ]


def test_of_very_many_faults_of_free_json_it_is_told_that_there_are() -> None:
    with pytest.raises(ValidationError) as refused:
        TriggerJobRequest.model_validate({"metadata": {"a": [1e16] * 100_000}})
    (fault,) = faults(refused.value, TriggerJobRequest)
    assert fault == Fault("body", "has more than 1000 faults, such as unknown members")


def test_whole_numbers_stay_whole() -> None:
    request = CreateApprovalRequest.model_validate(APPROVAL)
    assert (type(request.risk_score), type(request.amount)) == (int, float)


def test_the_integer_one_may_be_written_as_a_fraction() -> None:
    request = StartWorkflowRequest.model_validate({"opportunityId": "o", "version": 1.0})
    assert (request.version, type(request.version)) == (1, int)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T23:10:05.123+01:00", datetime(2026, 11, 22, 22, 10, 5, 123000, tzinfo=UTC)),
        ("2026-11-22t22:10:05z", datetime(2026, 11, 22, 22, 10, 5, tzinfo=UTC)),
        ("2026-11-22T22:10:05.123456789Z", datetime(2026, 11, 22, 22, 10, 5, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00+10:00", datetime.min.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-10:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_a_time_is_taken_to_utc(text: str, moment: datetime) -> None:
    assert CreateApprovalRequest.model_validate(APPROVAL | {"requestedAt": text}).requested_at == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22",
        "2026-11-22 22:10:05Z",
        "2026-11-22T22:10:05",
        "2026-11-22T22:10Z",
        "2026-02-30T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T22:10:05+24:00",
        "0000-01-01T00:00:00Z",
        "1795385405",
        "２026-11-22T22:10:05Z",
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        CreateApprovalRequest.model_validate(APPROVAL | {"requestedAt": text})


def test_a_query_is_read_from_text() -> None:
    filters = WorkflowFilters.read(
        [("limit", "7"), ("status", "failed"), ("createdAfter", "2026-01-01T00:00:00Z")]
    )
    assert (filters.limit, filters.status) == (7, "failed")
    assert filters.created_after == datetime(2026, 1, 1, tzinfo=UTC)
    assert Paging.read([]).limit == 50


def test_every_fault_of_a_query_is_told_at_once() -> None:
    query = [("limit", "7"), ("limit", "8"), ("status", "odd"), ("createdAfter", "1"), ("colour", "red")]
    with pytest.raises(ValidationError) as refused:
        WorkflowFilters.read(query)
    assert set(faults_of(refused)) == {"limit", "status", "createdAfter", "colour"}


@pytest.mark.parametrize("limit", ["0", "201", "", " 7", "+7", "7.0", "1_0", "７", "9" * 5000])
def test_a_limit_that_is_no_plain_number_within_bounds_is_refused(limit: str) -> None:
    with pytest.raises(ValidationError):
        Paging.read([("limit", limit)])


EACH_PARAMETER = [
    (model, field.alias or name)
    for model in (WorkflowFilters, ApprovalFilters, TrailFilters, PreviewQuery, WhichVersion, AsOfQuery)
    for name, field in model.model_fields.items()
]


@pytest.mark.parametrize(("model", "name"), EACH_PARAMETER)
def test_a_parameter_that_is_given_twice_is_told_to_be(model: type[Query], name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        model.read([(name, "5"), (name, "5"), ("colour", "red"), ("colour", "blue")])
    told = faults_of(refused, model)
    assert told.pop("colour").startswith("is not known")
    assert told == {name: "is given more than once"}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (WorkflowFilters, "createdAfter"),
        (ApprovalFilters, "createdBefore"),
        (TrailFilters, "after"),
        (PreviewQuery, "from"),
        (AsOfQuery, "asOf"),
    ],
)
def test_a_plus_that_a_url_has_made_a_space_is_told(model: type[Query], name: str) -> None:
    hint = "; a + in a URL's query stands for a space: write it as %2B"
    for text, is_told in {
        "2026-11-29T00:00:00 01:00": True,
        "2026-11-29t00:00:00.5 01:00": True,
        "2026-11-29 00:00:00": False,
        "2026-11-29T00:00:00 +01:00": False,
        "yesterday 01:00": False,
    }.items():
        with pytest.raises(ValidationError) as refused:
            model.read([(name, text)])
        assert faults_of(refused, model)[name].endswith(hint) == is_told, text


def test_where_nothing_is_asked_for_every_parameter_is_refused() -> None:
    assert NoQuery.read([]) == NoQuery()
    with pytest.raises(ValidationError):
        NoQuery.read([("limit", "1")])


@pytest.mark.parametrize("name", ["Calls!", "Calls", "calls.", "calls\n", "", "q" * 129])
def test_a_queue_has_a_name_that_a_definition_can_give_it(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ClaimTasksRequest.model_validate({"queue": name, "workerId": "w1"})
    words = "lower-case letters and digits, joined by . _ or -, at most 128 characters"
    assert faults_of(refused) == {"queue": f"Input should be {words}"}
    with pytest.raises(ValidationError) as refused:
        TaskFilters.read([("queue", name)])
    assert set(faults_of(refused)) == {"queue"}


@pytest.mark.parametrize(
    ("model", "name", "otherwise"),
    [
        (AsOfQuery, "asOf", ", or a version (1 or more)"),
        (TrailFilters, "after", ", or a position of the log (as in X-Position)"),
        (TrailFilters, "before", ", or a position of the log (as in X-Position)"),
        (StartBackfillRequest, "from", ", or a date"),
        (WorkflowFilters, "createdAfter", ""),
    ],
)
def test_where_something_else_than_a_time_may_be_given_that_is_told(
    model: type[ApiModel], name: str, otherwise: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({name: "0"})
    assert faults_of(refused)[name] == f"Input should be an RFC 3339 time with an offset{otherwise}"
