"""What the rules know of a job, and how its events change that."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec
from immutables import Map

from domain.event import Event
from domain.job.events import (
    JobBackfillCancelled,
    JobEvent,
    JobFired,
    JobPaused,
    JobReportUnmatched,
    JobResumed,
    JobRunCompleted,
    JobRunFailed,
    JobRunMissed,
    JobRunPublished,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    JobRunTimedOut,
)

RunStatus = Literal["scheduled", "published", "completed", "failed", "timed_out", "missed", "skipped"]

_MOST_LATE = 1000
"""How many runs that have ended badly are remembered: the latest ones. Those that wait for a retry are always
remembered."""

MOST_KEPT_BYTES = 4 * 1024
"""The most bytes of a run's metadata, as JSON, that are kept here. Only a retry needs it, and larger metadata
stays in the log."""

_CLOCKS_DIFFER = timedelta(seconds=10)
"""How far the clocks of instances differ at most."""


class OpenRun(msgspec.Struct, frozen=True):
    """A run whose trigger went out, or is about to. The worker's time begins when the broker has the
    trigger."""

    fired: JobFired
    published: bool = False
    deadline_at: datetime | None = None


class Pause(msgspec.Struct, frozen=True):
    """Who has paused the job, why and since when."""

    by: str
    reason: str
    since: datetime


class BatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes of a job's firings.

    ``runs`` finds every run by its id, and by what else a report may name. ``open_runs`` are the oldest
    first; one is ``moot`` if an earlier attempt has succeeded after all. A report may still come for those
    that ``ended_badly`` recently, or a retry for those ``to_retry``, but none for ``cancelled`` backfills.
    Each of the ``missed`` was noticed at some time, and so was what was missed up to ``missed_until`` and
    stored as one. ``unnoted`` runs ended before it was noted that the broker had their trigger, because a
    worker may be that quick. The metadata of those ``left_out`` is not kept here.
    """

    runs: Map[str, str] = Map()
    open_runs: tuple[OpenRun, ...] = ()
    waiting: tuple[JobRunScheduled, ...] = ()
    ended_badly: tuple[JobFired, ...] = ()
    to_retry: frozenset[str] = frozenset()
    moot: frozenset[str] = frozenset()
    cancelled: tuple[str, ...] = ()
    unnoted: tuple[str, ...] = ()
    missed: Map[str, datetime] = Map()
    missed_until: datetime | None = None
    missed_noticed_at: datetime | None = None
    unmatched: int = 0
    pause: Pause | None = None
    left_out: frozenset[str] = frozenset()

    def in_the_way(self, now: datetime) -> tuple[JobFired, ...]:
        """Return the open runs that cron respects: not a backfill's, nor those that nobody waits for any
        more."""
        return tuple(
            each.fired
            for each in self.open_runs
            if each.fired.backfill_id is None
            and each.fired.deadline_seconds is not None
            and (each.deadline_at is None or now < each.deadline_at)
        )

    def attempts_after(self, run_id: str) -> frozenset[str]:
        """Return the runs that were opened in place of a run, and in place of those."""
        found = {run_id}
        runs: list[JobFired | JobRunScheduled] = [*self.ended_badly]
        runs += (each.fired for each in self.open_runs)
        for each in (*runs, *self.waiting):
            if each.retry_of in found:
                found.add(each.run_id)
        return frozenset(found - {run_id})

    @property
    def queued(self) -> JobRunScheduled | None:
        """The run that waits for the end of another."""
        return next((each for each in self.waiting if each.waits_for == "open_run"), None)

    def open_run(self, run_id: str) -> OpenRun | None:
        """Return an open run by its id."""
        return next((each for each in self.open_runs if each.fired.run_id == run_id), None)

    def ended(self, run_id: str) -> JobFired | None:
        """Return a run that has ended badly recently, by its id."""
        return next((each for each in self.ended_badly if each.run_id == run_id), None)

    def named(self, reference: str) -> str | None:
        """Return the run that a reference belongs to; of several open ones the newest, because callers may
        repeat a reference."""
        for each in reversed(self.open_runs):
            if reference in (each.fired.run_id, each.fired.correlation_id):
                return each.fired.run_id
        return self.runs.get(reference)

    def is_known(self, run_id: str) -> bool:
        """Return whether a run has been handled already."""
        return run_id in self.runs

    def has_come(self, run_id: str, nominal_at: datetime, *, now: datetime) -> bool:
        """Return whether a cron firing has been handled already.

        That it was missed does not count if that was noticed later than now: the clock was ahead then, and
        was set back since. The firing's time comes only now.
        """
        noticed_at = self.missed.get(run_id)
        if noticed_at is None and run_id in self.runs:
            return True
        if noticed_at is None and self.missed_until is not None and nominal_at <= self.missed_until:
            noticed_at = self.missed_noticed_at
        return noticed_at is not None and noticed_at <= now + _CLOCKS_DIFFER


