"""Pausing a job: cron does not fire it for a while, but it can still be triggered by hand."""

from datetime import datetime

from domain.event import Event
from domain.job.events import JobPaused, JobResumed
from domain.job.state import BatchJob, Pause


def pause(state: BatchJob | None, *, job: str, by: str, reason: str, now: datetime) -> tuple[Event, ...]:
    """Let cron not fire it. Open runs continue. A paused job stays so, for its first reason."""
    if state is not None and state.pause is not None:
        return ()
    return (JobPaused(job=job, by=by, reason=reason, paused_at=now),)


def resume(state: BatchJob | None, *, job: str, by: str, now: datetime) -> tuple[Event, ...]:
    """Let cron fire it again, from now on. What was skipped meanwhile stays skipped."""
    if state is None or state.pause is None:
        return ()
    return (JobResumed(job=job, by=by, resumed_at=now),)


def paused(pause: Pause) -> str:
    """Return why a firing is skipped meanwhile. The reason of the pause is personal, so it stays in its own
    event."""
    return f"{pause.by} has paused the job"
