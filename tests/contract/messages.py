"""asyncapi.yaml as the tests look into it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft7Validator

from tests.contract.contract import at, resolved
from tests.yaml_files import document_in

ASYNCAPI_FILE = Path(__file__).parents[2] / "asyncapi.yaml"

DOCUMENT: dict[str, Any] = document_in(ASYNCAPI_FILE)
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


class Operation(NamedTuple):
    """What the service does on a channel; ``action`` is ``send`` or ``receive``."""

    id: str
    action: str
    channel: dict[str, Any]
    bindings: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.channel["address"])

    @property
    def is_of_definitions(self) -> bool:
        """Whether the address is for a definition to say."""
        return "parameters" in self.channel

    @property
    def is_on_a_queue(self) -> bool:
        """Whether it goes past the exchange."""
        return bool(resolved(self.channel["bindings"], DOCUMENT)["amqp"]["is"] == "queue")

    @property
    def messages(self) -> list[str]:
        """The names of the messages, among ``MESSAGES``."""
        return list(self.channel["messages"])


def operations() -> list[Operation]:
    """Everything that the service sends and receives."""
    return [
        Operation(
            name,
            each["action"],
            at(each["channel"]["$ref"], DOCUMENT),
            resolved(each["bindings"], DOCUMENT)["amqp"],
        )
        for name, each in DOCUMENT["operations"].items()
    ]


def documented_types(action: str) -> dict[str, list[str]]:
    """The types that go over the exchange under a name of their own, each with its messages."""
    return {
        each.address: each.messages
        for each in operations()
        if each.action == action and not each.is_of_definitions and not each.is_on_a_queue
    }


def examples(*names: str) -> list[Any]:
    """The examples of these messages, with the names of the messages."""
    return [
        pytest.param(name, example, id=f"{name} {example['name']}")
        for name in names
        for example in MESSAGES[name]["examples"]
    ]


def payload_faults(message: str, payload: object, where: str = "envelope") -> list[str]:
    """Where a body departs from what the document says of a message."""
    return _told(_validator(f"#/components/messages/{message}/payload"), payload, where)


def header_faults(message: str, headers: object, where: str = "headers") -> list[str]:
    """Where AMQP headers depart from what the document says of a message."""
    return _told(_validator(f"#/components/messages/{message}/headers"), headers, where)


def schema_faults(schema: str, value: object, where: str = "envelope") -> list[str]:
    """Where a value departs from a schema of the document."""
    return _told(_validator(f"#/components/schemas/{schema}"), value, where)


@cache
def _validator(reference: str) -> Draft7Validator:
    """Draft 7 is what AsyncAPI's own schemas are of: beside a ``$ref`` nothing counts."""
    return Draft7Validator({"$ref": reference, "components": DOCUMENT["components"]})


def _told(validator: Draft7Validator, value: object, where: str) -> list[str]:
    errors: Iterator[Any] = validator.iter_errors(value)
    return [f"{where}{error.json_path.removeprefix('$')}: {error.message}" for error in errors]
