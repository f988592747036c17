"""openapi.yaml by itself: valid, complete, and true to its own examples."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from jsonschema import Draft202012Validator

from domain.approval import digest_of
from domain.errors import Refusal, TaskNotOffered, TooLongAChain
from tests.contract.contract import (
    DOCUMENT,
    OPENAPI_FILE,
    SCHEMAS,
    Operation,
    at,
    faults,
    operations,
    resolved,
    validate_document,
    walk,
)

TAKES_ANYTHING = "validateWorkflowDefinition"
"""Its answer is what is wrong with what it was sent."""

of_each_operation = pytest.mark.parametrize("operation", operations(), ids=lambda each: each.id)


def test_the_contract_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    schemathesis.openapi.from_path(OPENAPI_FILE).validate()


def test_the_check_of_validity_finds_a_fault() -> None:
    broken = {"openapi": "3.1.0", "info": {"title": "No version"}, "paths": {}}
    with pytest.raises(Exception, match="version"):
        schemathesis.openapi.from_dict(broken).validate()


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_component_schema_is_valid_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_every_reference_leads_somewhere() -> None:
    references = [node["$ref"] for _, node in walk(DOCUMENT) if isinstance(node, dict) and "$ref" in node]
    assert references
    for reference in references:
        at(reference)


def test_every_component_is_used() -> None:
    used = {node["$ref"] for _, node in walk(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    components = {
        f"#/components/{kind}/{name}"
        for kind, members in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in members
    }
    assert components - used == set()


def test_operation_ids_are_unique_and_camel_case() -> None:
    ids = [operation.id for operation in operations()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", each) for each in ids)


@of_each_operation
def test_each_operation_says_what_it_is(operation: Operation) -> None:
    assert {"operationId", "tags", "summary", "description", "responses"} <= set(operation.definition)
    assert {tag["name"] for tag in DOCUMENT["tags"]}.issuperset(operation.definition["tags"])


@of_each_operation
def test_each_path_parameter_is_described(operation: Operation) -> None:
    assert set(re.findall(r"{(\w+)}", operation.path)) == set(operation.parameters("path"))


@of_each_operation
def test_every_answer_carries_the_request_id_and_an_example(operation: Operation) -> None:
    for status, response in operation.responses().items():
        assert "X-Request-ID" in response["headers"], status
        for media in response["content"].values():
            assert media["examples"], status


@of_each_operation
def test_every_header_that_is_promised_is_promised_always(operation: Operation) -> None:
    for status, response in operation.responses().items():
        for name, header in response["headers"].items():
            assert resolved(header)["required"] is True, (status, name)


@of_each_operation
def test_each_route_of_the_api_tells_of_tenant_identity_and_failures(operation: Operation) -> None:
    if not operation.path.startswith("/api/v1/"):
        assert operation.definition["security"] is not None
        return
    assert operation.parameters("header")["X-Tenant-ID"]["required"] is True
    assert {"400", "401", "403", "500", "503"} <= set(operation.responses())
    if "{" in operation.path:
        assert "404" in operation.responses()
    if "requestBody" in operation.definition:
        assert {"408", "413", "415"} <= set(operation.responses())
    if "If-Match" in operation.parameters("header"):
        assert {"409", "412"} <= set(operation.responses())


@of_each_operation
def test_each_body_of_a_request_is_closed_and_has_an_example(operation: Operation) -> None:
    if "requestBody" not in operation.definition:
        return
    contents = resolved(operation.definition["requestBody"])["content"]
    assert "application/json" in contents
    for media in contents.values():
        if operation.id != TAKES_ANYTHING:
            assert resolved(media["schema"])["additionalProperties"] is False
        assert media["examples"]


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example of the contract, with its place and its schema."""
    for path, node in walk(DOCUMENT):
        if not isinstance(node, dict) or "schema" not in node:
            continue
        if "example" in node:
            yield path, node["schema"], node["example"]
        for name, example in node.get("examples", {}).items():
            yield f"{path} {name}", node["schema"], resolved(example)["value"]


@pytest.mark.parametrize(("schema", "value"), [pytest.param(s, v, id=p) for p, s, v in examples()])
def test_each_example_keeps_to_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert faults(schema, value) == []


def test_there_are_examples_to_check() -> None:
    assert len(list(examples())) > 60


@of_each_operation
def test_each_link_leads_to_an_operation_and_its_parameters(operation: Operation) -> None:
    targets = {each.id: each for each in operations()}
    for response in operation.responses().values():
        for link in map(resolved, response.get("links", {}).values()):
            target = targets[link["operationId"]]
            for parameter in link["parameters"]:
                where, _, name = parameter.partition(".")
                assert name in target.parameters(where), parameter


def test_every_refusal_of_a_rule_has_its_code_in_the_contract() -> None:
    """But for the one that a claim goes past, to the next task, and the one that only messages meet."""
    codes = {kind.code for kind in _kinds_of(Refusal) if "code" in vars(kind)}
    assert codes - set(SCHEMAS["KnownErrorCode"]["enum"]) == {TaskNotOffered.code, TooLongAChain.code}


def _kinds_of(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds_of(each)


def test_the_digest_of_an_example_is_of_its_facts() -> None:
    nodes = [node for _, node in walk(DOCUMENT) if isinstance(node, dict)]
    approvals = [each for each in nodes if isinstance(each.get("payloadDigest"), str) and "amount" in each]
    assert len(approvals) > 8
    for each in approvals:
        assert each["payloadDigest"] == digest_of(
            opportunity_id=each["opportunityId"],
            amount=each["amount"],
            risk_score=each["riskScore"],
            payload=each.get("payload"),
            bound_to=each.get("boundTo"),
        )


def test_a_document_with_a_member_of_the_store_is_refused() -> None:
    approval = at("#/components/examples/PendingApproval/value")
    validate_document("Approval", approval)
    with pytest.raises(AssertionError, match="_etag"):
        validate_document("Approval", approval | {"_etag": "0"})
    with pytest.raises(AssertionError, match="decidedBy"):
        validate_document("Approval", approval | {"decidedBy": None})


def test_a_step_is_closed_within_its_workflow_too() -> None:
    workflow = at("#/components/examples/RunningWorkflow/value")
    with pytest.raises(AssertionError, match="tenantId"):
        validate_document(
            "Workflow", workflow | {"steps": [workflow["steps"][0] | {"tenantId": workflow["tenantId"]}]}
        )
