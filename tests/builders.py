"""Small builders for tests. All defaults can be overridden by name."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.errors import LeaseLost
from domain.event import Event, Metadata, Recorded
from domain.lease import Unrivalled

NOW = datetime(2026, 11, 22, 22, 10, 5, 123_000, tzinfo=UTC)
"""A moment in whole milliseconds, as clocks give them."""

TENANT = "7d0f3f2e-6a51-4b0c-9a53-1b2f5a1c9e10"
OTHER_TENANT = "c3d1a2f0-5b66-4c1e-8a0f-3f1f6f0b7a22"
USER = "5b9d1c1e-2f0a-4b8e-8d43-0d6b7f2c4a11"
CORRELATION = "0a1b2c3d-0000-4000-8000-00000000c0de"
CAUSE = "0a1b2c3d-0000-4000-8000-0000000ca05e"

LEASE = Unrivalled("the-only-one")
"""A lease for code that has no rivals."""


def after(**time: float) -> datetime:
    """Return the time that is so much later than ``NOW``."""
    return NOW + timedelta(**time)


def metadata(
    *,
    tenant: str = TENANT,
    actor: str = USER,
    correlation_id: str = CORRELATION,
    causation_id: str | None = CAUSE,
    command_id: str | None = None,
    request_digest: str | None = None,
) -> Metadata:
    """Return the metadata of a command, with a new ``command_id`` by default."""
    return Metadata(
        tenant=tenant,
        actor=actor,
        correlation_id=correlation_id,
        causation_id=causation_id,
        command_id=command_id or str(uuid4()),
        request_digest=request_digest,
    )


def recorded(
    stream: str,
    events: Iterable[Event],
    *,
    first_version: int = 1,
    at: datetime = NOW,
    meta: Metadata | None = None,
) -> tuple[Recorded, ...]:
    """Return events at consecutive versions of a stream, a millisecond apart."""
    chosen = meta or metadata(tenant=stream.split("/", 1)[0])
    return tuple(
        Recorded(
            stream=stream,
            version=first_version + number,
            timestamp=at + timedelta(milliseconds=number),
            meta=chosen,
            event=event,
        )
        for number, event in enumerate(events)
    )


class SettableClock:
    """A clock that stands still until it is moved."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """Return the time that was set."""
        return self.moment

    def advance(self, **time: float) -> None:
        """Advance the clock, by the arguments of ``timedelta``."""
        self.moment += timedelta(**time)


class Held:
    """A lease that its holder believes to have, even if another one has it by now."""

    def __init__(self, name: str, fence: int | None) -> None:
        self.name = name
        self.fence = fence

    def check(self) -> None:
        """Do nothing: the holder was paused, and has not looked at the clock since."""


class LostAfterwards(Held):
    """A lease that is valid at the first check, and lost afterwards."""

    _has_begun = False

    def check(self) -> None:
        """Succeed once, then raise LeaseLost."""
        if self._has_begun:
            raise LeaseLost("paused")
        self._has_begun = True
