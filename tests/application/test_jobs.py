"""What the handlers of jobs add to the rules, on a real log; a trigger is noted however its sender ends."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from application.deciders import Committed
from application.dispatcher import Dispatcher
from application.event_store import EventStore
from application.job_commands import (
    CompleteJobRun,
    FailJobRun,
    FireJob,
    JobCommand,
    NoteJobPublished,
    PauseJob,
    ResumeJob,
    RetryJobRun,
    TimeOutJobRun,
    TriggerJob,
)
from application.jobs import JobHandlers, Jobs
from application.outbox import Outbox
from domain.errors import (
    BadInput,
    IdempotencyKeyReused,
    JobNotFound,
    Refusal,
    StoreUnavailable,
    VersionMismatch,
)
from domain.job import (
    JobDefinition,
    JobFired,
    JobPaused,
    JobReportUnmatched,
    JobResumed,
    JobRunCompleted,
    JobRunFailed,
    JobRunTimedOut,
    Retries,
    job_stream,
    run_id,
)
from domain.job.state import MOST_KEPT_BYTES
from domain.values import SYSTEM_TENANT
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.builders import CORRELATION, LEASE, NOW, SettableClock, after, metadata
from tests.jobs import DEADLINE, JOB, Broker, definition, fired, published

pytestmark = pytest.mark.anyio

NOMINAL = after(seconds=-5)

SCHEMA = {"type": "object", "properties": {"from": {"type": "string", "pattern": "^[0-9-]{10}$"}}}


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def store(logs: OpenLogs) -> EventStore:
    return logs.store()


def dispatcher(store: EventStore, clock: SettableClock) -> Dispatcher:
    with_schema = msgspec.structs.replace(definition("with-schema"), metadata_schema=SCHEMA)
    jobs = Jobs([definition(), with_schema])
    return Dispatcher(JobHandlers(store, clock, jobs).handlers())


@pytest.fixture
def dispatch(store: EventStore, clock: SettableClock) -> Dispatcher:
    return dispatcher(store, clock)


def command(kind: type[JobCommand], **fields: Any) -> JobCommand:
    """A command about the job, of its own, unless the fields say otherwise."""
    given: dict[str, Any] = {"meta": metadata(tenant=SYSTEM_TENANT), "job": JOB}
    return kind(**{**given, **fields})


def trigger(run: str, **fields: Any) -> JobCommand:
    return command(TriggerJob, run_id=run, **{"metadata": {}, **fields})


def needing(field: str) -> JobDefinition:
    return msgspec.structs.replace(definition(), metadata_schema={"type": "object", "required": [field]})


def events_of(committed: Committed) -> list[object]:
    return [recorded.event for recorded in committed.new]


async def test_a_run_is_tried_again_with_its_metadata_however_large_these_are(
    logs: OpenLogs, clock: SettableClock
) -> None:
    store = logs.store()
    retrying = definition(retries=Retries(attempts=2, delay_seconds=60))
    dispatch = Dispatcher(JobHandlers(store, clock, Jobs([retrying])).handlers())
    for number in range(60):
        await dispatch(trigger(f"r-{number}", metadata={"rows": [number] * MOST_KEPT_BYTES}))
    for run in ("r-7", "r-59"):
        await dispatch(command(FailJobRun, reference=run, error="no disk"))
    for number in (7, 59):
        (opened,) = events_of(await dispatch(command(RetryJobRun, run_id=f"r-{number}")))
        assert isinstance(opened, JobFired)
        assert (opened.retry_of, opened.metadata["rows"][0]) == (f"r-{number}", number)
        assert events_of(await dispatch(command(RetryJobRun, run_id=f"r-{number}"))) == []


async def test_a_firing_of_several_instances_is_one_run_with_its_schedule(
    logs: OpenLogs, clock: SettableClock
) -> None:
    one, other = (dispatcher(logs.store(), clock) for _ in range(2))
    assert events_of(await one(command(FireJob, nominal_at=NOMINAL))) == [
        JobFired(
            job=JOB,
            run_id=run_id(JOB, NOMINAL),
            triggered_by="scheduler",
            fired_at=NOW,
            metadata={"schedule": "0 1 * * *", "triggeredAt": "2026-11-22T22:10:05.123Z"},
            nominal_at=NOMINAL,
            deadline_seconds=DEADLINE.total_seconds(),
        )
    ]
    clock.advance(seconds=1)
    for dispatch in (one, other):
        assert (await dispatch(command(FireJob, nominal_at=NOMINAL))).new == ()


async def test_a_run_by_hand_carries_what_the_operator_gave(dispatch: Dispatcher) -> None:
    opened = await dispatch(trigger("r-1", metadata={"from": "2026"}))
    assert events_of(opened) == [fired("r-1", metadata={"from": "2026"}, correlation_id=CORRELATION)]


async def test_metadata_is_held_against_the_jobs_schema(dispatch: Dispatcher) -> None:
    with pytest.raises(BadInput) as refused:
        await dispatch(trigger("r-1", job="with-schema", metadata={"from": "yesterday"}))
    assert [each["field"] for each in refused.value.details] == ["metadata.from"]
    assert (await dispatch(trigger("r-1", job="with-schema", metadata={"from": "2026-01-01"}))).new


@pytest.mark.parametrize(
    ("since", "refusal"),
    [([needing("region")], BadInput), ([], JobNotFound)],
    ids=["it needs more", "it is gone"],
)
async def test_a_trigger_is_answered_as_the_first_time_whatever_the_settings_say_of_its_job_since(
    store: EventStore,
    clock: SettableClock,
    dispatch: Dispatcher,
    since: Sequence[JobDefinition],
    refusal: type[Refusal],
) -> None:
    def asked(digest: str) -> JobCommand:
        meta = metadata(tenant=SYSTEM_TENANT, command_id="chosen", request_digest=digest)
        return trigger("r-1", meta=meta)

    first = await dispatch(asked("this"))
    later = Dispatcher(JobHandlers(store, clock, Jobs(since)).handlers())
    again = await later(asked("this"))
    assert (again.version, again.new) == (first.version, ())
    with pytest.raises(IdempotencyKeyReused):
        await later(asked("another"))
    assert (await later(trigger("r-1"))).new == ()
    with pytest.raises(refusal):
        await later(trigger("r-2"))


@pytest.mark.parametrize(
    "asked",
    [
        command(FireJob, job="outcome_sync", nominal_at=NOMINAL),
        trigger("r-1", job="outcome_sync"),
        command(CompleteJobRun, job="outcome_sync"),
        command(PauseJob, job="outcome_sync", by="ann", reason="no"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_a_job_that_there_is_not_is_refused_with_those_that_there_are(
    dispatch: Dispatcher, asked: JobCommand
) -> None:
    with pytest.raises(JobNotFound) as refused:
        await dispatch(asked)
    assert refused.value.details == {"jobs": [JOB, "with-schema"]}


async def test_a_report_closes_a_run_at_the_time_it_names_or_now(
    dispatch: Dispatcher, clock: SettableClock
) -> None:
    for run in ("r-1", "r-2", "r-3"):
        await dispatch(trigger(run, meta=metadata(tenant=SYSTEM_TENANT, correlation_id=f"c-{run}")))
    clock.advance(hours=1)
    completed = await dispatch(command(CompleteJobRun, completed_at=after(minutes=7), reference="c-r-1"))
    assert events_of(completed) == [JobRunCompleted(job=JOB, run_id="r-1", completed_at=after(minutes=7))]
    failed = await dispatch(command(FailJobRun, error="no disk"))
    assert events_of(failed) == [
        JobRunFailed(job=JOB, run_id="r-3", error="no disk", failed_at=after(hours=1))
    ]


async def test_a_report_that_is_delivered_twice_is_one_report(dispatch: Dispatcher) -> None:
    for run in ("r-1", "r-2"):
        await dispatch(trigger(run))
    delivered = metadata(tenant=SYSTEM_TENANT)
    assert (await dispatch(command(CompleteJobRun, meta=delivered))).new
    assert (await dispatch(command(CompleteJobRun, meta=delivered))).new == ()
    stray = metadata(tenant=SYSTEM_TENANT)
    await dispatch(command(CompleteJobRun))
    for _ in range(2):
        last = await dispatch(command(FailJobRun, meta=stray, error="no disk"))
    assert last.new == ()
    assert isinstance(last.past.state.unmatched, int)
    assert last.past.state.unmatched == 1


async def test_a_report_of_nobodys_run_is_kept(dispatch: Dispatcher) -> None:
    (kept,) = events_of(await dispatch(command(FailJobRun, error="no disk")))
    assert isinstance(kept, JobReportUnmatched)
    assert (kept.outcome, kept.error, kept.reported_at) == ("failed", "no disk", NOW)


async def test_a_clock_that_was_set_back_does_not_save_a_run_whose_timer_was_due(
    dispatch: Dispatcher, clock: SettableClock
) -> None:
    await dispatch(trigger("r-1"))
    await dispatch(command(NoteJobPublished, run_id="r-1"))
    clock.advance(hours=-1)
    (ended,) = events_of(await dispatch(command(TimeOutJobRun, run_id="r-1", due_at=NOW + DEADLINE)))
    assert isinstance(ended, JobRunTimedOut)
    assert ended.timed_out_at == ended.deadline_at == NOW + DEADLINE


async def test_a_pause_says_who_and_why_and_minds_the_version(dispatch: Dispatcher) -> None:
    paused = await dispatch(command(PauseJob, by="ann", reason="a freeze"))
    assert events_of(paused) == [JobPaused(job=JOB, by="ann", reason="a freeze", paused_at=NOW)]
    with pytest.raises(VersionMismatch):
        await dispatch(command(ResumeJob, by="bob", expected_version=7))
    resumed = await dispatch(command(ResumeJob, by="bob", expected_version=1))
    assert events_of(resumed) == [JobResumed(job=JOB, by="bob", resumed_at=NOW)]


async def test_a_trigger_is_noted_by_the_next_instance_if_its_sender_was_killed_before_it_could(
    store: EventStore, dispatch: Dispatcher, clock: SettableClock
) -> None:
    async def killed(_: Any) -> Committed:
        raise StoreUnavailable("killed between the confirmation and the note")

    await dispatch(trigger("r-1"))
    (opened,) = await store.load(job_stream(JOB))
    broker = Broker()
    with pytest.raises(StoreUnavailable):
        await Outbox(broker, Dispatcher({NoteJobPublished: killed})).handle([opened], LEASE)
    clock.advance(seconds=9)
    heir = Outbox(broker, dispatch)
    for _ in range(2):
        await heir.handle([opened], LEASE)
    assert set(broker.ids) == {opened.event_id}
    notes = [each.event for each in (await store.load(job_stream(JOB)))[1:]]
    assert notes == [published("r-1", at=after(seconds=9))]


async def test_what_is_open_of_a_job_comes_to_its_end_though_the_settings_name_it_no_more(
    store: EventStore, dispatch: Dispatcher, clock: SettableClock
) -> None:
    for run in ("r-1", "r-2", "r-3"):
        await dispatch(trigger(run))
    without_it = Dispatcher(JobHandlers(store, clock, Jobs([definition("another")])).handlers())
    noted = await without_it(command(NoteJobPublished, run_id="r-2"))
    assert events_of(noted) == [published("r-2")]
    completed = await without_it(command(CompleteJobRun, reference="r-1"))
    assert events_of(completed) == [JobRunCompleted(job=JOB, run_id="r-1", completed_at=NOW)]
    failed = await without_it(command(FailJobRun, reference="r-3", error="no disk"))
    assert events_of(failed) == [JobRunFailed(job=JOB, run_id="r-3", error="no disk", failed_at=NOW)]
    (timed_out,) = events_of(await without_it(command(TimeOutJobRun, run_id="r-2", due_at=NOW + DEADLINE)))
    assert isinstance(timed_out, JobRunTimedOut)
    with pytest.raises(JobNotFound):
        await without_it(command(FireJob, nominal_at=NOMINAL))
