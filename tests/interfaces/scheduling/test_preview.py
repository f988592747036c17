"""A preview is what then happens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from application.job_commands import CompleteJobRun, ReleaseJobRun
from application.jobs import Jobs
from domain.event import Event
from domain.job import (
    JobDefinition,
    JobFired,
    JobPaused,
    JobRunMissed,
    JobRunScheduled,
    JobRunSkipped,
    JobRunsMissed,
    run_id,
)
from interfaces.scheduling.cron import schedule_of
from interfaces.scheduling.preview import PlannedFiring, Preview, previewed
from tests.builders import LEASE, SettableClock, metadata
from tests.interfaces.scheduling.simulation import Simulation
from tests.jobs import JOB, definition, fired

NOW = datetime(2026, 3, 29, 12, 0, 20, tzinfo=UTC)
"""On the day of Berlin's change, so that downtimes of a few days go over it."""

RULES = st.builds(
    definition,
    st.just(JOB),
    st.sampled_from(["*/7 * * * *", "0 * * * *", "30 2 * * *", "30 1-3 * * *", "0 1 * * 0"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]),
    overlap=st.sampled_from(["allow", "skip", "queue_one"]),
    catch_up=st.sampled_from(["none", "latest", "all"]),
    catch_up_seconds=st.sampled_from([60.0, 3600.0, 86_400.0]),
    jitter_seconds=st.sampled_from([0.0, 600.0, 7200.0]),
)
DOWNTIMES = st.timedeltas(timedelta(seconds=1), timedelta(days=4)).map(
    lambda each: each - timedelta(microseconds=each.microseconds)
)


def fired_before(rules: JobDefinition, watched_until: datetime) -> list[Event]:
    """A firing that is stored, and its instance died before it could say so."""
    nominal_at = schedule_of(rules).next_after(watched_until)
    return [fired(run_id(JOB, nominal_at), nominal_at=nominal_at)] if nominal_at < NOW else []


@st.composite
def pasts(draw: st.DrawFn) -> tuple[JobDefinition, datetime, list[Event]]:
    """A job, since when its clock has not been watched, and what had happened to it by then."""
    rules, watched_until = draw(RULES), NOW - draw(DOWNTIMES)
    events: list[Event] = []
    if draw(st.booleans()):
        events.append(fired("open", fired_at=watched_until))
    if draw(st.booleans()):
        events += fired_before(rules, watched_until)
    if draw(st.integers(0, 3)) == 0:
        events.append(JobPaused(job=JOB, by="ann", reason="a freeze", paused_at=watched_until))
    return rules, watched_until, events


def preview_of(simulation: Simulation, watched_until: datetime | None, *, count: int = 5) -> Preview:
    rules = simulation.jobs.find(JOB)
    return previewed(
        rules,
        schedule_of(rules),
        simulation.memory.state(JOB),
        start=NOW,
        watched_until=watched_until,
        now=simulation.clock.now(),
        count=count,
    )


def outcomes(events: list[Event], rules: JobDefinition) -> list[PlannedFiring]:
    """What has become of each firing, in the words of a preview."""
    told = []
    for event in events:
        match event:
            case JobFired(nominal_at=datetime() as nominal_at):
                told.append(PlannedFiring(nominal_at, event.fired_at, "fire"))
            case JobRunScheduled(waits_for="jitter", due_at=datetime() as due_at):
                told.append(PlannedFiring(event.nominal_at, due_at, "fire"))
            case JobRunScheduled():
                told.append(
                    PlannedFiring(event.nominal_at, event.scheduled_at, "wait", "a run is still open")
                )
            case JobRunSkipped(nominal_at=datetime() as nominal_at):
                due_at = max(rules.policy.due_at(JOB, nominal_at), event.skipped_at)
                told.append(PlannedFiring(nominal_at, due_at, "skip", event.reason))
            case JobRunMissed():
                told.append(PlannedFiring(event.nominal_at, event.nominal_at, "miss", event.reason))
            case JobRunsMissed():
                raise AssertionError("so many are told as one that a preview cannot be held against it")
    return sorted(told, key=lambda each: each.nominal_at)


async def _all_end(simulation: Simulation) -> None:
    """Delays are over, workers report, and nothing is open or waits."""
    while True:
        state = simulation.memory.state(JOB)
        delayed = [each for each in state.waiting if each.waits_for == "jitter"] if state else []
        open_runs = list(state.open_runs) if state else []
        if not delayed and not open_runs:
            return
        for each in delayed:
            await simulation.dispatch(ReleaseJobRun(meta=metadata(), job=JOB, run_id=each.run_id))
        for run in open_runs:
            await simulation.dispatch(CompleteJobRun(meta=metadata(), job=JOB, reference=run.fired.run_id))


async def _what_then_happens(past: tuple[JobDefinition, datetime, list[Event]]) -> None:
    rules, watched_until, events = past
    simulation = Simulation(Jobs([rules]), SettableClock(NOW))
    simulation.apply(JOB, *events)
    await simulation.marks.move(JOB, watched_until, LEASE)
    told = preview_of(simulation, await simulation.marks.peek(JOB))
    before = len(simulation.memory.history(JOB))
    async with simulation.watched() as scheduler:
        caught_up = simulation.memory.history(JOB)[before:]
        assert outcomes(caught_up, rules) == list(told.catch_up)

        await _all_end(simulation)
        for planned in told.firings:
            simulation.clock.moment = planned.nominal_at
            before = len(simulation.memory.history(JOB))
            await scheduler.tick()
            assert outcomes(simulation.memory.history(JOB)[before:], rules) == [planned]
            await _all_end(simulation)


@settings(max_examples=80, deadline=None)
@given(pasts())
def test_what_is_previewed_is_what_then_happens(past: tuple[JobDefinition, datetime, list[Event]]) -> None:
    anyio.run(_what_then_happens, past)


def simulation_of(rules: JobDefinition) -> Simulation:
    return Simulation(Jobs([rules]), SettableClock(NOW))


def test_a_job_that_is_off_has_nothing_to_come_and_owes_nothing() -> None:
    told = preview_of(simulation_of(definition(enabled=False)), NOW - timedelta(days=9))
    assert told == Preview((), ())


def test_a_clock_that_was_never_watched_owes_nothing() -> None:
    told = preview_of(simulation_of(definition()), None, count=2)
    assert [each.nominal_at.isoformat() for each in told.firings] == [
        "2026-03-30T01:00:00+00:00",
        "2026-03-31T01:00:00+00:00",
    ]
    assert told.catch_up == ()


def test_what_has_passed_already_is_no_next_firing() -> None:
    def first(start: datetime, **more: Any) -> datetime:
        rules = definition(**more)
        told = previewed(rules, schedule_of(rules), None, start=start, watched_until=None, now=NOW, count=1)
        return told.firings[0].nominal_at

    tomorrow = datetime(2026, 3, 30, 1, tzinfo=UTC)
    assert first(NOW - timedelta(days=300)) == first(NOW) == tomorrow
    assert first(tomorrow) == tomorrow + timedelta(days=1)
