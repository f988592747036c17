"""Whatever comes in whatever order: windows start once each, never too many at a time, and it ends."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain import backfill
from domain.backfill import (
    BackfillEnded,
    BackfillWindowCompleted,
    BackfillWindowFailed,
    BackfillWindowStarted,
    Failing,
    Plan,
)
from domain.event import Event
from tests.builders import NOW
from tests.domain.backfill.asked import cancelling, day, plan, state_of

_plans = st.builds(
    lambda hours, window_days, max_active: plan(
        ends_at=day(1) + timedelta(hours=hours), window_days=window_days, max_active=max_active
    ),
    st.integers(1, 24 * 30),
    st.integers(1, 5),
    st.integers(1, 20),
)


class Story:
    """A backfill, and what anybody may say of it, more than once and out of turn."""

    def __init__(self, asked: Plan) -> None:
        self.plan = asked
        self.events: list[Event] = []
        self.state = state_of(self._add(backfill.request(None, asked, now=NOW)))

    def say(self, data: st.DataObject) -> None:
        """One thing is said."""
        state = self.state
        numbers = st.integers(1, self.plan.total)
        open_runs = [run for each in state.open for run in each.runs]
        runs = st.builds(lambda number: self.plan.window(number).run_id, numbers)
        run_id = data.draw(st.one_of(runs, st.sampled_from(open_runs)) if open_runs else runs)
        what = data.draw(st.sampled_from(["complete", "fail", "time out", "again", "complete", "cancel"]))
        self._follow(self._decided(state, what, run_id, data))

    def finish(self) -> None:
        """Every window that is open is reported, as long as there is one."""
        while self.state.open:
            run_id = self.state.open[0].runs[-1]
            self._follow(backfill.complete_window(self.state, run_id, completed_at=NOW, now=NOW))

    def _add(self, events: Sequence[Event]) -> Sequence[Event]:
        self.events += events
        return events

    def _follow(self, events: Sequence[Event]) -> None:
        for event in self._add(events):
            self.state = backfill.evolve(self.state, event)

    def _decided(self, state: Any, what: str, run_id: str, data: st.DataObject) -> tuple[Event, ...]:
        match what:
            case "complete":
                return backfill.complete_window(state, run_id, completed_at=NOW, now=NOW)
            case "again":
                another = data.draw(st.sampled_from(["x", "y", "z"])) + run_id[:8]
                return backfill.try_window_again(state, another, in_place_of=run_id, attempt=2, now=NOW)
            case "cancel" if state.outcome is None and data.draw(st.integers(0, 9)) == 0:
                return tuple(cancelling(self.plan)(state))
            case "cancel":
                return ()
        reason: Failing = "failed" if what == "fail" else "timed_out"
        return backfill.fail_window(state, run_id, reason, error=None, failed_at=NOW, now=NOW)


@given(asked=_plans, said=st.integers(0, 60), data=st.data())
def test_it_comes_to_its_end_and_every_window_had_its_turn_once(
    asked: Plan, said: int, data: st.DataObject
) -> None:
    story = Story(asked)
    for _ in range(said):
        story.say(data)
    story.finish()

    started = [each.number for each in story.events if isinstance(each, BackfillWindowStarted)]
    ended = [each for each in story.events if isinstance(each, BackfillEnded)]
    assert started == list(range(1, len(started) + 1))
    assert len(ended) == 1
    assert story.events[-1] is ended[0]
    if ended[0].outcome != "cancelled":
        assert len(started) == asked.total
    ends = [
        each.number
        for each in story.events
        if isinstance(each, BackfillWindowFailed)
        or (isinstance(each, BackfillWindowCompleted) and not each.late)
    ]
    assert sorted(ends) == started


@given(asked=_plans, said=st.integers(0, 60), data=st.data())
def test_never_are_more_windows_open_than_may_be_and_never_fewer_than_could_be(
    asked: Plan, said: int, data: st.DataObject
) -> None:
    story = Story(asked)
    for _ in range(said):
        story.say(data)
        state = story.state
        assert len(state.open) <= asked.max_active
        if not state.cancelled:
            left = asked.total - state.started
            assert len(state.open) == asked.max_active or left == 0
