"""The envelope of a received message, read liberally (wire contract, section 1)."""

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from domain.contexts import message_context
from domain.event import Metadata
from domain.json_text import InvalidJson, read_json_of_neighbours
from domain.values import LONGEST_ID, canonical, canonical_id, derived_id, id_of, is_id, is_uuid
from interfaces.findings import findings

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Four of them make a workflow's results, which go out as one message. RabbitMQ 4 accepts 16 MiB."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the transport passes it on."""

    body: bytes
    routing_key: str = ""
    message_id: str | None = None


class Unreadable(ValueError):
    """A message that cannot be parsed or is not valid. The text says where and why."""


class WireModel(BaseModel):
    """What is received: names in camelCase, unknown fields ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, extra="ignore", frozen=True, strict=True
    )


OfNumber = BeforeValidator(id_of)
"""An id may be a number where it comes from."""


def _object(value: object) -> object:
    return value if isinstance(value, dict) else {}


class Envelope(WireModel):
    """The parts of an envelope that matter to us. Everything else may be missing or odd. Its fields are used
    many times, and read once."""

    type: str = Field(min_length=1, max_length=255)
    data: Annotated[dict[str, Any], BeforeValidator(_object)] = {}
    id: str
    tenant_id: Any = None
    metadata: Any = None
    source: Any = None

    @cached_property
    def tenant(self) -> str | None:
        """The tenant of the envelope, or of the data if the envelope has none."""
        for candidate in (self.tenant_id, self.data.get("tenantId")):
            if candidate and isinstance(candidate, str):
                return candidate.lower()
        return None

    @cached_property
    def message_id(self) -> str:
        """The message's id as a UUID. An id of another form is turned into one, which is always the same."""
        return canonical_id(self.id) if is_uuid(self.id) else derived_id("message", self.id)

    def require_tenant(self) -> str:
        """Return the tenant.

        Raises:
            Unreadable: there is none, or it is no UUID.
        """
        tenant = self.tenant
        if not is_uuid(tenant):
            raise Unreadable("tenantId: must be a UUID, in the envelope or in data")
        assert tenant is not None
        return tenant

    @cached_property
    def correlation_id(self) -> str:
        """What the message belongs to, according to its metadata or its data, or else its own id."""
        candidates = (self._metadata.get("correlationId"), self.data.get("correlationId"))
        return next((canonical_id(str(each)) for each in candidates if is_uuid(each)), self.message_id)

    @property
    def user(self) -> str | None:
        """The person who caused the message, if it says so. A value that can be no id names nobody."""
        user = self._metadata.get("userId")
        return user if is_id(user) else None

    def caused_by(self, tenant: str) -> Metadata:
        """Return the metadata of a command that follows from this message."""
        return Metadata(
            tenant=tenant,
            actor=self.user or f"service:{self.service}",
            correlation_id=self.correlation_id,
            causation_id=self.message_id,
            command_id=self.message_id,
        )

    def as_context(self) -> Mapping[str, Any]:
        """Return what the expressions of triggers can use."""
        return message_context(
            message_type=self.type, data=self.data, metadata=dict(self._metadata), tenant=self.tenant
        )

    @cached_property
    def _metadata(self) -> Mapping[str, Any]:
        return self.metadata if isinstance(self.metadata, Mapping) else {}

    @property
    def service(self) -> str:
        """The service that it says it comes from."""
        name = self.source.get("service") if isinstance(self.source, Mapping) else self.source
        name = name[:LONGEST_ID] if isinstance(name, str) else None
        return name if name and is_id(name) else "unknown"


def read_envelope(delivery: Delivery, documented_type: Mapping[str, str]) -> Envelope:
    """Return the envelope in a message. ``documented_type`` turns a type's alias into the documented one.

    A message without an id of its own is identified by the transport's id, or by its bytes.

    Raises:
        Unreadable: it is not JSON or not an envelope.
    """
    if len(delivery.body) > MAX_MESSAGE_BYTES:
        raise Unreadable(f"has {len(delivery.body)} bytes; at most {MAX_MESSAGE_BYTES} are accepted")
    try:
        content = read_json_of_neighbours(delivery.body)
    except InvalidJson as error:
        raise Unreadable(str(error)) from error
    if not isinstance(content, dict):
        raise Unreadable("the body must be a JSON object")
    content["id"] = (
        _told_id(content.get("id")) or delivery.message_id or hashlib.sha256(delivery.body).hexdigest()
    )
    if content.get("type") in (None, ""):
        content["type"] = delivery.routing_key
    wire_type = content["type"]
    if isinstance(wire_type, str):
        content["type"] = documented_type.get(wire_type, wire_type)
    try:
        return Envelope.model_validate(content)
    except ValidationError as error:
        raise Unreadable(faults(error, Envelope)) from error


def _told_id(identifier: Any) -> str | None:
    """Return an id of any form as a text, which is the same for the same id. True, false or an empty text do
    not distinguish messages: with them all but the first would count as repeats."""
    identifier = id_of(identifier)
    if not identifier or identifier is True:
        return None
    return identifier if isinstance(identifier, str) else canonical(identifier).decode("utf-8", "replace")


def faults(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Return every fault of a model on one line, each with its field. Values are left out, because they may
    be secret."""
    return "; ".join(
        f"{prefix}{'.'.join(map(str, place)) or 'body'}: {message}"
        for place, message in findings(error, model)
    )
