"""The course of a backfill: windows start in their order, a limited number at a time, and each ends once."""

from collections.abc import Iterator
from datetime import datetime

from domain.backfill.events import (
    BackfillCancelled,
    BackfillEnded,
    BackfillRequested,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    BackfillWindowTriedAgain,
    Failing,
    Outcome,
)
from domain.backfill.plan import Plan, Window, require_sound
from domain.backfill.state import Backfill, evolve
from domain.errors import BackfillHasEnded, BackfillNotFound
from domain.event import Event
from domain.faults import shortened


def request(state: Backfill | None, plan: Plan, *, now: datetime) -> tuple[Event, ...]:
    """Begin, with the windows that may be open at once. A backfill that has begun is not begun again.

    Raises:
        BadInput: the plan is not sound.
    """
    if state is not None:
        return ()
    require_sound(plan)
    requested = BackfillRequested(plan=plan, requested_at=now)
    return (requested, *_onward(evolve(None, requested), now))


def complete_window(
    state: Backfill | None, run_id: str, *, completed_at: datetime, now: datetime
) -> tuple[Event, ...]:
    """Note that a window's run is completed, perhaps after it had been given up. Then the next may start."""
    if state is None or state.outcome is not None:
        return ()
    window = state.window_of(run_id)
    late = run_id in state.given_up
    if window is None and not late:
        return ()
    completed = BackfillWindowCompleted(
        backfill_id=state.plan.backfill_id,
        number=state.given_up[run_id] if window is None else window.number,
        run_id=run_id,
        completed_at=completed_at,
        late=window is None,
    )
    return (completed, *_onward(evolve(state, completed), now))


def fail_window(
    state: Backfill | None,
    run_id: str,
    reason: Failing,
    *,
    error: str | None,
    failed_at: datetime,
    now: datetime,
) -> tuple[Event, ...]:
    """Note that a window's last run has ended badly, or could not be opened. The others continue without
    it."""
    window = None if state is None else state.window_of(run_id)
    if state is None or window is None:
        return ()
    failed = BackfillWindowFailed(
        backfill_id=state.plan.backfill_id,
        number=window.number,
        run_id=run_id,
        reason=reason,
        failed_at=failed_at,
        error=None if error is None else shortened(error),
    )
    return (failed, *_onward(evolve(state, failed), now))


def try_window_again(
    state: Backfill | None, run_id: str, *, in_place_of: str, attempt: int, now: datetime
) -> tuple[Event, ...]:
    """Note that the job's policy has opened another run. The window stays the same, and ends with that
    run."""
    window = None if state is None else state.window_of(in_place_of)
    if state is None or window is None or run_id in window.runs:
        return ()
    return (
        BackfillWindowTriedAgain(
            backfill_id=state.plan.backfill_id,
            number=window.number,
            run_id=run_id,
            attempt=attempt,
            tried_again_at=now,
        ),
    )


def cancel(
    state: Backfill | None, *, job: str, backfill_id: str, by: str, reason: str, now: datetime
) -> tuple[Event, ...]:
    """Start no further window. A cancelled backfill stays so, for its first reason.

    Raises:
        BackfillNotFound: the job has no such backfill.
        BackfillHasEnded: it ended before.
    """
    if state is None or state.plan.job != job:
        raise BackfillNotFound(f"there is no backfill {backfill_id} of {job}")
    if state.cancelled:
        return ()
    if state.outcome is not None:
        raise BackfillHasEnded(f"the backfill is {state.outcome}", {"status": state.outcome})
    cancelled = BackfillCancelled(backfill_id=backfill_id, job=job, by=by, reason=reason, cancelled_at=now)
    return (cancelled, *_onward(evolve(state, cancelled), now))


def _onward(state: Backfill, now: datetime) -> Iterator[Event]:
    """Yield what follows at once: the next windows start, or the backfill ends."""
    starting = range(state.started + 1, state.started + state.may_start + 1)
    yield from (_started(state.plan, state.plan.window(number), now) for number in starting)
    if not starting and not state.open:
        yield BackfillEnded(
            backfill_id=state.plan.backfill_id, job=state.plan.job, outcome=_outcome(state), ended_at=now
        )


def _outcome(state: Backfill) -> Outcome:
    if state.cancelled:
        return "cancelled"
    return "completed_with_failures" if state.failed else "completed"


def _started(plan: Plan, window: Window, now: datetime) -> BackfillWindowStarted:
    return BackfillWindowStarted(
        backfill_id=plan.backfill_id,
        job=plan.job,
        number=window.number,
        run_id=window.run_id,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        metadata=window.metadata,
        started_at=now,
    )
