"""asyncapi.yaml by itself, and beside the code: valid, complete, and with the names that the service uses."""

import json
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from application.integration import PUBLISHED_TYPES
from config.rabbit_transport import bindings_of
from config.settings import DEFAULT_FILE
from domain.definition import Announcements, StepDefinition, WorkflowDefinition
from domain.platform_messages import REQUESTS, is_the_platforms
from interfaces.definitions.shipped import read_folder, shipped_folder
from interfaces.messaging.messages import CONSUMED
from tests.contract.amqp import spoken_by, validate_message
from tests.contract.contract import at, resolved, walk
from tests.contract.messages import (
    ASYNCAPI_FILE,
    DOCUMENT,
    MESSAGES,
    Operation,
    documented_types,
    examples,
    header_faults,
    operations,
    payload_faults,
)
from tests.npm import node_for
from tests.yaml_files import document_in

JUDGE = Path(__file__).with_name("asyncapi")

RABBITMQ: dict[str, Any] = document_in(DEFAULT_FILE)["rabbitmq"]
SHIPPED = read_folder(shipped_folder())
OWN_QUEUE = DOCUMENT["channels"][RABBITMQ["queue"]]

OPERATIONS = {each.address: each for each in operations()}
PUBLISHED = {
    name
    for each in operations()
    if each.action == "send" and not each.is_on_a_queue
    for name in each.messages
}
"""The messages that go out over the exchange."""

OF_A_TENANT = WorkflowDefinition(
    name="credit-check",
    version=1,
    steps=(
        StepDefinition(
            step_type="credit", parameters={"request": "credit.check.requested"}, result_key="credit"
        ),
    ),
    announcements=Announcements(
        started="deal.check.started", completed="deal.check.completed", failed="deal.check.failed"
    ),
)
"""What the examples of definitions' own messages speak of."""

of_each_operation = pytest.mark.parametrize("operation", operations(), ids=lambda each: each.id)

BROKEN: dict[str, Any] = {
    "asyncapi": "3.0.0",
    "info": {"title": "Without a version"},
    "channels": {
        "one": {
            "address": "{here}",
            "parameters": {"there": {}},
            "messages": {"m": {"payload": {"minimum": "none"}}},
        },
        "other": {"address": "other", "messages": {"m": {}}, "bindings": {"amqp": {"is": "topic"}}},
    },
    "operations": {
        "mistaken": {
            "action": "send",
            "channel": {"$ref": "#/channels/one"},
            "messages": [{"$ref": "#/channels/other/messages/m"}],
        },
        "lost": {"action": "send", "channel": {"$ref": "#/channels/nothing"}},
    },
}


