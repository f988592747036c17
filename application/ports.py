"""What the application needs of the world, as protocols."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from domain.event import Metadata
from domain.lease import Lease


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

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Hand a message over and return once it is safe there.

        Raises:
            BrokerUnavailable: it is not known to be safe; publish it again.
            LeaseLost: the lease was lost before the message was on its way.
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

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[Timer]:
        """Up to ``limit`` timers due by ``now``, the oldest first."""
        ...


class Leases(Protocol):
    """Who does what only one may do at a time, known to every instance."""

    @property
    def seconds(self) -> float:
        """For how long a lease is held after it was last asked for."""
        ...

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Those that ``holder`` has from now on, with their fences: its own, and what is free of the rest.

        Raises:
            StoreUnavailable: nothing is known to be held.
        """
        ...

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Give back those that ``holder`` has, so that nobody need wait for their end."""
        ...