def evolve(state: BatchJob | None, event: Event) -> BatchJob:
    """Return the job after ``event``."""
    job = state or BatchJob()
    replace = msgspec.structs.replace
    match event:
        case JobRunScheduled():
            job = _tried_again(job, event.retry_of)
            waiting = (*(each for each in job.waiting if each.run_id != event.run_id), event)
            job = _not_missed(job, event.run_id)
            return replace(job, runs=job.runs.set(event.run_id, event.run_id), waiting=waiting)
        case JobFired():
            job = _not_missed(_tried_again(job, event.retry_of), event.run_id)
            waiting = tuple(each for each in job.waiting if each.run_id != event.run_id)
            runs = job.runs.set(event.run_id, event.run_id)
            if event.correlation_id is not None:
                runs = runs.set(event.correlation_id, event.run_id)
            left_out = job.left_out
            if len(msgspec.json.encode(event.metadata)) > MOST_KEPT_BYTES:
                event, left_out = replace(event, metadata={}), left_out | {event.run_id}
            open_runs = (*job.open_runs, OpenRun(event))
            return replace(job, runs=runs, waiting=waiting, open_runs=open_runs, left_out=left_out)
        case JobRunPublished():
            open_runs = tuple(
                OpenRun(each.fired, True, event.deadline_at) if each.fired.run_id == event.run_id else each
                for each in job.open_runs
            )
            unnoted = tuple(each for each in job.unnoted if each != event.run_id)
            return replace(job, open_runs=open_runs, unnoted=unnoted)
        case JobRunCompleted():
            return _succeeded(job, event.run_id)
        case JobRunFailed() | JobRunTimedOut():
            return _ended_badly(job, event)
        case JobRunMissed():
            missed = job.missed.set(event.run_id, event.noticed_at)
            return replace(job, runs=job.runs.set(event.run_id, event.run_id), missed=missed)
        case JobRunSkipped():
            job = _not_missed(_tried_again(job, event.retry_of), event.run_id)
            waiting = tuple(each for each in job.waiting if each.run_id != event.run_id)
            return replace(job, runs=job.runs.set(event.run_id, event.run_id), waiting=waiting)
        case JobRunsMissed():
            until, noticed_at = event.last_nominal_at, event.noticed_at
            return replace(job, missed_until=until, missed_noticed_at=noticed_at)
        case JobReportUnmatched():
            return replace(job, unmatched=job.unmatched + 1)
        case JobPaused():
            return replace(job, pause=Pause(event.by, event.reason, event.paused_at))
        case JobResumed():
            return replace(job, pause=None)
        case JobBackfillCancelled():
            return replace(job, cancelled=(*job.cancelled, event.backfill_id)[-_MOST_LATE:])
    assert not isinstance(event, JobEvent)
    raise TypeError(f"{event!r} is no event of a job")


def _closed(job: BatchJob, run_id: str) -> BatchJob:
    run = job.open_run(run_id)
    open_runs = tuple(each for each in job.open_runs if each.fired.run_id != run_id)
    unnoted = job.unnoted if run is None or run.published else (*job.unnoted, run_id)[-_MOST_LATE:]
    return msgspec.structs.replace(job, open_runs=open_runs, unnoted=unnoted, moot=job.moot - {run_id})


def _not_missed(job: BatchJob, run_id: str) -> BatchJob:
    if run_id not in job.missed:
        return job
    return msgspec.structs.replace(job, missed=job.missed.delete(run_id))


def _tried_again(job: BatchJob, run_id: str | None) -> BatchJob:
    if run_id not in job.to_retry:
        return job
    return msgspec.structs.replace(job, to_retry=job.to_retry - {run_id})


def _succeeded(job: BatchJob, run_id: str) -> BatchJob:
    """A run has succeeded: neither it nor what was to replace it is waited for any more."""
    later = job.attempts_after(run_id)
    over = later | {run_id}
    job = _closed(job, run_id)
    return _without_unknown(
        msgspec.structs.replace(
            job,
            ended_badly=tuple(each for each in job.ended_badly if each.run_id not in over),
            to_retry=job.to_retry - over,
            moot=job.moot | {each.fired.run_id for each in job.open_runs if each.fired.run_id in later},
        )
    )


def _ended_badly(job: BatchJob, event: JobRunFailed | JobRunTimedOut) -> BatchJob:
    run = job.open_run(event.run_id)
    kept = run is not None and not event.moot
    ended = (*job.ended_badly, run.fired) if run is not None and kept else job.ended_badly
    to_retry = job.to_retry if event.retry_at is None else job.to_retry | {event.run_id}
    too_many = len(ended) - _MOST_LATE
    if too_many > 0:
        over = [each.run_id for each in ended if each.run_id not in to_retry][:too_many]
        ended = tuple(each for each in ended if each.run_id not in over)
    known = frozenset(each.run_id for each in ended)
    return _without_unknown(
        msgspec.structs.replace(
            _closed(job, event.run_id),
            ended_badly=ended,
            to_retry=to_retry & known,
        )
    )


def _without_unknown(job: BatchJob) -> BatchJob:
    """Forget left-out metadata, except of runs that may be retried."""
    if not job.left_out:
        return job
    known = {each.fired.run_id for each in job.open_runs} | {each.run_id for each in job.ended_badly}
    return msgspec.structs.replace(job, left_out=job.left_out & known)
