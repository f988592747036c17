"""How many backfills of a job there may be. One stream per job decides, so that no two take the last
place."""

from datetime import datetime

from domain.backfill.events import BackfillAdmitted, BackfillLeft
from domain.backfill.plan import Plan, require_sound
from domain.errors import TooManyBackfills
from domain.event import Event

MOST_UNFINISHED = 20
"""The most backfills of one job that have neither ended nor been cancelled."""

Unfinished = frozenset[str]
"""The ids of a job's backfills that have a place."""

NONE: Unfinished = frozenset()


def admit(state: Unfinished | None, plan: Plan, *, now: datetime) -> tuple[Event, ...]:
    """Give a backfill a place. One that has a place keeps it.

    Raises:
        BadInput: the plan is not sound.
        TooManyBackfills: there is no place.
    """
    unfinished = state or NONE
    if plan.backfill_id in unfinished:
        return ()
    require_sound(plan)
    if len(unfinished) >= MOST_UNFINISHED:
        raise TooManyBackfills(f"{plan.job} has {MOST_UNFINISHED} backfills that have not ended")
    return (BackfillAdmitted(plan=plan, admitted_at=now),)


def leave(state: Unfinished | None, job: str, backfill_id: str, *, now: datetime) -> tuple[Event, ...]:
    """Free the place of a backfill that has ended, or starts no more windows."""
    if backfill_id not in (state or NONE):
        return ()
    return (BackfillLeft(job=job, backfill_id=backfill_id, left_at=now),)


def evolve_admissions(state: Unfinished | None, event: Event) -> Unfinished:
    """Return who has a place after ``event``."""
    match event:
        case BackfillAdmitted():
            return (state or NONE) | {event.plan.backfill_id}
        case BackfillLeft():
            return (state or NONE) - {event.backfill_id}
    raise TypeError(f"{event!r} is of no admission")
