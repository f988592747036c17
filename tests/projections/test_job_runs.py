"""What became of each firing, as its document tells it."""

from typing import Any

import msgspec
import pytest

from domain.event import Event
from domain.job import (
    JobReportUnmatched,
    JobRunCompleted,
    JobRunFailed,
    JobRunMissed,
    JobRunPublished,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    JobRunTimedOut,
    job_stream,
)
from domain.values import SYSTEM_TENANT, derived_id, timestamp
from projections.job_runs import JobRuns
from projections.projection import document_of
from tests.builders import NOW, USER, after, metadata, recorded
from tests.jobs import JOB, fired, fired_by_cron

AT = timestamp(NOW)
SIX_HOURS = timestamp(after(hours=6))


def shown(*events: Event, id: str = "run-1") -> dict[str, Any]:
    story = recorded(job_stream(JOB), events, meta=metadata(tenant=SYSTEM_TENANT))
    body: dict[str, Any] = msgspec.json.decode(document_of(JobRuns(), id, story))
    return body


def part(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names if name in document}


PUBLISHED = JobRunPublished(
    job=JOB, run_id="run-1", published_at=after(seconds=1), deadline_at=after(hours=6)
)
TIMED_OUT = JobRunTimedOut(
    job=JOB,
    run_id="run-1",
    deadline_at=after(hours=6),
    timed_out_at=after(hours=6, seconds=1),
    retry_at=after(hours=7),
)


def scheduled(waits_for: Any, **fields: Any) -> JobRunScheduled:
    return JobRunScheduled(
        job=JOB, run_id="run-1", scheduled_at=NOW, nominal_at=NOW, metadata={}, waits_for=waits_for, **fields
    )


def test_a_trigger_is_scheduled_until_the_broker_has_it() -> None:
    assert shown(fired_by_cron(), id="run-1") == {
        "id": "run-1",
        "runId": "run-1",
        "tenantId": SYSTEM_TENANT,
        "job": JOB,
        "status": "scheduled",
        "triggeredBy": "scheduler",
        "actor": USER,
        "metadata": {},
        "attempt": 1,
        "scheduledAt": AT,
        "nominalTime": timestamp(after(seconds=-5)),
        "triggeredAt": AT,
    }
    published = shown(fired_by_cron(), PUBLISHED)
    assert part(published, "status", "publishedAt", "deadlineAt") == {
        "status": "published",
        "publishedAt": timestamp(after(seconds=1)),
        "deadlineAt": SIX_HOURS,
    }


def test_a_worker_that_is_quicker_than_the_note_has_completed_it_all_the_same() -> None:
    completed = JobRunCompleted(job=JOB, run_id="run-1", completed_at=NOW)
    assert part(shown(fired(), completed, PUBLISHED), "status", "publishedAt", "completedAt") == {
        "status": "completed",
        "publishedAt": timestamp(after(seconds=1)),
        "completedAt": AT,
    }


def test_what_waits_says_for_what_and_no_longer_once_it_has_gone_out() -> None:
    delayed = scheduled("jitter", due_at=after(seconds=30))
    assert part(shown(delayed), "status", "waitsFor", "dueAt", "triggeredAt") == {
        "status": "scheduled",
        "waitsFor": "jitter",
        "dueAt": timestamp(after(seconds=30)),
    }
    queued = shown(delayed, scheduled("open_run"))
    assert part(queued, "waitsFor", "dueAt") == {
        "waitsFor": "open_run",
        "dueAt": timestamp(after(seconds=30)),
    }
    gone = shown(delayed, fired_by_cron())
    assert part(gone, "waitsFor", "dueAt", "triggeredAt", "scheduledAt") == {
        "dueAt": timestamp(after(seconds=30)),
        "triggeredAt": AT,
        "scheduledAt": AT,
    }
    assert "waitsFor" not in shown(delayed, skipped())


def skipped(**fields: Any) -> JobRunSkipped:
    return JobRunSkipped(
        job=JOB, run_id="run-1", nominal_at=NOW, skipped_at=after(seconds=1), reason="run x is open", **fields
    )


