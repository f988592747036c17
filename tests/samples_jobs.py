"""One example of every stored event of a batch job, with every field filled."""

from domain.event import Event
from domain.job import (
    JobBackfillCancelled,
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
from tests.builders import CORRELATION, NOW, after

_METADATA = {"schedule": "0 1 * * *", "triggeredAt": "2026-11-22T22:10:05.123Z", "n": [1, 2.5, None]}

JOB_EVENTS: tuple[Event, ...] = (
    JobRunScheduled(
        job="outcome-sync",
        run_id="run-1",
        scheduled_at=NOW,
        nominal_at=after(seconds=-5),
        metadata=_METADATA,
        waits_for="jitter",
        due_at=after(seconds=25),
        attempt=2,
        retry_of="run-0",
    ),
    JobFired(
        job="outcome-sync",
        run_id="run-1",
        triggered_by="scheduler",
        fired_at=NOW,
        metadata=_METADATA,
        nominal_at=after(seconds=-5),
        message_type="workflow.outcomes.trigger",
        deadline_seconds=21_600.0,
        attempt=2,
        retry_of="run-0",
        backfill_id="backfill-1",
        correlation_id=CORRELATION,
    ),
    JobRunPublished(
        job="outcome-sync",
        run_id="run-1",
        published_at=after(seconds=1),
        deadline_at=after(hours=6, seconds=1),
    ),
    JobRunCompleted(
        job="outcome-sync", run_id="run-1", completed_at=after(hours=1), backfill_id="backfill-1", late=True
    ),
    JobRunFailed(
        job="outcome-sync",
        run_id="run-2",
        error="no disk",
        failed_at=after(hours=2),
        backfill_id="backfill-1",
        retry_at=after(hours=3),
        attempt=2,
        moot=True,
    ),
    JobRunTimedOut(
        job="outcome-sync",
        run_id="run-3",
        deadline_at=after(hours=6),
        timed_out_at=after(hours=6, seconds=1),
        backfill_id="backfill-1",
        retry_at=after(hours=7),
        attempt=2,
        moot=True,
    ),
    JobRunMissed(
        job="outcome-sync",
        run_id="run-4",
        nominal_at=after(hours=-9),
        noticed_at=NOW,
        reason="nobody watched the clock at 2026-11-22T13:10:05.123Z",
    ),
    JobRunsMissed(
        job="outcome-sync",
        first_nominal_at=after(days=-90),
        last_nominal_at=after(days=-9),
        number=116_000,
        noticed_at=NOW,
    ),
    JobRunSkipped(
        job="outcome-sync",
        run_id="run-5",
        nominal_at=NOW,
        skipped_at=after(seconds=1),
        reason="run run-1 is still open",
        triggered_by="backfill",
        retry_of="run-4",
        backfill_id="backfill-1",
    ),
    JobReportUnmatched(
        job="outcome-sync", run_id="report-1", outcome="failed", reported_at=NOW, error="no disk"
    ),
    JobBackfillCancelled(job="outcome-sync", backfill_id="backfill-1", cancelled_at=NOW),
    JobPaused(job="outcome-sync", by="ann", reason="the worker is ill", paused_at=NOW),
    JobResumed(job="outcome-sync", by="bob", resumed_at=after(hours=1)),
)

JOBS_AS_READ_FROM_VERSION_1: tuple[Event, ...] = (
    JobFired(
        job="outcome-sync",
        run_id="run-1",
        triggered_by="scheduler",
        fired_at=NOW,
        metadata=_METADATA,
        nominal_at=after(seconds=-5),
    ),
    JobRunCompleted(job="outcome-sync", run_id="run-1", completed_at=after(hours=1)),
    JobRunFailed(job="outcome-sync", run_id="run-2", error="no disk", failed_at=after(hours=2)),
)
