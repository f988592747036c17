"""openapi.yaml as the tests look into it: as strict as this version is."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from jsonschema import Draft202012Validator, FormatChecker

from tests.contract.strictness import strict
from tests.yaml_files import document_in

OPENAPI_FILE = Path(__file__).parents[2] / "openapi.yaml"

PUBLISHED: dict[str, Any] = document_in(OPENAPI_FILE)
"""As clients have it."""

DOCUMENT: dict[str, Any] = strict(PUBLISHED)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

FORMATS = FormatChecker()

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Operation(NamedTuple):
    """One route of the contract."""

    method: str
    path: str
    definition: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.definition["operationId"])

    def parameters(self, where: str) -> dict[str, Any]:
        """The parameters in the path, the query or a header, by name."""
        every = (resolved(each) for each in self.definition.get("parameters", ()))
        return {each["name"]: each for each in every if each["in"] == where}

    def responses(self) -> dict[str, Any]:
        """The answers by their status code."""
        return {status: resolved(each) for status, each in self.definition["responses"].items()}


@FORMATS.checks("date-time", raises=ValueError)
def _is_a_moment(value: object) -> bool:
    """jsonschema itself knows no times unless another library is there."""
    if not isinstance(value, str):
        return True
    return bool(_RFC_3339.fullmatch(value) and datetime.fromisoformat(value.upper()))


def operations() -> list[Operation]:
    """Every route of the contract."""
    return [
        Operation(method, path, item[method])
        for path, item in DOCUMENT["paths"].items()
        for method in METHODS
        if method in item
    ]


def resolved(node: dict[str, Any], document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    """What a reference stands for; anything else as it is."""
    return dict(at(node["$ref"], document)) if "$ref" in node else node


def at(reference: str, document: dict[str, Any] = DOCUMENT) -> Any:
    """What stands at a reference into the contract, or into another document."""
    assert reference.startswith("#/"), reference
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def walk(node: Any, path: str = "#") -> Iterator[tuple[str, Any]]:
    """Every node of the contract with its place."""
    yield path, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in children:
        yield from walk(child, f"{path}/{name}")


def faults(schema: dict[str, Any], value: object) -> list[str]:
    """Where ``value`` departs from a schema that stands in the contract."""
    validator = Draft202012Validator(
        {"allOf": [schema], "components": DOCUMENT["components"]},
        format_checker=FORMATS,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def validate_document(name: str, document: object) -> None:
    """Hold a document against the component schema of its name, such as ``Workflow`` or ``ApprovalList``.

    Raises:
        AssertionError: with every fault.
    """
    found = faults(SCHEMAS[name], document)
    assert not found, f"not a {name}:\n" + "\n".join(found)


def validate_answer(operation: Operation, response: httpx.Response) -> None:
    """Hold an answer against what the contract says of its operation and its status code.

    Raises:
        AssertionError: with every fault.
    """
    status = str(response.status_code)
    promised = operation.responses()
    assert status in promised, f"{operation.id} promises no {status}: {response.text}"
    media_type = response.headers["content-type"].partition(";")[0]
    schema = promised[status]["content"][media_type]["schema"]
    if media_type == "application/json":
        assert faults(schema, response.json()) == [], response.text
    for name, header in promised[status]["headers"].items():
        schema, value = resolved(header)["schema"], response.headers[name]
        assert faults(schema, int(value) if schema["type"] == "integer" else value) == [], name