def test_what_is_skipped_or_missed_says_why_and_when() -> None:
    names = ("status", "reason", "skippedAt", "noticedAt", "nominalTime", "triggeredBy", "retryOf")
    assert part(shown(skipped(retry_of="run-0")), *names) == {
        "status": "skipped",
        "reason": "run x is open",
        "skippedAt": timestamp(after(seconds=1)),
        "nominalTime": AT,
        "triggeredBy": "scheduler",
        "retryOf": "run-0",
    }
    missed = JobRunMissed(job=JOB, run_id="run-1", nominal_at=NOW, noticed_at=after(hours=1), reason="nobody")
    assert part(shown(missed), *names) == {
        "status": "missed",
        "reason": "nobody",
        "noticedAt": timestamp(after(hours=1)),
        "nominalTime": AT,
        "triggeredBy": "scheduler",
    }


def test_one_that_was_missed_by_a_clock_that_was_ahead_and_fires_after_all_is_as_if_it_never_was() -> None:
    missed = JobRunMissed(job=JOB, run_id="run-1", nominal_at=NOW, noticed_at=after(hours=1), reason="nobody")
    run = shown(missed, fired())
    assert run == {**shown(fired()), "scheduledAt": run["scheduledAt"]}


def test_a_run_that_nobody_reported_says_so_and_when_it_is_tried_again() -> None:
    assert part(shown(fired(), TIMED_OUT), "status", "timedOutAt", "reason", "retryAt") == {
        "status": "timed_out",
        "timedOutAt": timestamp(after(hours=6, seconds=1)),
        "reason": f"no report by {SIX_HOURS}",
        "retryAt": timestamp(after(hours=7)),
    }


def test_a_late_success_is_one_and_is_not_tried_again() -> None:
    late = JobRunCompleted(job=JOB, run_id="run-1", completed_at=after(hours=8), late=True)
    assert part(
        shown(fired(), TIMED_OUT, late), "status", "completedAt", "late", "timedOutAt", "retryAt"
    ) == {
        "status": "completed",
        "completedAt": timestamp(after(hours=8)),
        "late": True,
        "timedOutAt": timestamp(after(hours=6, seconds=1)),
    }


def test_a_failed_run_says_why_and_its_next_try_whose_it_is() -> None:
    failed = JobRunFailed(
        job=JOB, run_id="run-1", error="no disk", failed_at=after(hours=1), retry_at=after(hours=2)
    )
    assert part(shown(fired(), failed), "status", "error", "failedAt", "retryAt") == {
        "status": "failed",
        "error": "no disk",
        "failedAt": timestamp(after(hours=1)),
        "retryAt": timestamp(after(hours=2)),
    }
    again = fired("run-2", attempt=2, retry_of="run-1", triggered_by="backfill", backfill_id="b-1")
    assert part(shown(again, id="run-2"), "attempt", "retryOf", "backfillId", "triggeredBy") == {
        "attempt": 2,
        "retryOf": "run-1",
        "backfillId": "b-1",
        "triggeredBy": "backfill",
    }


@pytest.mark.parametrize(
    ("outcome", "error", "told"),
    [("completed", None, {"completedAt": AT}), ("failed", "no disk", {"failedAt": AT, "error": "no disk"})],
)
def test_a_report_of_nobodys_run_is_told_as_that(
    outcome: Any, error: str | None, told: dict[str, Any]
) -> None:
    stray = JobReportUnmatched(job=JOB, run_id="report-1", outcome=outcome, reported_at=NOW, error=error)
    document = shown(stray, id="report-1")
    assert part(document, "status", "triggeredBy", "completedAt", "failedAt", "error") == {
        "status": outcome,
        "triggeredBy": "unknown",
        **told,
    }
    assert "somebody else" in document["reason"]


def test_thousands_of_missed_firings_are_one_line() -> None:
    many = JobRunsMissed(
        job=JOB,
        first_nominal_at=after(days=-9),
        last_nominal_at=after(days=-2),
        number=10_080,
        noticed_at=NOW,
    )
    id = derived_id("missed", JOB, timestamp(after(days=-2)))
    document = shown(many, id=id)
    assert document["status"] == "missed"
    assert document["runId"] == id
    first, last = timestamp(after(days=-9)), timestamp(after(days=-2))
    assert document["reason"] == f"nobody watched the clock: 10080 firings from {first} to {last}"
