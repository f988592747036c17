"""How far a clock is from the store's, whatever an answer takes."""

import pytest
from structlog.testing import capture_logs

from application.store_clock import StoreClock

UNIX = 1_796_000_000.0


class Machine:
    """Its clocks, and the store's, which is right."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.passed = 5_000.0
        self.ahead = ahead
        self.clock = StoreClock(lambda: self.now + self.ahead, lambda: self.passed)

    @property
    def now(self) -> float:
        return UNIX + self.passed

    def ask(self, there: float = 0.0, back: float = 0.0, *, whole: bool = False) -> float:
        """Ask the store, and how far the clock is ahead then; seconds on the way there and back."""
        asked_at = self.clock.asked()
        self.passed += there
        told = self.now // 1 if whole else self.now
        self.passed += back
        self.clock.note(told, asked_at, give_or_take=float(whole))
        return self.clock.ahead_seconds


@pytest.mark.parametrize("ahead", [10_800.0, -10_800.0, 0.0, 61.0])
def test_a_quick_answer_tells_it_exactly(ahead: float) -> None:
    assert Machine(ahead).ask() == pytest.approx(ahead)


@pytest.mark.parametrize(("there", "back"), [(90.0, 0.0), (0.0, 90.0), (45.0, 45.0), (300.0, 300.0)])
def test_a_slow_answer_is_no_difference(there: float, back: float) -> None:
    machine = Machine()
    assert machine.ask(there, back) == 0
    assert not machine.clock.differs()


def test_of_what_a_slow_answer_leaves_open_the_least_counts() -> None:
    assert Machine(100).ask(30, 10) == pytest.approx(70)
    assert Machine(-100).ask(30, 10) == pytest.approx(-90)


@pytest.mark.parametrize("ahead", [0.9, -0.9])
def test_a_time_in_whole_seconds_makes_no_difference(ahead: float) -> None:
    assert Machine(ahead).ask(whole=True) == 0


def test_a_clock_that_is_set_or_whose_machine_sleeps_between_two_answers() -> None:
    machine = Machine()
    machine.ask()
    machine.passed += 36_000
    assert not machine.clock.differs()
    machine.ahead = 10_800
    assert machine.clock.ahead_seconds == pytest.approx(10_800)
    assert machine.clock.differs()
    machine.ahead = 0
    assert not machine.clock.differs()


def test_without_an_answer_there_is_no_difference() -> None:
    machine = Machine(10_800)
    assert machine.clock.ahead_seconds == 0
    assert not machine.clock.differs()


def test_it_is_told_once_and_at_the_limit_it_does_not_go_back_and_forth() -> None:
    machine = Machine(59)
    machine.ask()
    with capture_logs() as logs:
        assert not machine.clock.differs()
        for machine.ahead in (61, 59, 61, 31):
            assert machine.clock.differs()
        machine.ahead = -29
        assert not machine.clock.differs()
        machine.ahead = -61
        assert machine.clock.differs()
    told = [(each["event"], each["log_level"], each["seconds"]) for each in logs]
    assert told == [
        ("clock_differs", "error", 61),
        ("clock_agrees", "warning", -29),
        ("clock_differs", "error", -61),
    ]
