"""What the application needs from outside, as protocols."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from domain.event import Metadata
from domain.lease import Lease


class Clock(Protocol):
    """The clock, so that the domain never reads the time itself."""

    def now(self) -> datetime:
        """Return the present time in UTC, in whole milliseconds."""
        ...


class PublicMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the neighbours see it, before a transport wraps it. Repeats have the same ``id``.

    A ``mandatory`` message is useless unless a queue takes it: a job's trigger, of whichever type.
    """

    id: str
    type: str
    tenant: str
    timestamp: datetime
    data: dict[str, Any]
    metadata: dict[str, str]
    mandatory: bool = False


class Publisher(Protocol):
    """Sends public messages."""

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Send a message, and return when the broker has it safely.

        Raises:
            BrokerUnavailable: it is not known to be safe; publish it again.
            MessageUnroutable: it is mandatory, and no queue takes it. This is final.
            MessageRefused: it can never be accepted. This is final.
            MessageNotTaken: this message alone is not accepted now; publish it again, but not at once. Others
                may be accepted.
            LeaseLost: the lease was lost before the message was sent.
        """
        ...


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be given at ``due_at``. ``kind`` names the command, ``payload`` holds its fields."""

    id: str
    due_at: datetime
    kind: str
    payload: dict[str, str | int]
    meta: Metadata
    every_seconds: float | None = None
    """The time after which the timer comes due again, until its command is refused."""
    version: int = 0
    """The version of the event with which it began, in the stream of its command, or 0 if that was not
    stored."""


class Settled(NamedTuple):
    """A timer that was found due, and the one that replaces it, if any."""

    found: Timer
    again: Timer | None


class Timers(Protocol):
    """Durable timers. They are derived from the log, so setting or cancelling one twice is harmless.

    A follower of the log changes timers, and the clock's part settles those that are due. Neither waits for
    the other.
    """

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all of them or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def settle(self, handled: Sequence[Settled], lease: Lease) -> None:
        """Delete or postpone the timers that were found due. One that was cancelled or set to another time
        meanwhile stays as it is.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def due(self, now: datetime, limit: int, besides: Collection[str] = ()) -> Sequence[Timer]:
        """Return up to ``limit`` timers due by ``now``, the oldest first, without those of the tenants
        ``besides``. Skipping these takes longer the more timers they have."""
        ...


class Directory(Protocol):
    """Who belongs to which group of a tenant. A group without members counts as non-existent."""

    async def members_of(self, tenant: str, group: str) -> frozenset[str]:
        """Return everybody in a group.

        Raises:
            DirectoryUnavailable: this is not known now.
        """
        ...

    async def groups_of(self, tenant: str, person: str) -> frozenset[str]:
        """Return every group that somebody is in.

        Raises:
            DirectoryUnavailable: this is not known now.
        """
        ...


class StepCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to a neighbour that an attempt at an ``http`` step asks for.

    ``parameters`` and ``input`` are as they were dispatched. ``meta`` is for the command that reports the
    outcome. Without ``deadline_at`` the step waits as long as it takes. ``done_again`` distinguishes repeated
    compensations: see :class:`domain.workflow.StepDispatched`.
    """

    id: str
    service: str
    workflow_id: str
    step_id: str
    step_type: str
    attempt: int
    parameters: Mapping[str, Any]
    input: Mapping[str, Any]
    dispatched_at: datetime
    deadline_at: datetime | None
    meta: Metadata
    done_again: int = 0


class StepCalls(Protocol):
    """The calls that are still to be made, stored durably. They are derived from the log, so adding or
    removing one twice is harmless."""

    async def change(self, *, add: Sequence[StepCall], remove: Sequence[str], lease: Lease) -> None:
        """Add and remove calls, all of them or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def waiting(self, *, each: int, besides: Collection[str]) -> Sequence[StepCall]:
        """Return up to ``each`` calls per tenant and service, the oldest first, without the ids ``besides``.
        So no tenant's or service's calls hide those of another."""
        ...


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a neighbour. ``path`` and ``query`` are percent-encoded, ``body`` is JSON."""

    service: str
    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    tenant: str
    headers: Mapping[str, str] = {}


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A neighbour's complete answer, which is no larger than a result may be."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


class NoAnswer(msgspec.Struct, frozen=True):
    """The neighbour could not be reached, or did not answer completely. People may see ``why``."""

    why: str
    timed_out: bool = False


class BadAnswer(msgspec.Struct, frozen=True):
    """The neighbour's answer is not followed, or is not read to its end. People may see ``why``."""

    why: str


class StepCaller(Protocol):
    """Calls the neighbours that steps may call."""

    async def call(self, request: HttpRequest, seconds: float) -> HttpAnswer | NoAnswer | BadAnswer:
        """Send a request once, and return its outcome within ``seconds``. Neighbours are known by name."""
        ...


class Leases(Protocol):
    """Leases for what only one instance may do at a time. All instances know them."""

    @property
    def seconds(self) -> float:
        """How long a lease lasts after it was last asked for."""
        ...

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Return the leases that ``holder`` has from now on, with their fences: its own, and the free ones of
        the others.

        Raises:
            StoreUnavailable: no lease is known to be held.
        """
        ...

    def surplus(self, holder: str) -> Collection[str]:
        """Return the leases that ``holder`` should give back, because another instance has fewer."""
        ...

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Give back the leases that ``holder`` has, so that nobody has to wait for their end."""
        ...
