"""Every message that the service publishes, held against the wire contract (its section 1)."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml
from jsonschema import Draft202012Validator

SYSTEM_TENANT = "00000000-0000-0000-0000-000000000001"

CONTRACT: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("messages.yaml").read_text())

PUBLISHED_TYPES = frozenset(CONTRACT["data"])
"""Every type that the service may publish."""


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
) -> dict[str, Any]:
    """The envelope in ``body``, once all of the message keeps to the contract.

    ``properties`` is a message of aio-pika, or a mapping as RabbitMQ's management answers it.
    ``aliases`` are those of ``rabbitmq.type_aliases``, documented type to type on the wire.

    Raises:
        BrokenContract: with every fault.
    """
    try:
        envelope = json.loads(body, parse_constant=_refuse_constant)
    except ValueError as error:
        raise BrokenContract(f"the body is not JSON: {error}") from None
    faults = [*_faults(CONTRACT["envelope"], envelope, "envelope")]
    if not faults:
        documented = {wire: name for name, wire in (aliases or {}).items()}
        message_type = documented.get(envelope["type"], envelope["type"])
        faults += _data_faults(message_type, envelope)
        faults += _property_faults(envelope, _as_mapping(properties))
        if routing_key is not None and routing_key != envelope["type"]:
            faults.append(f"routing key: {routing_key!r} is not the type {envelope['type']!r}")
    if faults:
        raise BrokenContract("\n".join(faults))
    return dict(envelope)


def _faults(schema: Mapping[str, Any], value: object, where: str) -> Iterator[str]:
    validator = Draft202012Validator({"allOf": [schema], "$defs": CONTRACT["$defs"]})
    for error in validator.iter_errors(value):
        yield f"{where}{error.json_path.removeprefix('$')}: {error.message}"


def _data_faults(message_type: str, envelope: dict[str, Any]) -> Iterator[str]:
    data, tenant, source = envelope["data"], envelope["tenantId"], envelope["source"]
    if message_type not in PUBLISHED_TYPES:
        yield f"envelope.type: {message_type!r} is not a type that the service publishes"
        return
    yield from _faults(CONTRACT["data"][message_type], data, "data")
    if message_type == "workflow.job.trigger":
        if tenant != SYSTEM_TENANT:
            yield f"envelope.tenantId: {tenant!r} is not the system tenant"
    elif tenant in ("", SYSTEM_TENANT):
        yield f"envelope.tenantId: {tenant!r} is no tenant of a workflow or an approval"
    if "tenantId" in data and data["tenantId"] != tenant:
        yield "data.tenantId: is not the envelope's"
    if not source["instance"].startswith(f"{source['service']}-"):
        yield "envelope.source.instance: does not begin with the service"
    result = data.get("result", {})
    if "count" in result and result["count"] != len(result.get("recommendations", ())):
        yield "data.result.count: is not how many recommendations there are"


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
