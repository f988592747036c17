"""What the rules know of a backfill, and how its events change that."""

from collections.abc import Mapping

import msgspec

from domain.backfill.events import (
    BackfillCancelled,
    BackfillEnded,
    BackfillRequested,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    BackfillWindowTriedAgain,
    Outcome,
)
from domain.backfill.plan import Plan
from domain.event import Event


class OpenWindow(msgspec.Struct, frozen=True):
    """A window whose run has not ended. ``runs`` are the ids of all runs that were opened for it, in their
    order."""

    number: int
    runs: tuple[str, ...]


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """How far a backfill is.

    ``started`` windows have started, in their order, so the next one is the one after them. For those that
    were ``given_up``, by the ids of their runs, a report may still come.
    """

    plan: Plan
    started: int = 0
    open: tuple[OpenWindow, ...] = ()
    failed: int = 0
    given_up: Mapping[str, int] = {}
    cancelled: bool = False
    outcome: Outcome | None = None

    def window_of(self, run_id: str) -> OpenWindow | None:
        """Return the open window that a run is for."""
        return next((each for each in self.open if run_id in each.runs), None)

    @property
    def may_start(self) -> int:
        """How many windows may start now."""
        if self.cancelled:
            return 0
        return min(self.plan.max_active - len(self.open), self.plan.total - self.started)


def evolve(state: Backfill | None, event: Event) -> Backfill:
    """Return the backfill after ``event``."""
    if isinstance(event, BackfillRequested):
        return Backfill(plan=event.plan)
    assert state is not None
    replace = msgspec.structs.replace
    match event:
        case BackfillWindowStarted():
            opened = OpenWindow(event.number, (event.run_id,))
            return replace(state, started=event.number, open=(*state.open, opened))
        case BackfillWindowTriedAgain():
            windows = tuple(
                OpenWindow(each.number, (*each.runs, event.run_id)) if each.number == event.number else each
                for each in state.open
            )
            return replace(state, open=windows)
        case BackfillWindowCompleted(late=True):
            left = {run: number for run, number in state.given_up.items() if number != event.number}
            return replace(state, failed=state.failed - 1, given_up=left)
        case BackfillWindowCompleted():
            return _closed(state, event.number)
        case BackfillWindowFailed():
            runs = next((each.runs for each in state.open if each.number == event.number), ())
            given_up = {**state.given_up, **dict.fromkeys(runs, event.number)}
            return replace(_closed(state, event.number), failed=state.failed + 1, given_up=given_up)
        case BackfillCancelled():
            return replace(state, cancelled=True)
        case BackfillEnded():
            return replace(state, outcome=event.outcome)
    raise TypeError(f"{event!r} is no event of a backfill")


def _closed(state: Backfill, number: int) -> Backfill:
    return msgspec.structs.replace(state, open=tuple(each for each in state.open if each.number != number))
