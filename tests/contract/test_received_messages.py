"""What neighbours send: asyncapi.yaml and the models that read it, neither stricter than it says."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from pydantic.alias_generators import to_camel

from application.workflow_commands import TakeReply
from interfaces.messaging.envelope import Delivery, Envelope, Unreadable, read_envelope
from interfaces.messaging.messages import CONSUMED, command_for, reply_in
from interfaces.neighbours import REQUESTS, message, reply_to
from tests.contract.contract import resolved
from tests.contract.messages import DOCUMENT, MESSAGES, documented_types, examples, payload_faults

SHARD_TYPES = ("opportunity", "c_opportunity")
TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

RECEIVED = {address: messages[0] for address, messages in documented_types("receive").items()}
"""The messages of the types that the code knows, by their types."""

Json = dict[str, Any]


def read(body: Json, routing_key: str) -> Envelope:
    """A body as the service reads it."""
    return read_envelope(Delivery(body=msgspec.json.encode(body), routing_key=routing_key), {})


def is_readable(body: Json, routing_key: str) -> bool:
    """Whether the service would not park it."""
    try:
        command_for(read(body, routing_key), SHARD_TYPES)
    except Unreadable:
        return False
    return True


@pytest.mark.parametrize(("name", "example"), examples(*RECEIVED.values()))
def test_each_example_of_what_comes_in_is_taken(name: str, example: Json) -> None:
    assert command_for(read(example["payload"], MESSAGES[name]["name"]), SHARD_TYPES) is not None


@pytest.mark.parametrize(("name", "example"), examples("StepReplied"))
def test_each_example_of_a_definitions_reply_is_taken(name: str, example: Json) -> None:
    reply = reply_in(read(example["payload"], ""))
    assert isinstance(reply, TakeReply)
    assert reply.data == example["payload"]["data"]


@pytest.mark.parametrize(("name", "example"), examples("WorkflowTriggered"))
def test_each_example_of_a_trigger_is_of_a_tenant(name: str, example: Json) -> None:
    assert read(example["payload"], "").require_tenant() == TENANT


@pytest.mark.parametrize("message_type", CONSUMED)
def test_the_document_speaks_of_what_the_model_reads(message_type: str) -> None:
    """A reply may be without its workflow: then it is none of ours, and no model is asked."""
    schema = resolved(MESSAGES[RECEIVED[message_type]]["payload"]["allOf"][1]["properties"]["data"], DOCUMENT)
    fields = CONSUMED[message_type].model_fields
    assert {to_camel(name) for name in fields} <= set(schema["properties"])
    required = {to_camel(name) for name, field in fields.items() if field.is_required()}
    assert required - {"workflowId"} == set(schema.get("required", ()))


@pytest.mark.parametrize("request_type", REQUESTS)
def test_what_the_simulated_neighbours_answer_is_what_the_document_expects(request_type: str) -> None:
    request, *_ = documented_types("send")[request_type]
    for example in MESSAGES[request]["examples"]:
        reply = reply_to(msgspec.json.encode(example["payload"]))
        assert reply is not None
        reply_type, body = reply
        assert payload_faults(RECEIVED[reply_type], msgspec.json.decode(body)) == []


@pytest.mark.parametrize(
    ("message_type", "data"),
    [
        ("integration.opportunity.updated", {"opportunityId": "opp-1"}),
        ("hitl.approval.requested", {"opportunityId": "opp-1", "riskScore": 0.87, "amount": 250_000}),
    ],
)
def test_what_the_simulated_neighbours_begin_with_is_what_the_document_expects(
    message_type: str, data: Json
) -> None:
    body = msgspec.json.decode(message(message_type, TENANT, data))
    assert payload_faults(RECEIVED[message_type], body) == []


def _set(*path: str, to: Any) -> Callable[[Json], None]:
    def change(body: Json) -> None:
        for name in path[:-1]:
            body = body[name]
        body[path[-1]] = to

    return change


def _without(*path: str) -> Callable[[Json], None]:
    def change(body: Json) -> None:
        for name in path[:-1]:
            body = body[name]
        del body[path[-1]]

    return change


def changed(message_type: str, change: Callable[[Json], None]) -> Json:
    """An example with one thing other than it was."""
    body: Json = copy.deepcopy(MESSAGES[RECEIVED[message_type]]["examples"][0]["payload"])
    change(body)
    return body


ASKED, UPDATED = "hitl.approval.requested", "integration.opportunity.updated"
EVALUATED, ENDED = "risk.evaluation.completed", "workflow.job.completed"


@pytest.mark.parametrize(
    ("message_type", "change"),
    [
        *[(ASKED, _without(name)) for name in ("id", "type", "version", "timestamp", "source")],
        (ASKED, _set("id", to=None)),
        (ASKED, _set("id", to="event 7")),
        (ASKED, _set("id", to=7)),
        (ASKED, _set("data", "opportunityId", to=815)),
        (ASKED, _set("data", "ownerId", to=7)),
        (ASKED, _set("source", to="risk-analytics")),
        (ASKED, _set("source", to=None)),
        (ASKED, _set("timestamp", to=1795385405123)),
        (ASKED, _set("version", to=2)),
        (ASKED, _set("metadata", to="none")),
        (ASKED, _set("metadata", to={"correlationId": "order 7"})),
        (ASKED, _set("colour", to="red")),
        (ASKED, _set("data", "colour", to="red")),
        (ASKED, _set("tenantId", to=TENANT.upper())),
        *[(ASKED, _set("data", "requestedAt", to=to)) for to in ("", None, 1795385405123, 0.5)],
        (ASKED, _set("data", "requestedAt", to="2026-11-22T22:12:00")),
        (ASKED, _set("data", "requestedAt", to="2026-11-22T22:12:00.1234567+01:00")),
        *[(ASKED, _set("data", "ownerId", to=to)) for to in ("", None, "x" * 255)],
        *[(ASKED, _set("data", "approvalUrl", to=to)) for to in ("", None, "http://a")],
        *[(ASKED, _set("data", "amount", to=to)) for to in (0, -1e15, 10**15)],
        (UPDATED, _set("data", "metadata", to=7)),
        (EVALUATED, _without("data", "workflowId")),
        (EVALUATED, _set("data", "workflowId", to="")),
        (EVALUATED, _set("data", "workflowId", to=None)),
        (EVALUATED, _set("data", "detectedRisks", to=None)),
        *[(EVALUATED, _set("data", "workflowId", to=to)) for to in (7, "nightly-run-7", True)],
        *[(EVALUATED, _set("data", "evaluationId", to=to)) for to in ("", 7, None)],
        *[(EVALUATED, _set("data", "riskScore", to=to)) for to in ("0.5", None, "high")],
        ("risk.scoring.completed", _set("data", "modelId", to=None)),
        ("risk.evaluation.failed", _without("data", "error")),
        ("risk.evaluation.failed", _set("data", "error", to=[7])),
        (ENDED, _without("tenantId")),
        (ENDED, _set("tenantId", to="nobody")),
        (ENDED, _set("tenantId", to=7)),
        (ENDED, _set("data", "status", to="partly")),
        ("shard.updated", _set("data", "id", to=None)),
        ("shard.updated", _set("data", "id", to="opp-7")),
        ("shard.updated", _set("data", "shardId", to=7)),
        ("shard.updated", _set("data", to={"shardTypeName": "opportunity", "shardId": "", "id": "opp-7"})),
    ],
)
def test_what_the_document_is_liberal_with_is_taken(
    message_type: str, change: Callable[[Json], None]
) -> None:
    body = changed(message_type, change)
    assert payload_faults(RECEIVED[message_type], body) == []
    assert is_readable(body, message_type)


@pytest.mark.parametrize(
    ("message_type", "change"),
    [
        (ASKED, _without("data")),
        (ASKED, _set("data", to=[])),
        (ASKED, _set("type", to=7)),
        (ASKED, _without("tenantId")),
        *[(ASKED, _set("tenantId", to=to)) for to in ("", None, 7, "acme", TENANT.replace("-", ""))],
        *[(ASKED, _without("data", name)) for name in ("opportunityId", "riskScore", "amount")],
        *[(ASKED, _set("data", "opportunityId", to=to)) for to in ("", None, True, "a\tb", "x" * 256)],
        *[(ASKED, _set("data", "riskScore", to=to)) for to in ("0.8", True, None, 1.1e15)],
        *[(ASKED, _set("data", "ownerId", to=to)) for to in (0.5, "a\x00", "x" * 256)],
        (UPDATED, _without("data", "opportunityId")),
        (EVALUATED, _without("data", "riskScore")),
        (EVALUATED, _without("data", "detectedRisks")),
        ("recommendation.generation.completed", _set("data", "recommendations", to={})),
        (ENDED, _without("data", "job")),
        ("shard.updated", _without("data", "shardId")),
        ("shard.updated", _set("data", "shardId", to="")),
        ("shard.updated", _set("data", "shardId", to=0.5)),
    ],
)
def test_what_the_document_does_not_take_the_service_does_not_either(
    message_type: str, change: Callable[[Json], None]
) -> None:
    body = changed(message_type, change)
    assert payload_faults(RECEIVED[message_type], body) != []
    assert not is_readable(body, message_type)


@pytest.mark.parametrize(
    ("message_type", "change"),
    [
        *[(ASKED, _set("data", "requestedAt", to=to)) for to in ("tomorrow", True)],
        *[(ASKED, _set("data", "approvalUrl", to=to)) for to in ("javascript:alert(1)", "https://a b", 7)],
        (ENDED, _set("data", "completedAt", to="soon")),
    ],
)
def test_what_only_decorates_a_message_ought_to_be_right_and_costs_nothing_where_it_is_not(
    message_type: str, change: Callable[[Json], None]
) -> None:
    body = changed(message_type, change)
    assert payload_faults(RECEIVED[message_type], body) != []
    assert is_readable(body, message_type)


def test_a_tenant_in_the_data_counts_where_the_envelope_has_none() -> None:
    def move(tenant: object) -> Callable[[Json], None]:
        return lambda body: body.update(tenantId=tenant, data={**body["data"], "tenantId": TENANT})

    for tenant in ("", None):
        body = changed(ASKED, move(tenant))
        assert payload_faults(RECEIVED[ASKED], body) == []
        assert is_readable(body, ASKED)
    body = changed(ASKED, move("acme"))
    assert payload_faults(RECEIVED[ASKED], body) != []
    assert not is_readable(body, ASKED)
