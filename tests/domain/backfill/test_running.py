"""Windows start in their order, end once, and with the last of them the backfill ends."""

from typing import Any

import pytest

from domain import backfill
from domain.backfill import BackfillCancelled, BackfillWindowTriedAgain
from domain.errors import BackfillHasEnded, BackfillNotFound, BadInput
from tests.builders import NOW
from tests.domain.backfill.asked import (
    JOB,
    begun,
    cancelling,
    completed,
    completing,
    day,
    ended,
    failed,
    failing,
    plan,
    requested,
    started,
)


def trying_again(run_id: str, in_place_of: str, attempt: int = 2) -> Any:
    """The job's policy opens another run."""
    return lambda state: backfill.try_window_again(
        state, run_id, in_place_of=in_place_of, attempt=attempt, now=NOW
    )


def tried_again(number: int, run_id: str, attempt: int = 2) -> BackfillWindowTriedAgain:
    """A window has another run."""
    return BackfillWindowTriedAgain(
        backfill_id="b-1", number=number, run_id=run_id, attempt=attempt, tried_again_at=NOW
    )


CANCELLED = BackfillCancelled(backfill_id="b-1", job=JOB, by="bob", reason="enough", cancelled_at=NOW)


def test_it_begins_with_as_many_windows_as_may_be_open() -> None:
    one, two, many = plan(), plan(max_active=2), plan(max_active=20)
    assert backfill.request(None, one, now=NOW) == (requested(one), started(one, 1))
    assert backfill.request(None, two, now=NOW) == (requested(two), started(two, 1), started(two, 2))
    assert backfill.request(None, many, now=NOW)[1:] == tuple(started(many, each) for each in range(1, 6))


def test_what_has_begun_is_not_begun_again() -> None:
    begun(plan()).when(lambda state: backfill.request(state, plan(), now=NOW)).then_nothing()


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(BadInput):
        backfill.request(None, plan(ends_at=day(1)), now=NOW)


def test_a_windows_end_lets_the_next_start() -> None:
    asked = plan(max_active=2)
    story = begun(asked).when(completing(asked, 2)).then(completed(asked, 2), started(asked, 3))
    story.when(failing(asked, 1)).then(failed(asked, 1), started(asked, 4))


def test_the_end_of_the_last_window_is_the_end() -> None:
    asked = plan(ends_at=day(3))
    story = begun(asked).when(completing(asked, 1)).and_so()
    story.when(completing(asked, 2)).then(completed(asked, 2), ended(asked, "completed"))


def test_it_ends_only_when_the_slowest_window_has() -> None:
    asked = plan(ends_at=day(3), max_active=2)
    story = begun(asked).when(completing(asked, 2)).then(completed(asked, 2))
    story.when(completing(asked, 1)).then(completed(asked, 1), ended(asked, "completed"))


@pytest.mark.parametrize("reason", ["failed", "timed_out", "refused"])
def test_a_window_that_came_to_nothing_shows_at_the_end(reason: Any) -> None:
    asked = plan(ends_at=day(3))
    story = begun(asked).when(failing(asked, 1, reason)).then(failed(asked, 1, reason), started(asked, 2))
    story.when(completing(asked, 2)).then(completed(asked, 2), ended(asked, "completed_with_failures"))


def test_the_same_end_again_changes_nothing() -> None:
    asked = plan()
    story = begun(asked).when(completing(asked, 1)).and_so()
    story.when(completing(asked, 1)).then_nothing()
    for end in (story, begun(asked).when(failing(asked, 1)).and_so()):
        end.when(failing(asked, 1)).then_nothing()


def test_a_run_of_nobody_and_a_window_that_has_not_started_end_nothing() -> None:
    asked = plan()
    begun(asked).when(completing(asked, 2)).then_nothing()
    begun(asked).when(failing(plan(backfill_id="b-2"), 1)).then_nothing()
    assert completing(asked, 1)(None) == failing(asked, 1)(None) == ()


