"""What happens to a job's runs by the clock: a delayed trigger, a report that does not come, another try."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from application.commands import Command
from application.job_commands import ReleaseJobRun, RetryJobRun, TimeOutJobRun
from application.ports import Timer, Timers
from domain.event import Event, Metadata, Recorded
from domain.job import JobFired, JobRunCompleted, JobRunFailed, JobRunScheduled, JobRunTimedOut
from domain.lease import Lease
from domain.values import derived_id

RELEASE = "job-release"
DEADLINE = "job-deadline"
RETRY = "job-retry"
ACTOR = "system:timers"

_Event = JobRunScheduled | JobFired | JobRunCompleted | JobRunFailed | JobRunTimedOut


class JobTimers:
    """A follower's handler: keeps a timer for whatever is to happen to a run unless a report comes first."""

    name = "job-timers"
    may_repeat_unnoticed = False

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def wants(self, event: Event) -> bool:
        """Whether a timer begins or ends with such an event."""
        return isinstance(event, _Event)

    async def start_over(self) -> None:
        """A timer of another log finds no run when it is due."""

    async def handle(self, events: Sequence[Recorded], lease: Lease) -> None:
        """Set and cancel the batch's timers; one that ends within the batch is never set."""
        wanted: dict[str, Timer] = {}
        ended: set[str] = set()
        for recorded in events:
            for kind, due_at, job, run_id in _begun(recorded.event):
                timer = _timer(kind, due_at, job, run_id, recorded)
                wanted[timer.id] = timer
            if isinstance(recorded.event, JobRunCompleted | JobRunFailed | JobRunTimedOut):
                ended.add(derived_id(DEADLINE, recorded.event.run_id))
        running = [timer for timer_id, timer in wanted.items() if timer_id not in ended]
        if running or ended:
            await self._timers.change(set=running, cancel=sorted(ended), lease=lease)


def _begun(event: Event) -> Sequence[tuple[str, datetime, str, str]]:
    match event:
        case JobRunScheduled() if event.due_at is not None:
            return [(RELEASE, event.due_at, event.job, event.run_id)]
        case JobFired() if event.deadline_at is not None:
            return [(DEADLINE, event.deadline_at, event.job, event.run_id)]
        case JobRunFailed() | JobRunTimedOut() if event.retry_at is not None:
            return [(RETRY, event.retry_at, event.job, event.run_id)]
    return ()


def _timer(kind: str, due_at: datetime, job: str, run_id: str, recorded: Recorded) -> Timer:
    id = derived_id(kind, run_id)
    meta = Metadata(
        tenant=recorded.meta.tenant,
        actor=ACTOR,
        correlation_id=recorded.meta.correlation_id,
        causation_id=str(recorded.event_id),
        command_id=id,
    )
    return Timer(id=id, due_at=due_at, kind=kind, payload={"job": job, "run_id": run_id}, meta=meta)


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
