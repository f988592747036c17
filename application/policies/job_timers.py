"""Timers of a job's runs: for a delayed trigger, a report that does not come, and the next try."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.command import Command
from application.job_commands import ReleaseJobRun, RetryJobRun, TimeOutJobRun
from application.policies.timer_keeper import TimerKeeper, timer_of
from application.ports import Timer
from domain.event import Event, Recorded
from domain.interest import Interest
from domain.job import JobRunCompleted, JobRunFailed, JobRunPublished, JobRunScheduled, JobRunTimedOut
from domain.values import derived_id

RELEASE = "job-release"
DEADLINE = "job-deadline"
RETRY = "job-retry"


class JobTimers(TimerKeeper):
    """Keeps the timers of runs."""

    name = "job-timers"
    wants = Interest(JobRunScheduled | JobRunPublished | JobRunCompleted | JobRunFailed | JobRunTimedOut)

    def begun(self, recorded: Recorded) -> Sequence[Timer]:
        """Return the timers for the end of a delay, a deadline, and the next try."""
        match event := recorded.event:
            case JobRunScheduled() if event.due_at is not None:
                return [_timer(recorded, RELEASE, event.due_at, event.job, event.run_id)]
            case JobRunPublished() if event.deadline_at is not None:
                return [_timer(recorded, DEADLINE, event.deadline_at, event.job, event.run_id)]
            case JobRunFailed() | JobRunTimedOut() if event.retry_at is not None:
                return [_timer(recorded, RETRY, event.retry_at, event.job, event.run_id)]
        return []

    def ended(self, event: Event) -> Sequence[str]:
        """Return the deadline of a run that has ended."""
        match event:
            case JobRunCompleted() | JobRunFailed() | JobRunTimedOut():
                return [derived_id(DEADLINE, event.run_id)]
        return []


def _timer(recorded: Recorded, kind: str, due_at: datetime, job: str, run_id: str) -> Timer:
    payload = {"job": job, "run_id": run_id}
    return timer_of(recorded, id=derived_id(kind, run_id), kind=kind, due_at=due_at, payload=payload)


def _release(timer: Timer) -> Command:
    job, run_id = _named(timer)
    return ReleaseJobRun(meta=timer.meta, job=job, run_id=run_id)


def _time_out(timer: Timer) -> Command:
    job, run_id = _named(timer)
    return TimeOutJobRun(meta=timer.meta, job=job, run_id=run_id, due_at=timer.due_at)


def _try_again(timer: Timer) -> Command:
    job, run_id = _named(timer)
    return RetryJobRun(meta=timer.meta, job=job, run_id=run_id)


def _named(timer: Timer) -> tuple[str, str]:
    return str(timer.payload["job"]), str(timer.payload["run_id"])


COMMANDS: Mapping[str, Callable[[Timer], Command]] = {
    RELEASE: _release,
    DEADLINE: _time_out,
    RETRY: _try_again,
}
"""The command that each kind of timer stands for."""
