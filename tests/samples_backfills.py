"""One example of every stored event of backfills, with every field filled."""

from datetime import UTC, datetime

from domain.backfill import (
    BackfillAdmitted,
    BackfillCancelled,
    BackfillEnded,
    BackfillLeft,
    BackfillRequested,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    BackfillWindowTriedAgain,
    Plan,
)
from domain.event import Event
from tests.builders import NOW, after

PLAN = Plan(
    backfill_id="backfill-1",
    job="risk-snapshot-backfill",
    starts_at=datetime(2026, 1, 1, 0, 30, tzinfo=UTC),
    ends_at=datetime(2026, 2, 1, tzinfo=UTC),
    by="user-ü",
    form="moments",
    window_days=7,
    metadata={"tenantIds": ["t-1"], "n": [1, 2.5, None]},
    max_active=2,
)

BACKFILL_EVENTS: tuple[Event, ...] = (
    BackfillAdmitted(plan=PLAN, admitted_at=NOW),
    BackfillRequested(plan=PLAN, requested_at=after(seconds=1)),
    *(
        BackfillWindowStarted(
            backfill_id="backfill-1",
            job=PLAN.job,
            number=window.number,
            run_id=f"run-{window.number}",
            starts_at=window.starts_at,
            ends_at=window.ends_at,
            metadata=window.metadata,
            started_at=after(seconds=1),
        )
        for window in PLAN.windows()[:1]
    ),
    BackfillWindowTriedAgain(
        backfill_id="backfill-1", number=1, run_id="run-1-again", attempt=2, tried_again_at=after(minutes=5)
    ),
    BackfillWindowFailed(
        backfill_id="backfill-1",
        number=1,
        run_id="run-1-again",
        reason="timed_out",
        failed_at=after(hours=6),
        error="no report by 2026-11-23T04:10:05.123Z",
    ),
    BackfillWindowCompleted(
        backfill_id="backfill-1", number=1, run_id="run-1-again", completed_at=after(hours=7), late=True
    ),
    BackfillCancelled(
        backfill_id="backfill-1", job="outcome-sync", by="bob", reason="enough", cancelled_at=after(hours=8)
    ),
    BackfillEnded(backfill_id="backfill-1", job=PLAN.job, outcome="cancelled", ended_at=after(hours=9)),
    BackfillLeft(job=PLAN.job, backfill_id="backfill-1", left_at=after(hours=9)),
)
