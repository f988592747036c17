"""What the application needs of the world, as protocols."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from domain.event import Metadata


class Clock(Protocol):
    """The time, so that the domain never reads a clock."""

    def now(self) -> datetime:
        """The present moment in UTC, whole milliseconds."""
        ...


class PublicMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the neighbours see it, before a transport wraps it. ``id`` survives repeats."""

    id: str
    type: str
    tenant: str
    timestamp: datetime
    data: dict[str, Any]
    metadata: dict[str, str]


class Publisher(Protocol):
    """Where public messages go."""

    async def publish(self, message: PublicMessage) -> None:
        """Hand a message over and return once it is safe there.

        Raises:
            BrokerUnavailable: it is not known to be safe; publish it again.
        """
        ...


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be given at ``due_at``: ``kind`` names it, ``payload`` holds its fields."""

    id: str
    due_at: datetime
    kind: str
    payload: dict[str, str | int]
    meta: Metadata


class Timers(Protocol):
    """Durable timers. They are derived from the log, so setting or cancelling twice is harmless."""

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str]) -> None:
        """Set and cancel timers, all or none."""
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[Timer]:
        """Up to ``limit`` timers due by ``now``, the oldest first."""
        ...
