"""Every message that the service publishes, held against asyncapi.yaml, and its AMQP properties."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from domain.definition import WorkflowDefinition
from tests.contract.messages import documented_types, payload_faults, schema_faults

SYSTEM_TENANT = "00000000-0000-0000-0000-000000000001"

_PUBLISHED = documented_types("send")

PUBLISHED_TYPES = frozenset(_PUBLISHED)
"""Every type that the service may publish, but for those that tenants' definitions add."""


class BrokenContract(AssertionError):
    """A message that the neighbours would drop or misread; the text names every fault."""


class MessageProperties(Protocol):
    """The AMQP properties of a received message, as aio-pika names them."""

    delivery_mode: Any
    message_id: Any
    type: Any
    app_id: Any
    timestamp: Any
    content_type: Any
    headers: Any


def validate_message(
    body: bytes,
    properties: MessageProperties | Mapping[str, Any],
    *,
    routing_key: str | None = None,
    aliases: Mapping[str, str] | None = None,
    definitions: Iterable[WorkflowDefinition] = (),
) -> dict[str, Any]:
    """The envelope in ``body``, once all of the message keeps to the contract.

    ``properties`` is a message of aio-pika, or a mapping as RabbitMQ's management answers it.
    ``aliases`` are those of ``rabbitmq.type_aliases``, documented type to type on the wire.
    ``definitions`` are those of tenants, which have the service say more than the contract's own.

    Raises:
        BrokenContract: with every fault.
    """
    try:
        envelope = json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        raise BrokenContract(f"the body is not JSON: {error}") from None
    documented = _under_its_documented_type(envelope, aliases or {})
    faults = schema_faults("PublishedEnvelope", documented)
    if not faults:
        faults += _message_faults(documented, spoken_by(definitions))
        faults += _property_faults(envelope, _as_mapping(properties))
        if routing_key is not None and routing_key != envelope["type"]:
            faults.append(f"routing key: {routing_key!r} is not the type {envelope['type']!r}")
    if faults:
        raise BrokenContract("\n".join(faults))
    return dict(envelope)


def spoken_by(definitions: Iterable[WorkflowDefinition]) -> Mapping[str, list[str]]:
    """The types that definitions have the service publish, each with the messages that it may be."""
    spoken: dict[str, list[str]] = defaultdict(list)
    for definition in definitions:
        for step in definition.steps:
            for work in (step, step.map and step.map.each, step.compensation):
                if work and work.kind == "event":
                    spoken[work.parameters["request"]].append("StepRequested")
        told = definition.announcements
        for message_type, message in (
            (told.started, "WorkflowStarted"),
            (told.completed, "WorkflowCompleted"),
            (told.failed, "WorkflowFailed"),
        ):
            if message_type:
                spoken[message_type].append(message)
        spoken["workflow.step.completed"].append("StepCompleted")
    return spoken


def _under_its_documented_type(envelope: Any, aliases: Mapping[str, str]) -> Any:
    for documented_type, wire_type in aliases.items():
        if isinstance(envelope, dict) and envelope.get("type") == wire_type:
            return envelope | {"type": documented_type}
    return envelope


def _message_faults(envelope: dict[str, Any], spoken: Mapping[str, list[str]]) -> list[str]:
    """What keeps it from being the one of its type's messages that it is nearest to.

    Of a documented type that is the first, which is the strictest, unless definitions speak of it too.
    """
    message_type = envelope["type"]
    messages = [*_PUBLISHED.get(message_type, ())[:1], *spoken.get(message_type, ())]
    if not messages:
        return [f"envelope.type: {message_type!r} is not a type that the service publishes"]
    faults = [payload_faults(each, envelope) or [*_relation_faults(each, envelope)] for each in messages]
    return min(faults, key=len)


def _relation_faults(message: str, envelope: dict[str, Any]) -> Iterator[str]:
    """What no schema can say: how members go together."""
    data, tenant, source = envelope["data"], envelope["tenantId"], envelope["source"]
    if message not in ("JobTrigger", "AuditAnchored") and tenant == SYSTEM_TENANT:
        yield f"envelope.tenantId: {tenant!r} is no tenant of a workflow or an approval"
    if message.startswith("Approval") and data.get("tenantId") != tenant:
        yield "envelope.data.tenantId: is not the envelope's"
    if not source["instance"].startswith(f"{source['service']}-"):
        yield "envelope.source.instance: does not begin with the service"
    result: dict[str, Any] = data.get("result", {}) if message == "AnalysisStepCompleted" else {}
    if "count" in result and result["count"] != len(result.get("recommendations", ())):
        yield "envelope.data.result.count: is not how many recommendations there are"


def _property_faults(envelope: dict[str, Any], properties: Mapping[str, Any]) -> Iterator[str]:
    headers = {name: _text(value) for name, value in (properties["headers"] or {}).items()}
    checks = {
        "delivery_mode": (_number(properties["delivery_mode"]), 2),
        "message_id": (properties["message_id"], envelope["id"]),
        "type": (properties["type"], envelope["type"]),
        "app_id": (properties["app_id"], envelope["source"]["service"]),
        "content_type": (properties["content_type"], "application/json"),
        "timestamp": (_epoch(properties["timestamp"]), _epoch(envelope["timestamp"])),
        "headers.tenantId": (headers.get("tenantId"), envelope["tenantId"]),
        "headers.version": (headers.get("version"), envelope["version"]),
    }
    for name, (found, expected) in checks.items():
        if found != expected:
            yield f"properties.{name}: {found!r} is not {expected!r}"
    yield from schema_faults("Headers", headers, "properties.headers")


def _as_mapping(properties: MessageProperties | Mapping[str, Any]) -> Mapping[str, Any]:
    names = MessageProperties.__annotations__
    if isinstance(properties, Mapping):
        return {name: properties.get(name) for name in names}
    return {name: getattr(properties, name, None) for name in names}


def _epoch(moment: object) -> int | None:
    """Whole seconds, which is all that AMQP has room for."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return _number(moment)


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