@pytest.fixture(scope="module")
def judged() -> list[list[str]]:
    """What AsyncAPI's own parser finds wrong with the document, and with a broken one."""
    command = [node_for(JUDGE, "AsyncAPI's parser"), "judge.js"]
    texts = json.dumps([ASYNCAPI_FILE.read_text(), json.dumps(BROKEN)])
    process = subprocess.run(command, cwd=JUDGE, input=texts, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    found: list[list[str]] = json.loads(process.stdout)
    return found


def test_the_document_is_valid_asyncapi_3_0(judged: list[list[str]]) -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert judged[0] == []


@pytest.mark.parametrize(
    "place",
    [
        "info",
        "channels/one/parameters",
        "channels/one/messages/m/payload/minimum",
        "channels/other/bindings/amqp/is",
        "operations/mistaken/messages/0",
        "operations/lost/channel/$ref",
    ],
)
def test_the_check_of_validity_finds_a_fault(judged: list[list[str]], place: str) -> None:
    assert [fault for fault in judged[1] if fault.startswith(f"{place}:")]


def test_every_reference_leads_somewhere_and_stands_alone() -> None:
    """Beside a reference nothing counts, and a rule that stands there would go unheeded."""
    references = [node for _, node in walk(DOCUMENT) if isinstance(node, dict) and "$ref" in node]
    assert references
    for each in references:
        assert set(each) == {"$ref"}
        at(each["$ref"], DOCUMENT)


def test_every_component_is_used() -> None:
    used = {node["$ref"] for _, node in walk(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    components = {
        f"#/components/{kind}/{name}" for kind, members in DOCUMENT["components"].items() for name in members
    }
    assert components - used == set()


def test_every_channel_but_the_own_queues_is_used() -> None:
    used = {each["channel"]["$ref"] for each in DOCUMENT["operations"].values()}
    unused = {f"#/channels/{name}" for name in DOCUMENT["channels"]} - used
    assert unused == {f"#/channels/{RABBITMQ[queue]}" for queue in ("queue", "job_queue")}


def test_the_service_takes_in_exactly_what_is_named() -> None:
    assert set(documented_types("receive")) == set(CONSUMED)


def test_the_service_gives_out_exactly_what_is_named() -> None:
    assert set(documented_types("send")) == {*PUBLISHED_TYPES, *spoken_by(SHIPPED)}


def test_the_own_queue_is_bound_to_just_what_is_named() -> None:
    named = [MESSAGES[name]["name"] for name in OWN_QUEUE["messages"]]
    of_shipped = {each for definition in SHIPPED for each in definition.message_types}
    assert sorted(named) == sorted([*bindings_of({}, of_shipped), "stepReplied", "workflowTriggered"])


def test_of_what_is_named_a_tenant_can_send_nothing_but_the_requests_of_the_analysis() -> None:
    sent = documented_types("send")
    assert {each for each in {*sent, *CONSUMED} if not is_the_platforms(each)} == REQUESTS
    assert {each for each, messages in sent.items() if "StepRequested" in messages} == REQUESTS


def test_exchange_and_queues_have_the_names_of_the_settings() -> None:
    bindings = [resolved(each["bindings"], DOCUMENT)["amqp"] for each in DOCUMENT["channels"].values()]
    exchanges = {json.dumps(each["exchange"]) for each in bindings if each["is"] == "routingKey"}
    queues = {each["queue"]["name"] for each in bindings if each["is"] == "queue"}
    (exchange,) = map(json.loads, exchanges)
    assert exchange == {
        "name": RABBITMQ["exchange"],
        "type": "topic",
        "durable": True,
        "autoDelete": False,
    }
    assert queues == {RABBITMQ[name] for name in ("queue", "job_queue", "dead_letter_queue")}


@pytest.mark.parametrize("name", DOCUMENT["channels"])
def test_a_channel_is_called_what_its_address_is(name: str) -> None:
    channel = DOCUMENT["channels"][name]
    if "parameters" in channel:
        assert channel["address"] == f"{{{next(iter(channel['parameters']))}}}"
    else:
        assert channel["address"] == name


@of_each_operation
def test_each_operation_says_what_it_is(operation: Operation) -> None:
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", operation.id)
    definition = DOCUMENT["operations"][operation.id]
    assert {"summary", "tags"} <= set(definition)
    assert {tag["name"] for tag in DOCUMENT["info"]["tags"]}.issuperset(
        tag["name"] for tag in definition["tags"]
    )
    assert "description" in operation.channel


@of_each_operation
def test_each_operation_is_as_the_broker_sees_it(operation: Operation) -> None:
    if operation.action == "receive":
        assert operation.bindings["ack"] is True
        return
    assert (operation.bindings["deliveryMode"], operation.bindings["timestamp"]) == (2, True)
    assert operation.bindings["mandatory"] is (operation.id in ("triggerJob", "parkMessage"))


@pytest.mark.parametrize("address", [*documented_types("send"), *documented_types("receive")])
def test_the_message_of_a_documented_type_says_so(address: str) -> None:
    message = MESSAGES[OPERATIONS[address].messages[0]]
    assert message["name"] == address
    properties = message["payload"]["allOf"][1]["properties"]
    assert properties["type"] == {"const": address}
    if OPERATIONS[address].action == "send":
        assert message["bindings"]["amqp"]["messageType"] == address


@of_each_operation
def test_a_reply_comes_the_other_way_and_is_known_by_the_same(operation: Operation) -> None:
    definition = DOCUMENT["operations"][operation.id]
    if "reply" not in definition:
        return
    channel = at(definition["reply"]["channel"]["$ref"], DOCUMENT)
    assert {operation.action, OPERATIONS[channel["address"]].action} == {"send", "receive"}
    asked, *_ = operation.messages
    for answered in channel["messages"]:
        assert MESSAGES[asked].get("correlationId") == MESSAGES[answered].get("correlationId")


def test_every_message_has_an_example() -> None:
    assert all(message["examples"] for message in MESSAGES.values())


REPORTS = {"JobCompleted", "JobFailed"}
"""What a report is told by it may leave out: it is of the newest open run then."""


@pytest.mark.parametrize(("name", "example"), examples(*MESSAGES))
def test_each_example_keeps_to_its_message(name: str, example: dict[str, Any]) -> None:
    assert payload_faults(name, example["payload"]) == []
    if "headers" in MESSAGES[name]:
        assert header_faults(name, example["headers"]) == []
    if "correlationId" in MESSAGES[name] and (name not in REPORTS or "metadata" in example["payload"]):
        location = resolved(MESSAGES[name]["correlationId"], DOCUMENT)["location"]
        assert at(location.removeprefix("$message.payload"), example["payload"])


@pytest.mark.parametrize(("name", "example"), examples(*sorted(PUBLISHED)))
def test_each_example_of_what_goes_out_is_one_that_would_be_taken_on_the_wire(
    name: str, example: dict[str, Any]
) -> None:
    """With the AMQP properties that the document has for it."""
    message, body = MESSAGES[name], example["payload"]
    wire_type = message.get("bindings", {"amqp": {"messageType": body["type"]}})["amqp"]["messageType"]
    properties = {
        "delivery_mode": at("#/components/operationBindings/persistent/amqp/deliveryMode", DOCUMENT),
        "message_id": body["id"],
        "type": wire_type,
        "app_id": body["source"]["service"],
        "timestamp": datetime.fromisoformat(body["timestamp"]),
        "content_type": message["contentType"],
        "headers": example["headers"],
    }
    definitions = [OF_A_TENANT] if wire_type not in PUBLISHED_TYPES or name == "StepCompleted" else []
    raw = json.dumps(body).encode()
    assert validate_message(raw, properties, routing_key=wire_type, definitions=definitions) == body