def test_what_is_told_of_a_failure_has_a_bearable_length() -> None:
    asked = plan()
    told = begun(asked).when(failing(asked, 1, error="x" * 5000)).happened()[0]
    assert isinstance(told, backfill.BackfillWindowFailed)
    assert told.error is not None
    assert len(told.error) < 400


def test_another_run_of_a_window_is_the_same_window() -> None:
    asked = plan()
    first = asked.window(1).run_id
    story = begun(asked).when(trying_again("again", first)).then(tried_again(1, "again"))
    story = story.when(trying_again("once more", "again", 3)).then(tried_again(1, "once more", 3))
    end = story.when(lambda state: backfill.complete_window(state, "once more", completed_at=NOW, now=NOW))
    assert end.happened()[1:] == (started(asked, 2),)


def test_another_run_is_noted_once_and_of_an_open_window_alone() -> None:
    asked = plan()
    first = asked.window(1).run_id
    story = begun(asked).when(trying_again("again", first)).and_so()
    story.when(trying_again("again", first)).then_nothing()
    story.when(completing(asked, 1)).and_so().when(trying_again("more", first)).then_nothing()
    assert trying_again("again", first)(None) == ()


def test_a_report_that_comes_after_its_window_was_given_up_still_counts() -> None:
    asked = plan(ends_at=day(3))
    story = begun(asked).when(failing(asked, 1, "timed_out")).and_so()
    story = story.when(completing(asked, 1)).then(completed(asked, 1, late=True))
    story.when(completing(asked, 1)).then_nothing()
    story.when(completing(asked, 2)).then(completed(asked, 2), ended(asked, "completed"))


@pytest.mark.parametrize("attempt", ["first", "second"])
def test_the_success_of_any_attempt_of_a_window_that_was_given_up_counts(attempt: str) -> None:
    asked = plan(ends_at=day(3))
    runs = {"first": asked.window(1).run_id, "second": "again"}
    story = begun(asked).when(trying_again(runs["second"], runs["first"])).and_so()
    story = story.when(failing(asked, 1, "failed")).and_so()

    def report(state: Any) -> Any:
        return backfill.complete_window(state, runs[attempt], completed_at=NOW, now=NOW)

    (told,) = story.when(report).happened()
    assert isinstance(told, backfill.BackfillWindowCompleted)
    assert (told.number, told.run_id, told.late) == (1, runs[attempt], True)
    story.when(report).and_so().when(report).then_nothing()


def test_after_the_end_no_report_changes_anything() -> None:
    asked = plan(ends_at=day(2))
    story = begun(asked).when(failing(asked, 1, "timed_out")).and_so()
    story.when(completing(asked, 1)).then_nothing()


def test_cancelled_it_starts_nothing_more_and_waits_for_what_is_open() -> None:
    asked = plan(max_active=2)
    story = begun(asked).when(cancelling(asked)).then(CANCELLED)
    story = story.when(failing(asked, 1)).then(failed(asked, 1))
    story.when(completing(asked, 2)).then(completed(asked, 2), ended(asked, "cancelled"))


def test_a_late_report_lets_nothing_start_that_was_cancelled() -> None:
    asked = plan(max_active=2)
    story = begun(asked).when(failing(asked, 1, "timed_out")).and_so().when(cancelling(asked)).and_so()
    story.when(completing(asked, 1)).then(completed(asked, 1, late=True))


def test_the_first_reason_to_cancel_stands() -> None:
    asked = plan()
    story = begun(asked).when(cancelling(asked)).and_so()
    story.when(cancelling(asked, reason="another")).then_nothing()
    story.when(completing(asked, 1)).and_so().when(cancelling(asked)).then_nothing()


def test_what_has_ended_cannot_be_cancelled() -> None:
    asked = plan(ends_at=day(2))
    story = begun(asked).when(completing(asked, 1)).and_so()
    refusal = story.when(cancelling(asked)).then_refused(BackfillHasEnded)
    assert refusal.details == {"status": "completed"}


def test_a_backfill_of_another_job_is_not_found() -> None:
    asked = plan()
    begun(asked).when(cancelling(asked, job="outcome-sync")).then_refused(BackfillNotFound)
    with pytest.raises(BackfillNotFound):
        cancelling(asked)(None)
