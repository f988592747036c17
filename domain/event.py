"""Stored events: what a payload, its metadata and its place in a stream are.

A payload is a frozen struct under an explicit topic and schema version, so that neither a moved file nor a
renamed class breaks history. Payloads know nothing of streams, actors or commands: the store records these
beside them, in :class:`Recorded`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import msgspec

from domain.namespace import Namespace

type_registry: dict[str, type["Event"]] = {}

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]

_EVENT_IDS = Namespace("urn:workflow-orchestrator:event")

_TOLD_APART_SINCE = datetime(2026, 11, 30, tzinfo=UTC)
"""Older events were published under the id of their place, and keep it, so that a repeat is no new message
(ADR 45)."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened. Subclasses are registered with :func:`stored_as`."""

    TOPIC: ClassVar[str]
    SCHEMA_VERSION: ClassVar[int]
    UPCASTERS: ClassVar[Mapping[int, Upcaster]]


E = TypeVar("E", bound=Event)


def stored_as(
    topic: str, *, version: int = 1, upcasters: Mapping[int, Upcaster] | None = None
) -> Callable[[type[E]], type[E]]:
    """Register a payload class under its stored topic and schema version.

    ``upcasters[n]`` turns the stored fields of version ``n`` into those of ``n + 1``; every version
    below the present one needs one.

    Raises:
        ValueError: the topic is taken, or an upcaster is missing.
    """
    steps = dict(upcasters or {})
    if sorted(steps) != list(range(1, version)):
        raise ValueError(f"{topic} is at version {version} and has upcasters for {sorted(steps)}")

    def register(cls: type[E]) -> type[E]:
        if topic in type_registry:
            raise ValueError(f"topic {topic} is taken by {type_registry[topic].__name__}")
        cls.TOPIC, cls.SCHEMA_VERSION, cls.UPCASTERS = topic, version, steps
        type_registry[topic] = cls
        return cls

    return register


class Metadata(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who caused an event, on whose behalf, and through which channel.

    ``command_id`` names the request or message that was handled: a stream that already holds an event with it
    has handled that command before. ``causation_id`` is the message or event that led to the command.
    ``request_digest`` is of what was asked under a ``command_id`` that the caller chose.
    """

    tenant: str
    actor: str
    correlation_id: str
    command_id: str
    causation_id: str | None = None
    request_digest: str | None = None

    @property
    def names_no_correlation(self) -> bool:
        """Whether it comes from a message that names no correlation but itself."""
        return self.correlation_id == self.causation_id == self.command_id


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An event at its place. ``version`` counts from 1 within ``stream``."""

    stream: str
    version: int
    timestamp: datetime
    meta: Metadata
    event: Event

    @property
    def event_id(self) -> str:
        """The id of the event's place. It is always the same."""
        return event_id(self.stream, self.version)

    @property
    def identity(self) -> str:
        """The id of what happened. It is the same for each repeat, but differs from that of an event in the
        same place that was lost by a restore or a failover.

        A command that is handled again because its outcome was lost gets the same id again.
        """
        if self.timestamp < _TOLD_APART_SINCE:
            return self.event_id
        return _identity(self.stream, self.version, self.meta.command_id)

    def leads_to(self, command_id: str, *, actor: str) -> Metadata:
        """Return the metadata of a command that ``actor`` gives because of this event."""
        return Metadata(
            tenant=self.meta.tenant,
            actor=actor,
            correlation_id=self.meta.correlation_id,
            causation_id=self.event_id,
            command_id=command_id,
        )


@lru_cache(maxsize=4_096)
def event_id(stream: str, version: int) -> str:
    """Return the id of the event at ``version`` of ``stream``. It is derived, so that repeats carry the same
    one. Each follower that reacts to the event asks for it."""
    return _EVENT_IDS.id(f"{stream}@{version}")


@lru_cache(maxsize=4_096)
def _identity(stream: str, version: int, command_id: str) -> str:
    return _EVENT_IDS.id(f"{stream}@{version} by {command_id}")


class PutOff(msgspec.Struct, frozen=True):
    """The events of a batch that cannot be handled now, and that must not hold up the others: the last ones
    of their streams."""

    events: Sequence[Recorded]
    why: str
