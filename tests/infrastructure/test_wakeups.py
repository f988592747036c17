"""An append of another process wakes who waits here, and a lost connection is made again."""

import gc
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import psycopg
import pytest

from application.event_store import EventStore
from domain import job
from domain.event import Event
from domain.job import BatchJob, JobFired
from infrastructure.postgres import wakeups
from infrastructure.postgres.schema import migrate
from infrastructure.postgres.wakeups import PostgresWakeups
from tests.application.logs import OpenLogs, open_logs, postgres_settings
from tests.builders import NOW, TENANT, metadata
from tests.harness import eventually
from tests.postgres import away, end_connections
from tests.services import free_port, postgres_node

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


@pytest.fixture
def logs(postgres_store_url: str) -> Iterator[OpenLogs]:
    with open_logs(postgres_settings(postgres_store_url)) as logs:
        yield logs


@pytest.fixture
def here(logs: OpenLogs) -> EventStore:
    return logs.store()


@pytest.fixture
def elsewhere(logs: OpenLogs) -> EventStore:
    """The store of another process."""
    return logs.store()


class Told:
    """Passes on to a store what it is told, and remembers it."""

    def __init__(self, store: EventStore) -> None:
        self.ids: list[int | None] = []
        self._store = store

    def notice(self, newest: int | None) -> None:
        self.ids.append(newest)
        self._store.notice(newest)


@asynccontextmanager
async def listening(url: str, store: EventStore) -> AsyncIterator[Told]:
    told = Told(store)

    async def listens() -> bool:
        return bool(told.ids)

    async with anyio.create_task_group() as group:
        group.start_soon(PostgresWakeups(url, told.notice).run)
        await eventually(listens)
        yield told
        group.cancel_scope.cancel()


async def append(store: EventStore, run: str = "r") -> None:
    def decide(state: BatchJob | None) -> list[Event]:
        return [JobFired(job="j", run_id=run, triggered_by="manual", fired_at=NOW, metadata={})]

    await store.execute(f"{TENANT}/job/{run}", evolve=job.evolve, decide=decide, meta=metadata(), now=NOW)


async def test_an_append_of_another_process_wakes_who_waits(
    here: EventStore, elsewhere: EventStore, postgres_store_url: str
) -> None:
    alarm = here.subscribe()
    async with listening(postgres_store_url, here):
        await alarm.wait(0.1)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(alarm.wait, 60)
                await anyio.wait_all_tasks_blocked()
                await append(elsewhere)
        assert len((await here.read("log", None, 10)).events) == 1  # type: ignore[union-attr]


async def test_what_was_appended_while_nobody_listened_wakes_once_somebody_does(
    here: EventStore, elsewhere: EventStore, postgres_store_url: str
) -> None:
    alarm = here.subscribe()
    await append(elsewhere)
    async with listening(postgres_store_url, here):
        with anyio.fail_after(5):
            await alarm.wait(60)


async def test_what_is_older_than_an_append_of_ours_wakes_nobody(
    here: EventStore, elsewhere: EventStore
) -> None:
    await append(elsewhere, "theirs")
    await append(here, "ours")
    appends = here.appends("log")
    here.notice(1)
    here.notice(2)
    assert here.appends("log") == appends
    here.notice(3)
    here.notice(3)
    assert here.appends("log") == appends + 1
    here.notice(None)
    assert here.appends("log") == appends + 2


async def test_an_end_of_the_connection_by_the_server_costs_a_moment_and_no_wake_up(
    here: EventStore, elsewhere: EventStore, postgres_store_url: str
) -> None:
    async with listening(postgres_store_url, here) as told:
        for number in range(3):
            del told.ids[:]
            end_connections(postgres_store_url)

            async def listens_again() -> bool:
                return None in told.ids

            await eventually(listens_again, seconds=5)
            await append(elsewhere, str(number))

            async def was_told(newest: int = number + 1) -> bool:
                return newest in told.ids

            await eventually(was_told, seconds=5)


async def test_a_server_that_is_away_is_tried_until_it_is_back(
    here: EventStore, elsewhere: EventStore, postgres_store_url: str
) -> None:
    async with listening(postgres_store_url, here) as told:
        with away(postgres_store_url):
            await anyio.sleep(1)
            del told.ids[:]

        async def listens_again() -> bool:
            return None in told.ids

        await eventually(listens_again, seconds=10)


async def test_an_error_that_nobody_has_thought_of_costs_a_moment(
    here: EventStore, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(newest: int | None) -> None:
        monkeypatch.undo()
        raise LookupError("a bug")

    monkeypatch.setattr(here, "notice", broken)
    async with listening(postgres_store_url, here) as told:

        async def listens_again() -> bool:
            return told.ids == [None, None]

        await eventually(listens_again, seconds=5)


async def test_a_silent_connection_is_looked_at_and_goes_on(
    here: EventStore, elsewhere: EventStore, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "_SILENCE_SECONDS", 0.05)
    async with listening(postgres_store_url, here) as told:
        for number in range(20):
            await append(elsewhere, str(number))
            await anyio.sleep(0.02)

        async def was_told_of_all() -> bool:
            return told.ids[-1] == 20

        await eventually(was_told_of_all, seconds=5)
        assert told.ids == [None, *range(1, 21)]


async def test_a_notification_that_is_not_ours_wakes_and_breaks_nothing(
    here: EventStore, postgres_store_url: str
) -> None:
    async with listening(postgres_store_url, here) as told:
        with psycopg.connect(postgres_store_url, autocommit=True) as connection:
            connection.execute("NOTIFY workflow_orchestrator_events, 'what?'")
            connection.execute("NOTIFY workflow_orchestrator_events")

        async def was_told() -> bool:
            return told.ids == [None, None, None]

        await eventually(was_told, seconds=5)


async def test_store_and_wakeups_come_back_after_the_server_has_restarted() -> None:
    with postgres_node(free_port()) as node:
        node.start()
        migrate(node.url)
        with open_logs(postgres_settings(node.url, connections=8)) as logs:
            here, elsewhere = logs.store(), logs.store()
            async with listening(node.url, here) as told:
                for number, mode in enumerate(("fast", "immediate")):
                    await append(here, f"before-{number}")
                    node.stop(mode)
                    node.start()
                    del told.ids[:]
                    with anyio.fail_after(5):
                        await append(elsewhere, f"after-{number}")
                        assert len(await here.load(f"{TENANT}/job/after-{number}")) == 1

                    async def was_told_again() -> bool:
                        return bool(told.ids)

                    await eventually(was_told_again, seconds=10)


async def test_what_this_process_appended_itself_is_not_told_again(
    here: EventStore, elsewhere: EventStore, postgres_store_url: str
) -> None:
    told: list[int | None] = []
    own = here._log.recorder.backends  # type: ignore[attr-defined]
    async with anyio.create_task_group() as group:
        group.start_soon(PostgresWakeups(postgres_store_url, told.append, own).run)

        async def listens() -> bool:
            return bool(told)

        await eventually(listens)
        await append(here, "ours")
        await append(elsewhere, "theirs")

        async def told_of_theirs() -> bool:
            return len(told) > 1

        await eventually(told_of_theirs)
        await anyio.sleep(0.1)
        group.cancel_scope.cancel()
    assert told == [None, 2]


async def test_who_stops_listening_while_the_loop_is_busy_leaves_no_connection_open(
    here: EventStore, postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", -1.0)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        async with listening(postgres_store_url, here):
            pass
        gc.collect()
    assert [str(each.message) for each in warned] == []
