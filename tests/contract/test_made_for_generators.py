"""What generators of clients choke on, one by one: each left operations out, or members that nothing could be
written into. ``test_generated_client.py`` runs one of them over the whole.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract.contract import PUBLISHED, SCHEMAS, at, faults, operations, walk
from tests.contract.messages import ASYNCAPI_FILE
from tests.contract.strictness import Json, parts, strict
from tests.yaml_files import document_in

OPEN = PUBLISHED["components"]["schemas"]


def published_parts() -> Iterator[tuple[str, Json]]:
    """Every schema of the contract, as clients have it, with its place."""
    for path, node in walk(PUBLISHED["paths"]):
        if path.endswith("/schema") and "/examples/" not in path:
            yield from ((path, each) for each in parts(node))
    for name, schema in OPEN.items():
        yield from ((name, each) for each in parts(schema))
    for kind in ("parameters", "headers"):
        yield from ((name, each["schema"]) for name, each in PUBLISHED["components"][kind].items())


def reached(node: Any) -> set[str]:
    """The names of the schemas that a part of the contract leads to."""
    found: set[str] = set()
    pending = [node]
    while pending:
        for _, each in walk(pending.pop()):
            if isinstance(each, dict) and (reference := each.get("$ref")) and reference not in found:
                found.add(reference)
                pending.append(at(reference, PUBLISHED))
    return {each.rpartition("/")[2] for each in found if each.startswith("#/components/schemas/")}


IN_REQUESTS = reached([each.definition.get("requestBody") for each in operations()])
IN_ANSWERS = reached([each.definition["responses"] for each in operations()])


def test_an_object_without_members_says_what_it_may_hold() -> None:
    bare = [
        (path, each)
        for path, each in published_parts()
        if each.get("type") == "object" and not {"properties", "additionalProperties"} & set(each)
    ]
    assert bare == []


def test_a_list_says_what_it_holds() -> None:
    assert [
        path for path, each in published_parts() if "array" in each.get("type", "") and "items" not in each
    ] == []


@pytest.mark.parametrize("name", OPEN)
def test_no_value_is_made_of_values_of_its_own_kind(name: str) -> None:
    assert name not in _made_of(OPEN[name])


def _made_of(schema: Json) -> set[str]:
    """What a schema is or holds, but not in members of its own, by name."""
    found: set[str] = set()
    pending = [schema]
    while pending:
        for each in parts({name: value for name, value in pending.pop().items() if name != "properties"}):
            name = each.get("$ref", "").rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                pending.append(OPEN[name])
    return found


def test_a_parameter_can_be_sent_as_text() -> None:
    """A generated client keeps a constant out, and makes of a UUID in a header what httpx does not send."""
    nodes = [each for _, each in walk(PUBLISHED) if isinstance(each, dict)]
    schemas = [each["schema"] for each in nodes if each.get("in") == "header" and "schema" in each]
    assert schemas
    assert {key for each in schemas for key in each} <= {
        "type",
        "pattern",
        "minLength",
        "maxLength",
    }


def test_what_a_schema_adds_to_has_no_object_without_a_name() -> None:
    """Each that adds to it would have one of its own, under the same name."""
    bases = [each["$ref"] for _, node in published_parts() for each in node.get("allOf", ())]
    assert bases
    for base in {*bases}:
        _, *within = parts(at(base, PUBLISHED))
        assert [each for each in within if each.get("type") == "object"] == [], base


def test_nothing_takes_the_name_of_a_schema() -> None:
    names = {
        name
        for _, node in published_parts()
        for name, each in node.get("properties", {}).items()
        if "properties" in each and name[0].upper() + name[1:] in OPEN
    }
    assert names == set()


def test_requests_are_closed_and_answers_are_open() -> None:
    for name in IN_REQUESTS:
        for each in parts(OPEN[name]):
            assert "properties" not in each or each["additionalProperties"] is False, name
    for name in IN_ANSWERS:
        for each in parts(OPEN[name]):
            assert each.get("additionalProperties") is not False, name
            assert each.get("unevaluatedProperties") is not False, name


def test_the_tests_close_every_object_that_names_its_members() -> None:
    bases = {each["$ref"] for schema in SCHEMAS.values() for each in schema.get("allOf", ())}
    for name, schema in SCHEMAS.items():
        for each in parts(schema):
            if "properties" in each and f"#/components/schemas/{name}" not in bases:
                assert each.get("additionalProperties", each.get("unevaluatedProperties")) is False, name
    inline = [path for path, each in published_parts() if path.startswith("#") and "properties" in each]
    assert inline == [], "it is closed where it has a name"


def test_what_is_added_to_an_answer_is_within_the_contract_and_not_within_this_version() -> None:
    error = {"error": {"code": "NOT_FOUND", "message": "m", "requestId": "r"}}
    assert faults(SCHEMAS["Error"], error) == []
    for later in (error | {"more": 1}, {"error": error["error"] | {"more": 1}}, _with_code(error, "NEW")):
        assert faults(SCHEMAS["Error"], later) != []
        assert list(_open("Error").iter_errors(later)) == []


def _with_code(error: Json, code: str) -> Json:
    return {"error": error["error"] | {"code": code}}


def _open(name: str) -> Draft202012Validator:
    return Draft202012Validator(OPEN[name] | {"components": PUBLISHED["components"]})


@pytest.mark.parametrize("name", [name for name in OPEN if name.startswith("Published")])
def test_a_part_of_a_definition_is_told_as_it_was_published(name: str) -> None:
    assert _as_taken(SCHEMAS[name]) == SCHEMAS[name.removeprefix("Published")] | {"description": "-"}


def test_a_definition_is_told_as_it_was_published() -> None:
    taken, told = SCHEMAS["WorkflowDefinitionDocument"], _as_taken(SCHEMAS["WorkflowDefinition"])
    own: Json = {name: {} for name, each in taken["properties"].items() if not each}
    assert told["properties"] | own == taken["properties"]


def _as_taken(schema: Json) -> Json:
    """The schema of an answer with the names of the parts that requests have."""
    renamed: Json = json.loads(json.dumps(schema).replace("schemas/Published", "schemas/"))
    return renamed | {"description": "-"}


def test_the_tests_are_stricter_than_the_contract_only_in_its_schemas() -> None:
    assert strict(PUBLISHED) | {"components": None} == PUBLISHED | {"components": None}


@pytest.mark.parametrize("document", [PUBLISHED, document_in(ASYNCAPI_FILE)], ids=["openapi", "asyncapi"])
def test_every_name_is_a_text_to_a_reader_of_yaml_1_1(document: Any) -> None:
    """``off`` is false to it, ``1`` a number; the tests read the files by such a one."""
    mappings = [(path, node) for path, node in walk(document) if isinstance(node, dict)]
    assert [(path, name) for path, node in mappings for name in node if not isinstance(name, str)] == []
