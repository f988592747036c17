"""How each job fares: the fold of its stream that the metrics of jobs show.

What they show is derived from the log and from nothing else. A counter of the process would start from zero
with each restart, miss what happened while its process was gone, and count twice what a crash made another
instance, or the same one, handle again. An event stands in the log once, so here it counts once; instances
that have read equally far show the same numbers; and a restart shows those that it showed before.

Each job has a stream of its own, so its events are read alone, and no position is kept: a start reads them
all, in parts, beside whatever else there is to do.
"""

from datetime import datetime
from typing import Literal, TypeVar, get_args

import msgspec
from immutables import Map

from domain.event import Recorded
from domain.job import (
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

T = TypeVar("T")

_Firing = JobRunScheduled | JobFired | JobRunMissed | JobRunsMissed | JobRunSkipped

Outcome = Literal["completed", "failed", "timed_out", "missed", "skipped"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

LATENESS_BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
"""Seconds. Cron is on time within the first; what was made up for after a downtime is in the last."""

_NONE_LATE = (0,) * (len(LATENESS_BOUNDS) + 1)


class OpenRun(msgspec.Struct, frozen=True):
    """Since when a run is open, and until when a report is waited for, once the broker has its trigger."""

    since: datetime
    deadline_at: datetime | None = None


class Lateness(msgspec.Struct, frozen=True):
    """How long after their nominal times cron's triggers went out: jitter and waiting for an open run count.

    ``counts`` are those up to each of the bounds and above the one before, the last one those above all.
    """

    counts: tuple[int, ...] = _NONE_LATE
    seconds: float = 0.0
    last: float | None = None

    def with_one(self, seconds: float) -> "Lateness":
        """One more."""
        at = next((at for at, bound in enumerate(LATENESS_BOUNDS) if seconds <= bound), len(LATENESS_BOUNDS))
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return Lateness(counts, self.seconds + seconds, seconds)


class JobHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a job's firings, in numbers.

    ``runs`` counts by outcome; a run that is reported after it has timed out counts as both. ``last`` is when
    each outcome was there last, and ``last_success_at`` when the worker has last done the job, whoever has
    triggered it: those two leave backfills out, which say nothing of whether the job is done in time, and so
    do retries of what has succeeded after all.
    ``firing_since`` is the first firing of cron that no success has come after.
    """

    runs: Map[Outcome, int] = Map()
    last: Map[Outcome, datetime] = Map()
    unmatched: Map[str, int] = Map()
    open_runs: Map[str, OpenRun] = Map()
    waiting: Map[str, datetime] = Map()
    lateness: Lateness = Lateness()
    last_success_at: datetime | None = None
    firing_since: datetime | None = None
    paused: bool = False
    resumed_at: datetime | None = None

    @property
    def open_since(self) -> datetime | None:
        """When the oldest open run was opened."""
        return min((each.since for each in self.open_runs.values()), default=None)

    @property
    def report_due_at(self) -> datetime | None:
        """The earliest time by which an open run is reported, or has timed out."""
        deadlines = (each.deadline_at for each in self.open_runs.values())
        return min((each for each in deadlines if each is not None), default=None)


def evolve(health: JobHealth, recorded: Recorded) -> JobHealth:
    """How the job fares after one more event."""
    event, replace = recorded.event, msgspec.structs.replace
    match event:
        case JobRunScheduled():
            waiting = health.waiting.set(event.run_id, event.scheduled_at)
            return replace(_firing(health, recorded, event), waiting=waiting)
        case JobFired():
            return _fired(health, recorded, event)
        case JobRunPublished() if event.run_id in health.open_runs:
            published = OpenRun(health.open_runs[event.run_id].since, event.deadline_at)
            return replace(health, open_runs=health.open_runs.set(event.run_id, published))
        case JobRunCompleted():
            at = recorded.timestamp if event.late else event.completed_at
            health = _ended(health, "completed", recorded, event, at)
            return health if event.backfill_id else _succeeded(health, at, recorded)
        case JobRunFailed():
            return _ended(health, "failed", recorded, event, event.failed_at)
        case JobRunTimedOut():
            return _ended(health, "timed_out", recorded, event, event.timed_out_at)
        case JobRunMissed():
            return _counted(_firing(health, recorded, event), "missed", event.noticed_at)
        case JobRunsMissed():
            return _counted(_firing(health, recorded, event), "missed", event.noticed_at, event.number)
        case JobRunSkipped():
            health = replace(health, waiting=_without(health.waiting, event.run_id))
            skipped_at = None if event.backfill_id else event.skipped_at
            return _counted(_firing(health, recorded, event), "skipped", skipped_at)
        case JobReportUnmatched():
            number = health.unmatched.get(event.outcome, 0) + 1
            health = replace(health, unmatched=health.unmatched.set(event.outcome, number))
            success = event.outcome == "completed"
            return _succeeded(health, event.reported_at, recorded) if success else health
        case JobPaused():
            return replace(health, paused=True)
        case JobResumed():
            return replace(health, paused=False, resumed_at=event.resumed_at, firing_since=None)
    return health


def _fired(health: JobHealth, recorded: Recorded, event: JobFired) -> JobHealth:
    health = msgspec.structs.replace(
        health,
        waiting=_without(health.waiting, event.run_id),
        open_runs=health.open_runs.set(event.run_id, OpenRun(event.fired_at)),
    )
    if event.triggered_by != "scheduler" or event.nominal_at is None or event.attempt > 1:
        return health
    late = health.lateness.with_one(max(0.0, (event.fired_at - event.nominal_at).total_seconds()))
    return msgspec.structs.replace(_firing(health, recorded, event), lateness=late)


def _firing(health: JobHealth, recorded: Recorded, event: _Firing) -> JobHealth:
    """A firing of cron is to be followed by a success. A retry is none, also one that does not go out."""
    is_retry = not isinstance(event, JobRunMissed | JobRunsMissed) and event.retry_of is not None
    if health.firing_since is not None or is_retry:
        return health
    return msgspec.structs.replace(health, firing_since=recorded.timestamp)


def _ended(
    health: JobHealth,
    outcome: Outcome,
    recorded: Recorded,
    event: JobRunCompleted | JobRunFailed | JobRunTimedOut,
    at: datetime,
) -> JobHealth:
    health = msgspec.structs.replace(health, open_runs=_without(health.open_runs, event.run_id))
    says_nothing = event.backfill_id is not None or (
        isinstance(event, JobRunFailed | JobRunTimedOut) and event.moot
    )
    return _counted(health, outcome, None if says_nothing else _believed(at, recorded))


def _counted(health: JobHealth, outcome: Outcome, at: datetime | None, number: int = 1) -> JobHealth:
    last = health.last
    if at is not None and (outcome not in last or last[outcome] < at):
        last = last.set(outcome, at)
    runs = health.runs.set(outcome, health.runs.get(outcome, 0) + number)
    return msgspec.structs.replace(health, runs=runs, last=last)


def _succeeded(health: JobHealth, at: datetime, recorded: Recorded) -> JobHealth:
    believed = _believed(at, recorded)
    newest = believed if health.last_success_at is None else max(believed, health.last_success_at)
    return msgspec.structs.replace(health, last_success_at=newest, firing_since=None)


def _believed(at: datetime, recorded: Recorded) -> datetime:
    """When a worker says that something was, unless its clock is ahead: that would keep an alarm silent."""
    return min(at, recorded.timestamp)


def _without(runs: Map[str, T], run_id: str) -> Map[str, T]:
    return runs.delete(run_id) if run_id in runs else runs
