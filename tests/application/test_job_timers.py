"""Which timers a job's runs have, and which commands they stand for."""

import pytest

from application.job_commands import ReleaseJobRun, RetryJobRun, TimeOutJobRun
from application.policies.job_timers import COMMANDS, DEADLINE, RELEASE, RETRY, JobTimers
from domain.event import Event, Recorded, type_registry
from domain.job import (
    JobRunCompleted,
    JobRunFailed,
    JobRunScheduled,
    JobRunTimedOut,
    job_stream,
)
from tests.application.test_workflow_timers import KeptTimers
from tests.builders import LEASE, NOW, after, recorded
from tests.jobs import JOB, fired, published
from tests.samples import SAMPLES

pytestmark = pytest.mark.anyio


def told(*events: Event) -> tuple[Recorded, ...]:
    return recorded(job_stream(JOB), events)


async def kept(*events: Event, each_alone: bool) -> list[tuple[str, object]]:
    timers = KeptTimers()
    story = told(*events)
    for batch in [[each] for each in story] if each_alone else [story]:
        for _ in range(2):
            await JobTimers(timers).handle(batch, LEASE)
    return sorted((each.kind, each.due_at) for each in timers.kept.values())


DELAYED = JobRunScheduled(
    job=JOB,
    run_id="r",
    scheduled_at=NOW,
    nominal_at=NOW,
    metadata={},
    waits_for="jitter",
    due_at=after(seconds=9),
)
COMPLETED = JobRunCompleted(job=JOB, run_id="r", completed_at=NOW)
FAILED = JobRunFailed(job=JOB, run_id="r", error="e", failed_at=NOW, retry_at=after(minutes=1))
TIMED_OUT = JobRunTimedOut(
    job=JOB, run_id="r", deadline_at=after(hours=6), timed_out_at=after(hours=6), retry_at=after(hours=7)
)


@pytest.mark.parametrize("each_alone", [False, True], ids=["together", "each alone"])
@pytest.mark.parametrize(
    ("events", "timers"),
    [
        ([DELAYED], [(RELEASE, after(seconds=9))]),
        ([fired("r")], []),
        ([fired("r"), published("r")], [(DEADLINE, after(hours=6))]),
        ([fired("r"), published("r", deadline_at=None)], []),
        ([published("r"), COMPLETED], []),
        ([published("r"), FAILED], [(RETRY, after(minutes=1))]),
        ([published("r"), JobRunFailed(job=JOB, run_id="r", error="e", failed_at=NOW)], []),
        ([published("r"), TIMED_OUT], [(RETRY, after(hours=7))]),
        ([published("r"), published("s"), COMPLETED], [(DEADLINE, after(hours=6))]),
    ],
)
async def test_a_run_has_a_timer_for_what_happens_unless_a_report_comes(
    events: list[Event], timers: list[tuple[str, object]], each_alone: bool
) -> None:
    assert await kept(*events, each_alone=each_alone) == timers


async def test_events_that_begin_or_end_nothing_touch_no_timers() -> None:
    timers = KeptTimers()
    others = [SAMPLES[topic] for topic in SAMPLES if not JobTimers(timers).wants(SAMPLES[topic].event)]
    await JobTimers(timers).handle(others, LEASE)
    assert len(others) > 3
    assert timers.changes == 0
    wanted = {topic for topic in SAMPLES if JobTimers(timers).wants(SAMPLES[topic].event)}
    assert wanted <= {topic for topic in type_registry if topic.startswith("job.")}


@pytest.mark.parametrize(
    ("events", "kind", "command"),
    [
        ([DELAYED], RELEASE, ReleaseJobRun),
        ([published("r")], DEADLINE, TimeOutJobRun),
        ([FAILED], RETRY, RetryJobRun),
    ],
)
async def test_a_timer_stands_for_a_command_about_its_run(
    events: list[Event], kind: str, command: type[ReleaseJobRun | TimeOutJobRun | RetryJobRun]
) -> None:
    timers = KeptTimers()
    await JobTimers(timers).handle(told(*events), LEASE)
    (timer,) = timers.kept.values()
    assert timer.kind == kind
    given = COMMANDS[kind](timer)
    assert type(given) is command
    assert isinstance(given, ReleaseJobRun | TimeOutJobRun | RetryJobRun)
    assert (given.job, given.run_id) == (JOB, "r")
    assert given.meta.command_id == timer.id
    assert given.meta.causation_id == told(*events)[0].event_id
