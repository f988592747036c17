"""What a job does about overlap, about missed firings, and about runs that fail or are not heard of."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from zlib import crc32

import msgspec

from domain.values import timestamp

Overlap = Literal["allow", "skip", "queue_one"]
"""What becomes of a firing while a run of the job is open: it runs concurrently, it is skipped, or it waits
for the end of that run. Only one waits; further ones are skipped."""

CatchUp = Literal["none", "latest", "all"]
"""Which missed firings are made up for: none, the latest of them, or all."""

DEFAULT_DEADLINE_SECONDS = 6 * 3600.0

ON_TIME = timedelta(minutes=1)
"""A firing that is so late does not count as missed, because a restart or a handover takes seconds."""


_LONGEST_PAUSE_SECONDS = 86_400.0


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a run is tried at most, and when again: after ``delay_seconds * factor ** (n - 1)``, a day at
    most, for the n-th time."""

    attempts: int = 1
    delay_seconds: float = 300.0
    factor: float = 2.0

    def pause_before(self, attempt: int) -> timedelta:
        """Return the pause before an attempt. The second attempt is the first that waits."""
        try:
            seconds = self.delay_seconds * self.factor ** (attempt - 2)
        except OverflowError:
            seconds = _LONGEST_PAUSE_SECONDS
        return timedelta(seconds=min(seconds, _LONGEST_PAUSE_SECONDS))


class JobPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one job.

    A firing is made up for until ``catch_up_seconds`` after its time. A run that is not reported within
    ``deadline_seconds`` times out. ``jitter_seconds`` spread the triggers: each firing has its own delay
    below that, which is always the same.
    """

    overlap: Overlap = "allow"
    catch_up: CatchUp = "all"
    catch_up_seconds: float = 86_400.0
    jitter_seconds: float = 0.0
    deadline_seconds: float = DEFAULT_DEADLINE_SECONDS
    retries: Retries = Retries()

    def due_at(self, job: str, nominal_at: datetime) -> datetime:
        """Return when a firing's trigger goes out."""
        share = crc32(f"{job} {timestamp(nominal_at)}".encode()) / 2**32
        return nominal_at + timedelta(milliseconds=int(self.jitter_seconds * share * 1000))


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """When a job fires: a Unix cron expression in a time zone."""

    cron: str
    time_zone: str


class JobDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the settings define it. ``metadata_schema`` is for the metadata of a trigger by hand.

    Its trigger goes out as ``message_type``, to whichever queue is bound to that. A ``removed`` job is no
    longer in the settings.
    """

    name: str
    schedule: Schedule
    enabled: bool = True
    policy: JobPolicy = JobPolicy()
    message_type: str = "workflow.job.trigger"
    metadata_schema: Mapping[str, Any] = {}
    removed: bool = False


def removed_job(name: str) -> JobDefinition:
    """Return a definition for a job that is no longer in the settings: nothing begins, and open runs end."""
    return JobDefinition(name=name, schedule=Schedule(cron="", time_zone="UTC"), enabled=False, removed=True)


def made_up_for(policy: JobPolicy, missed: Sequence[datetime], *, now: datetime) -> frozenset[datetime]:
    """Return which of the missed times, the oldest first in ``missed``, are fired late."""
    within = max(timedelta(seconds=policy.catch_up_seconds), ON_TIME)
    recent = [each for each in missed if now - each <= within]
    match policy.catch_up:
        case "all":
            return frozenset(recent)
        case "latest":
            return frozenset(recent[-1:])
    return frozenset(each for each in recent if now - each <= ON_TIME)
