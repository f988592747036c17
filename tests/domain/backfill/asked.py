"""A backfill of five days, and what happens to its windows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain import backfill
from domain.backfill import (
    BackfillEnded,
    BackfillRequested,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    Failing,
    Outcome,
    Plan,
)
from domain.event import Event
from tests.builders import NOW
from tests.domain.scenario import Given, fold

JOB = "risk-snapshot-backfill"


def day(number: int) -> datetime:
    """A day of January, at its midnight."""
    return datetime(2026, 1, number, tzinfo=UTC)


def plan(**changes: Any) -> Plan:
    """The first five days of January, a day at a time, one after the other."""
    given: dict[str, Any] = {"starts_at": day(1), "ends_at": day(6)}
    return Plan(**{"backfill_id": "b-1", "job": JOB, "by": "ada", **given, **changes})


def begun(asked: Plan) -> Given[backfill.Backfill]:
    """It has been asked for."""
    return Given(backfill.evolve, *backfill.request(None, asked, now=NOW))


def requested(asked: Plan) -> BackfillRequested:
    """It begins."""
    return BackfillRequested(plan=asked, requested_at=NOW)


def started(asked: Plan, number: int) -> BackfillWindowStarted:
    """A window starts."""
    window = asked.window(number)
    return BackfillWindowStarted(
        backfill_id=asked.backfill_id,
        job=asked.job,
        number=number,
        run_id=window.run_id,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        metadata=window.metadata,
        started_at=NOW,
    )


def completed(asked: Plan, number: int, *, late: bool = False) -> BackfillWindowCompleted:
    """A window's run is completed."""
    return BackfillWindowCompleted(
        backfill_id=asked.backfill_id,
        number=number,
        run_id=asked.window(number).run_id,
        completed_at=NOW,
        late=late,
    )


def failed(
    asked: Plan, number: int, reason: Failing = "failed", error: str | None = "no disk"
) -> BackfillWindowFailed:
    """Nothing comes of a window."""
    return BackfillWindowFailed(
        backfill_id=asked.backfill_id,
        number=number,
        run_id=asked.window(number).run_id,
        reason=reason,
        failed_at=NOW,
        error=error,
    )


def ended(asked: Plan, outcome: Outcome) -> BackfillEnded:
    """It has come to its end."""
    return BackfillEnded(backfill_id=asked.backfill_id, job=asked.job, outcome=outcome, ended_at=NOW)


def completing(asked: Plan, number: int) -> Any:
    """A window's run is reported as completed."""
    run_id = asked.window(number).run_id
    return lambda state: backfill.complete_window(state, run_id, completed_at=NOW, now=NOW)


def failing(asked: Plan, number: int, reason: Failing = "failed", error: str | None = "no disk") -> Any:
    """A window's run ends badly."""
    run_id = asked.window(number).run_id
    return lambda state: backfill.fail_window(state, run_id, reason, error=error, failed_at=NOW, now=NOW)


def cancelling(asked: Plan, **changes: str) -> Any:
    """It is cancelled."""
    said = {"job": asked.job, "backfill_id": asked.backfill_id, "by": "bob", "reason": "enough", **changes}
    return lambda state: backfill.cancel(state, **said, now=NOW)


def state_of(events: Sequence[Event]) -> backfill.Backfill:
    """What the rules know after some events."""
    return fold(backfill.evolve, events)
