"""Who waits for an append is woken by it, and by the clock if there is none."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from application.event_store import EventStore
from domain import job
from domain.errors import JobNotFound
from domain.event import Event
from domain.interest import Interest
from domain.job import BatchJob, JobEvent, JobFired
from tests.application.logs import OpenLogs, open_logs, sqlite_settings
from tests.builders import NOW, TENANT, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[OpenLogs]:
    with open_logs(sqlite_settings(tmp_path)) as logs:
        yield logs


@pytest.fixture
def store(logs: OpenLogs) -> EventStore:
    return logs.store()


async def append(store: EventStore) -> None:
    def decide(state: BatchJob | None) -> list[Event]:
        return [JobFired(job="j", run_id="r", triggered_by="manual", fired_at=NOW, metadata={})]

    await store.execute(f"{TENANT}/job/j", evolve=job.evolve, decide=decide, meta=metadata(), now=NOW)


async def test_an_append_wakes_everybody_who_waits(store: EventStore) -> None:
    alarms = [store.subscribe() for _ in range(3)]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for alarm in alarms:
                group.start_soon(alarm.wait, 60)
            await anyio.wait_all_tasks_blocked()
            await append(store)


async def test_an_append_that_nobody_waited_for_ends_the_next_wait_at_once_and_only_that(
    store: EventStore,
) -> None:
    alarm = store.subscribe()
    await append(store)
    with anyio.fail_after(5):
        await alarm.wait(60)
    with anyio.move_on_after(0.05) as scope:
        await alarm.wait(60)
    assert scope.cancelled_caught


async def test_a_command_that_fails_wakes_too_because_its_commit_may_have_been_lost_sight_of(
    store: EventStore,
) -> None:
    alarm = store.subscribe()

    def refuse(state: BatchJob | None) -> list[Event]:
        raise JobNotFound("no")

    with pytest.raises(JobNotFound):
        await store.execute("t/job/j", evolve=job.evolve, decide=refuse, meta=metadata(), now=NOW)
    with anyio.fail_after(5):
        await alarm.wait(60)


async def test_a_wait_ends_by_the_clock_too(store: EventStore) -> None:
    with anyio.fail_after(5):
        await store.subscribe().wait(0.01)


async def test_a_wait_can_be_ended_by_hand(store: EventStore) -> None:
    alarm = store.subscribe()
    alarm.wake()
    with anyio.fail_after(5):
        await alarm.wait(60)


async def test_who_has_closed_its_alarm_is_not_woken_any_more(store: EventStore) -> None:
    alarm = store.subscribe()
    alarm.close()
    await append(store)
    with anyio.move_on_after(0.05) as scope:
        await alarm.wait(60)
    assert scope.cancelled_caught


async def test_who_does_not_want_what_is_appended_sleeps_on(store: EventStore) -> None:
    wanting = store.subscribe(Interest(JobFired))
    others = store.subscribe(Interest(JobEvent, where=lambda event: not isinstance(event, JobFired)))
    await append(store)
    with anyio.fail_after(5):
        await wanting.wait(60)
    with anyio.move_on_after(0.05) as scope:
        await others.wait(60)
    assert scope.cancelled_caught


async def test_an_append_that_is_answered_without_an_event_wakes_everybody(store: EventStore) -> None:
    def nothing(state: BatchJob | None) -> list[Event]:
        return []

    nobody = store.subscribe(Interest())
    await store.execute(f"{TENANT}/job/j", evolve=job.evolve, decide=nothing, meta=metadata(), now=NOW)
    with anyio.fail_after(5):
        await nobody.wait(60)


async def test_what_another_process_appended_wakes_everybody(store: EventStore) -> None:
    nobody = store.subscribe(Interest())
    store.notice(1_000)
    with anyio.fail_after(5):
        await nobody.wait(60)


async def test_what_another_process_appended_before_this_one_wakes_everybody(logs: OpenLogs) -> None:
    """The other's own notice may come later, and then says nothing new."""
    store, other = logs.store(), logs.store()
    await append(store)
    nobody = store.subscribe(Interest())
    await append(store)
    with anyio.move_on_after(0.05) as scope:
        await nobody.wait(60)
    assert scope.cancelled_caught, "nobody else's lie between"
    await append(other)
    await append(store)
    with anyio.fail_after(5):
        await nobody.wait(60)


async def test_what_was_heard_before_a_look_does_not_end_the_wait_after_it(store: EventStore) -> None:
    alarm = store.subscribe()
    alarm.wake()
    alarm.reset()
    with anyio.move_on_after(0.05) as scope:
        await alarm.wait(60)
    assert scope.cancelled_caught
