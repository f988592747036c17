"""A year in seconds, minute by minute: each firing is accounted for exactly once, whoever was there.

What is expected shares nothing with the code: the minutes are those of ``test_clock_changes``, and what
becomes of each is decided here from when the clock was watched and the job's policy.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

import pytest

from application.job_commands import CompleteJobRun
from application.jobs import Jobs
from domain.job import JobDefinition, JobFired, JobRunMissed, JobRunsMissed
from tests.builders import SettableClock, metadata
from tests.interfaces.scheduling.simulation import Simulation
from tests.interfaces.scheduling.test_clock_changes import (
    FIXED,
    WILDCARD,
    expected_fixed,
    expected_of_wildcards,
    wall_of_each_minute,
)
from tests.jobs import definition

pytestmark = pytest.mark.anyio

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

CRONS = {"daily": "30 2 * * *", "hourly": "0 * * * *", "weekly": "0 1 * * 0", "at-one": "30 1 * * *"}

CATCH_UPS = {
    "Europe/Berlin": {"daily": "latest", "hourly": "all", "weekly": "all", "at-one": "none"},
    "America/New_York": {"daily": "none", "hourly": "latest", "weekly": "latest", "at-one": "all"},
}

Outcome = tuple[str, datetime | None]
"""``fired`` and when, or ``missed``."""


@cache
def nominal_times(cron: str, zone: str) -> Sequence[datetime]:
    minutes = wall_of_each_minute(zone, START, END)
    if cron in FIXED:
        return list(expected_fixed(FIXED[cron], minutes))
    return list(expected_of_wildcards(WILDCARD[cron], minutes))


def downtimes(dice: Random, count: int) -> list[tuple[datetime, datetime]]:
    """From when to when nobody watches the clock: minutes, hours, now and then days."""
    found, at = [], START + timedelta(hours=dice.randrange(1, 100))
    for _ in range(count):
        length = timedelta(minutes=dice.choice([3, 20, 90, 400, 1500, 6000]) + dice.randrange(5), seconds=30)
        if at + length > END - timedelta(days=3):
            break
        found.append((at, at + length))
        at += length + timedelta(minutes=dice.randrange(60, 18_000))
    return found


def expected(
    nominal: Sequence[datetime], away: Sequence[tuple[datetime, datetime]], rules: JobDefinition
) -> dict[datetime, Outcome]:
    """What is to become of each."""
    outcomes: dict[datetime, Outcome] = {each: ("fired", each) for each in nominal}
    window = timedelta(seconds=rules.policy.catch_up_seconds)
    for gone, back in away:
        passed = [each for each in nominal if gone <= each <= back]
        recent = [each for each in passed if back - each <= window]
        made_up = {
            "all": recent,
            "latest": recent[-1:],
            "none": [each for each in recent if back - each <= MINUTE],
        }[rules.policy.catch_up]
        outcomes |= {each: ("fired", back) if each in made_up else ("missed", None) for each in passed}
    return outcomes


def became(simulation: Simulation, job: str) -> Iterator[tuple[datetime, Outcome]]:
    for event in simulation.memory.history(job):
        assert not isinstance(event, JobRunsMissed)
        if isinstance(event, JobFired):
            assert event.nominal_at is not None
            yield event.nominal_at, ("fired", event.fired_at)
        elif isinstance(event, JobRunMissed):
            yield event.nominal_at, ("missed", None)


async def reported(simulation: Simulation) -> None:
    """The workers are quick."""
    for job in simulation.jobs.by_name:
        state = simulation.memory.state(job)
        for each in state.open_runs if state else ():
            meta = metadata()
            await simulation.dispatch(CompleteJobRun(meta=meta, job=job, reference=each.fired.run_id))


@pytest.mark.timeout(120)
async def test_each_firing_of_a_year_with_downtimes_is_accounted_for_once() -> None:
    rules = [
        definition(f"{name}-{zone}", cron, zone, catch_up=catch_ups[name], catch_up_seconds=36_000.0)
        for zone, catch_ups in CATCH_UPS.items()
        for name, cron in CRONS.items()
    ]
    away = downtimes(Random(7), 60)
    assert len(away) > 40
    clock = SettableClock(START - timedelta(seconds=1))
    simulation = Simulation(Jobs(rules), clock)
    for gone, back in [*away, (END, END)]:
        async with simulation.watched() as scheduler:
            await reported(simulation)
            clock.moment = clock.moment.replace(second=0) + MINUTE
            while clock.moment < gone:
                if await scheduler.tick():
                    await reported(simulation)
                clock.moment += MINUTE
        clock.moment = back
    for each in rules:
        found = list(became(simulation, each.name))
        assert max(Counter(nominal for nominal, _ in found).values()) == 1
        nominal = nominal_times(each.schedule.cron, each.schedule.time_zone)
        assert dict(found) == expected(nominal, away, each), each.name


@pytest.mark.parametrize(
    ("zone", "gap", "change", "repeated"),
    [
        (
            "Europe/Berlin",
            "30 2 * * *",
            datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        ),
        (
            "America/New_York",
            "30 2 * * *",
            datetime(2026, 3, 8, 7, 0, tzinfo=UTC),
            None,
        ),
        (
            "America/New_York",
            "30 1 * * *",
            None,
            datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        ),
    ],
)
def test_the_yardstick_itself_is_right_on_the_two_nights(
    zone: str, gap: str, change: datetime | None, repeated: datetime | None
) -> None:
    times = nominal_times(gap, zone)
    assert len(times) == 365
    for moment in filter(None, (change, repeated)):
        local = moment.astimezone(ZoneInfo(zone)).date()
        assert [each for each in times if each.astimezone(ZoneInfo(zone)).date() == local] == [moment]
