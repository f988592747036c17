"""``workflow_job_runs``: one document a run, that is, what came of a firing."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.event import Event, Recorded
from domain.job import (
    JobFired,
    JobReportUnmatched,
    JobRunCompleted,
    JobRunFailed,
    JobRunMissed,
    JobRunPublished,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    JobRunTimedOut,
)
from domain.values import derived_id, timestamp
from projections.ports import Container, Json
from projections.projection import existing

_OfARun = (
    JobRunScheduled
    | JobFired
    | JobRunPublished
    | JobRunCompleted
    | JobRunFailed
    | JobRunTimedOut
    | JobRunMissed
    | JobRunSkipped
    | JobReportUnmatched
)


class JobRuns:
    """The fold of ``workflow_job_runs``.

    Reports that belong to no run, and firings that were missed in their thousands, are documents as well, so
    that the history of a job shows them at their time.
    """

    category = "job"
    kinds = _OfARun | JobRunsMissed

    def __init__(self, name: str = "workflow_job_runs") -> None:
        self.container = Container(
            name,
            sort_field="scheduledAt",
            filter_fields=("job", "status", "backfillId"),
            filters_together=(("job", "status"),),
        )

    def reads(self, event: Event) -> Sequence[str]:
        """The run that an event is about."""
        match event:
            case JobRunsMissed():
                return [derived_id("missed", event.job, timestamp(event.last_nominal_at))]
        return [event.run_id] if isinstance(event, _OfARun) else ()

    def apply(self, documents: Mapping[str, Json], recorded: Recorded) -> Mapping[str, Json]:
        """Follow the run."""
        event = recorded.event
        (id,) = self.reads(event)
        match event:
            case JobRunScheduled() | JobFired() | JobRunMissed() | JobRunSkipped():
                known = documents.get(id, _opened(event, recorded))
                if known["status"] == "missed":
                    known = _opened(event, recorded)
                return {id: _without(known, "waitsFor") | _at_first(event)}
            case JobRunsMissed() | JobReportUnmatched():
                return {id: _of_no_run(event, id, recorded)}
            case JobRunCompleted(late=True):
                return {id: _without(existing(documents, id), "retryAt") | _changes(event)}
            case JobRunPublished():
                run = existing(documents, id)
                status = "published" if run["status"] == "scheduled" else run["status"]
                told = _at("publishedAt", event.published_at) | _at("deadlineAt", event.deadline_at)
                return {id: run | {"status": status, **told}}
        return {id: existing(documents, id) | _changes(event)}


def _opened(event: Event, recorded: Recorded) -> Json:
    assert isinstance(event, JobRunScheduled | JobFired | JobRunMissed | JobRunSkipped)
    nominal_at = event.nominal_at
    run: Json = {
        "id": event.run_id,
        "runId": event.run_id,
        "tenantId": recorded.meta.tenant,
        "job": event.job,
        "status": "scheduled",
        "triggeredBy": event.triggered_by if isinstance(event, JobFired | JobRunSkipped) else "scheduler",
        "actor": recorded.meta.actor,
        "metadata": event.metadata if isinstance(event, JobRunScheduled | JobFired) else {},
        "scheduledAt": timestamp(recorded.timestamp),
    }
    return run if nominal_at is None else run | {"nominalTime": timestamp(nominal_at)}


def _at_first(event: Event) -> Json:
    match event:
        case JobRunScheduled():
            attempt = {"attempt": event.attempt}
            return {"waitsFor": event.waits_for, **_at("dueAt", event.due_at)} | attempt | _retry_of(event)
        case JobRunMissed():
            return {"status": "missed", "reason": event.reason, **_at("noticedAt", event.noticed_at)}
        case JobRunSkipped():
            skipped_at = _at("skippedAt", event.skipped_at)
            told = {"status": "skipped", "reason": event.reason} | skipped_at
            return told | _retry_of(event) | _of_backfill(event)
        case JobFired():
            return (
                {
                    "metadata": event.metadata,
                    "triggeredAt": timestamp(event.fired_at),
                    "attempt": event.attempt,
                }
                | _retry_of(event)
                | _of_backfill(event)
            )
    return {}


def _retry_of(event: JobRunScheduled | JobFired | JobRunSkipped) -> Json:
    return {} if event.retry_of is None else {"retryOf": event.retry_of}


def _of_backfill(event: JobFired | JobRunSkipped) -> Json:
    return {} if event.backfill_id is None else {"backfillId": event.backfill_id}


def _changes(event: Event) -> Json:
    match event:
        case JobRunCompleted():
            late = {"late": True} if event.late else {}
            return {"status": "completed", "completedAt": timestamp(event.completed_at), **late}
        case JobRunFailed():
            failed_at = timestamp(event.failed_at)
            retry_at = _at("retryAt", event.retry_at)
            return {"status": "failed", "failedAt": failed_at, "error": event.error, **retry_at}
        case JobRunTimedOut():
            return {
                "status": "timed_out",
                "timedOutAt": timestamp(event.timed_out_at),
                "reason": f"no report by {timestamp(event.deadline_at)}",
                **_at("retryAt", event.retry_at),
            }
    return {}


def _of_no_run(event: JobRunsMissed | JobReportUnmatched, id: str, recorded: Recorded) -> Json:
    common: Json = {
        "id": id,
        "runId": id,
        "tenantId": recorded.meta.tenant,
        "job": event.job,
        "actor": recorded.meta.actor,
        "metadata": {},
        "scheduledAt": timestamp(recorded.timestamp),
    }
    if isinstance(event, JobRunsMissed):
        first, last = timestamp(event.first_nominal_at), timestamp(event.last_nominal_at)
        reason = f"nobody watched the clock: {event.number} firings from {first} to {last}"
        noticed_at = _at("noticedAt", event.noticed_at)
        return common | {"status": "missed", "triggeredBy": "scheduler", "reason": reason} | noticed_at
    told = {} if event.error is None else {"error": event.error}
    told |= _at(f"{event.outcome}At", event.reported_at)
    reason = "the worker reported an end, and no run was open: somebody else has triggered it"
    return common | {"status": event.outcome, "triggeredBy": "unknown", "reason": reason, **told}


def _without(document: Json, name: str) -> Json:
    return {key: value for key, value in document.items() if key != name}


def _at(name: str, moment: datetime | None) -> Json:
    return {} if moment is None else {name: timestamp(moment)}
