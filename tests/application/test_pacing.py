"""The pace of a tenant's starts while the clock is set."""

from datetime import timedelta

from application.pacing import StartPace
from tests.builders import NOW, TENANT

FALSE = NOW + timedelta(hours=3)


def test_places_taken_by_a_clock_that_was_hours_ahead_hold_nobody_back_once_it_is_right() -> None:
    """The chaos campaign found starts that were held back for three hours."""
    pace = StartPace(1, burst=2)
    for _ in range(5):
        pace.next(TENANT, FALSE)
        pace.take(TENANT, FALSE)
    assert pace.next(TENANT, FALSE) == FALSE + timedelta(seconds=3)
    assert pace.next(TENANT, NOW) == NOW
    for _ in range(5):
        pace.take(TENANT, NOW)
    assert pace.next(TENANT, NOW) == NOW + timedelta(seconds=3), "the pace goes on"


def test_one_that_asks_a_little_late_frees_no_places() -> None:
    pace = StartPace(1, burst=2)
    for _ in range(5):
        pace.take(TENANT, NOW)
    late = NOW - timedelta(seconds=1)
    assert pace.next(TENANT, late) == NOW + timedelta(seconds=3)
