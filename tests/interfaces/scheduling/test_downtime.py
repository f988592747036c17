"""After a downtime, on real stores: what was missed, what is made up for, and what is owed by nobody."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from application.event_store import EventStore
from application.job_commands import PauseJob
from application.jobs import Jobs
from domain.event import Event
from domain.job import JobDefinition, JobFired, JobRunMissed, JobRunSkipped, JobRunsMissed, job_stream
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.builders import LEASE, SettableClock, metadata
from tests.interfaces.scheduling.simulation import Simulation
from tests.jobs import JOB, definition

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)


def hours(*which: int) -> list[datetime]:
    return [NOON.replace(hour=each, second=0) for each in which]


class Instances:
    """Processes on one folder, one after the other, each with the settings of its time."""

    def __init__(self, logs: OpenLogs, positions: SqliteCheckpoints) -> None:
        self.clock = SettableClock(NOON)
        self._logs = logs
        self._positions = positions
        self.store: EventStore = logs.store()

    def with_settings(self, rules: JobDefinition) -> Simulation:
        self.store = self._logs.store()
        return Simulation(Jobs([rules]), self.clock, store=self.store, positions=self._positions)

    async def one_comes_and_goes(self, rules: JobDefinition) -> None:
        async with self.with_settings(rules).watched() as scheduler:
            await scheduler.tick()

    async def became(self) -> list[tuple[type[Event], datetime]]:
        events = [each.event for each in await self.store.load(job_stream(JOB))]
        return [
            (type(each), each.nominal_at)
            for each in events
            if isinstance(each, JobFired | JobRunMissed | JobRunSkipped) and each.nominal_at is not None
        ]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


@pytest.fixture
async def instances(logs: OpenLogs, tmp_path: Path) -> AsyncIterator[Instances]:
    async with AsyncExitStack() as stack:
        database = SqliteDatabase(tmp_path / "positions.db", synchronous="NORMAL")
        stack.callback(database.close)
        positions = SqliteCheckpoints(database)
        await positions.create()
        yield Instances(logs, positions)


def hourly(**policy: object) -> JobDefinition:
    return definition(JOB, "0 * * * *", **policy)  # type: ignore[arg-type]


async def test_what_is_not_made_up_for_is_missed_and_the_rest_is_fired_late(instances: Instances) -> None:
    rules = hourly(catch_up="latest", catch_up_seconds=7200.0)
    await instances.one_comes_and_goes(rules)
    instances.clock.advance(hours=5)
    await instances.one_comes_and_goes(rules)
    await instances.one_comes_and_goes(rules)
    *missed, fired = await instances.became()
    assert missed == [(JobRunMissed, each) for each in hours(13, 14, 15, 16)]
    assert fired == (JobFired, *hours(17))


async def test_a_job_that_was_off_owes_nothing_when_it_is_on_again(instances: Instances) -> None:
    await instances.one_comes_and_goes(hourly())
    instances.clock.advance(hours=2)
    await instances.one_comes_and_goes(hourly(enabled=False))
    instances.clock.advance(hours=2)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == []
    instances.clock.advance(hours=1)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == [(JobFired, *hours(17))]


async def test_a_job_that_the_settings_did_not_name_owes_nothing_when_it_is_put_back(
    instances: Instances,
) -> None:
    await instances.one_comes_and_goes(hourly())
    instances.clock.advance(hours=2)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == [(JobFired, each) for each in hours(13, 14)]
    for _ in range(2):
        await instances.one_comes_and_goes(definition("another", "0 * * * *"))
        instances.clock.advance(hours=1)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == [(JobFired, each) for each in hours(13, 14)]
    instances.clock.advance(hours=1)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == [(JobFired, each) for each in hours(13, 14, 17)]


async def test_a_pause_outlives_the_instance_and_what_it_kept_back_is_skipped(instances: Instances) -> None:
    simulation = instances.with_settings(hourly())
    await instances.one_comes_and_goes(hourly())
    await simulation.dispatch(PauseJob(meta=metadata(), job=JOB, by="ann", reason="a freeze"))
    instances.clock.advance(hours=2)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == [(JobRunSkipped, each) for each in hours(13, 14)]


async def test_who_dies_between_the_firing_and_its_mark_leaves_no_second_one(instances: Instances) -> None:
    await instances.one_comes_and_goes(hourly())
    instances.clock.advance(hours=3)
    simulation = instances.with_settings(hourly())
    marks = simulation.marks
    stopped = await marks.peek(JOB)
    assert stopped is not None
    await instances.one_comes_and_goes(hourly())
    await instances._positions.save("scheduler", JOB, f"{stopped.isoformat()} 0 * * * * UTC", LEASE)
    await instances.one_comes_and_goes(hourly())
    assert await instances.became() == [(JobFired, each) for each in hours(13, 14, 15)]


async def test_a_job_of_each_minute_that_was_away_for_a_month_is_told_of_in_few_words(
    instances: Instances,
) -> None:
    rules = definition(JOB, "* * * * *", catch_up="latest")
    await instances.one_comes_and_goes(rules)
    instances.clock.advance(days=30)
    await instances.one_comes_and_goes(rules)
    events = [each.event for each in await instances.store.load(job_stream(JOB))]
    together, *one_by_one, fired = events
    assert isinstance(together, JobRunsMissed)
    assert isinstance(fired, JobFired)
    assert fired.nominal_at == instances.clock.now().replace(second=0)
    assert together.number + len(one_by_one) + 1 == 30 * 24 * 60
    assert len(one_by_one) == 1000
    assert together.first_nominal_at == NOON.replace(second=0) + timedelta(minutes=1)
