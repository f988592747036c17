"""What the application needs of the world, as protocols."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from domain.event import Metadata
from domain.lease import Lease


class Clock(Protocol):
    """The time, so that the domain never reads a clock."""

    def now(self) -> datetime:
        """The present moment in UTC, whole milliseconds."""
        ...


class PublicMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the neighbours see it, before a transport wraps it. ``id`` survives repeats.

    One that is ``mandatory`` is of no use unless a queue takes it: a job's trigger, of whichever type.
    """

    id: str
    type: str
    tenant: str
    timestamp: datetime
    data: dict[str, Any]
    metadata: dict[str, str]
    mandatory: bool = False


class Publisher(Protocol):
    """Where public messages go."""

    async def publish(self, message: PublicMessage, lease: Lease) -> None:
        """Hand a message over and return once it is safe there.

        Raises:
            BrokerUnavailable: it is not known to be safe; publish it again.
            MessageUnroutable: it is mandatory, and no queue takes it; that is what becomes of it.
            MessageRefused: it can never be taken; that is what becomes of it.
            MessageNotTaken: it alone is not taken now; publish it again, but not at once: others may have it.
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
    every_seconds: float | None = None
    """After how long it comes again, until its command is refused."""
    version: int = 0
    """Of the event that it began with, in the stream that its command is for; 0 where that was not kept."""


class Settled(NamedTuple):
    """A timer as it was found due, and the one that takes its place, if there is to be one."""

    found: Timer
    again: Timer | None


class Timers(Protocol):
    """Durable timers. They are derived from the log, so setting or cancelling twice is harmless.

    Whoever follows the log changes them, and whoever gives the commands of those that are due settles these:
    two who do not wait for each other.
    """

    async def change(self, *, set: Sequence[Timer], cancel: Sequence[str], lease: Lease) -> None:
        """Set and cancel timers, all of them or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def settle(self, handled: Sequence[Settled], lease: Lease) -> None:
        """Take away what was found due, or put it off. What was set to another time meanwhile, or cancelled,
        stays as it is.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def due(self, now: datetime, limit: int, besides: Collection[str] = ()) -> Sequence[Timer]:
        """Up to ``limit`` timers due by ``now``, the oldest first, besides those of some tenants: to pass
        over these takes the longer the more they have."""
        ...


class Directory(Protocol):
    """Who belongs to which group of a tenant. A group that nobody is in is as good as none."""

    async def members_of(self, tenant: str, group: str) -> frozenset[str]:
        """Return everybody in a group.

        Raises:
            DirectoryUnavailable: that cannot be told now.
        """
        ...

    async def groups_of(self, tenant: str, person: str) -> frozenset[str]:
        """Return every group that somebody is in.

        Raises:
            DirectoryUnavailable: that cannot be told now.
        """
        ...


class StepCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to a neighbour that an attempt at an ``http`` step wants made.

    ``parameters`` and ``input`` are as they were dispatched; ``meta`` is for the command that tells what came
    of it. Without ``deadline_at`` the step waits for as long as it takes. ``done_again`` tells one undoing
    from another: see :class:`domain.workflow.StepDispatched`.
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
    """The calls still to be made, kept durably. They are derived from the log: to add or remove one twice is
    harmless."""

    async def change(self, *, add: Sequence[StepCall], remove: Sequence[str], lease: Lease) -> None:
        """Add and remove calls, all of them or none.

        Raises:
            LeaseLost: the lease has passed on; nothing was changed.
        """
        ...

    async def waiting(self, *, each: int, besides: Collection[str]) -> Sequence[StepCall]:
        """Up to ``each`` calls of every tenant to every service, the oldest first, besides those ids: what
        one of them has waiting hides nothing of another's."""
        ...


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a neighbour. ``path`` and ``query`` are percent-encoded; ``body`` is JSON."""

    service: str
    method: str
    path: str
    query: str = ""
    body: bytes | None = None
    tenant: str
    headers: Mapping[str, str] = {}


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a neighbour answered: all of it, and not more than a result may have."""

    status: int
    body: bytes = b""
    retry_after: str | None = None


class NoAnswer(msgspec.Struct, frozen=True):
    """A neighbour could not be reached, or did not answer to the end; ``why`` may be shown."""

    why: str
    timed_out: bool = False


class BadAnswer(msgspec.Struct, frozen=True):
    """A neighbour answered what is not followed, or not read to its end; ``why`` may be shown."""

    why: str


class StepCaller(Protocol):
    """The way to the neighbours that steps may call."""

    async def call(self, request: HttpRequest, seconds: float) -> HttpAnswer | NoAnswer | BadAnswer:
        """What came of a request within ``seconds``. It is made once; the neighbours are known by name."""
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

    def surplus(self, holder: str) -> Collection[str]:
        """Of what ``holder`` has, what it is to give back, since another has less to do."""
        ...

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Give back those that ``holder`` has, so that nobody need wait for their end."""
        ...
