"""So many backfills of a job may be unfinished, and no more."""

from domain import backfill
from domain.backfill import MOST_UNFINISHED, BackfillAdmitted, BackfillLeft
from domain.errors import BadInput, TooManyBackfills
from tests.builders import NOW
from tests.domain.backfill.asked import JOB, day, plan
from tests.domain.scenario import Given


def full() -> Given[backfill.Unfinished]:
    """A job that has as many as it may have."""
    plans = [plan(backfill_id=f"b-{number}") for number in range(MOST_UNFINISHED)]
    return Given(
        backfill.evolve_admissions, *(BackfillAdmitted(plan=each, admitted_at=NOW) for each in plans)
    )


def test_the_first_has_a_place() -> None:
    assert backfill.admit(None, plan(), now=NOW) == (BackfillAdmitted(plan=plan(), admitted_at=NOW),)


def test_one_too_many_is_refused_until_another_has_ended() -> None:
    more = plan(backfill_id="one more")
    story = full()
    story.when(lambda state: backfill.admit(state, more, now=NOW)).then_refused(TooManyBackfills)
    left = BackfillLeft(job=JOB, backfill_id="b-3", left_at=NOW)
    story = story.when(lambda state: backfill.leave(state, JOB, "b-3", now=NOW)).then(left)
    story.when(lambda state: backfill.leave(state, JOB, "b-3", now=NOW)).then_nothing()
    admitted = BackfillAdmitted(plan=more, admitted_at=NOW)
    story.when(lambda state: backfill.admit(state, more, now=NOW)).then(admitted)


def test_who_has_a_place_keeps_it_though_there_are_no_more() -> None:
    full().when(lambda state: backfill.admit(state, plan(backfill_id="b-0"), now=NOW)).then_nothing()


def test_what_cannot_be_made_takes_no_place() -> None:
    bad = plan(backfill_id="bad", ends_at=day(1))
    full().when(lambda state: backfill.admit(state, bad, now=NOW)).then_refused(BadInput)


def test_nobody_leaves_where_nobody_was() -> None:
    assert backfill.leave(None, JOB, "b-1", now=NOW) == ()
