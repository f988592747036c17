"""Eight writers in four processes, and a follower that reads while they write: it misses nothing."""

import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest
from anyio.to_thread import run_sync

from application.event_store import EventStore
from domain.event import Recorded
from domain.job import JobFired
from infrastructure.postgres.wakeups import PostgresWakeups
from tests.application.logs import open_logs, postgres_settings
from tests.application.writer import WRITERS

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

PROCESSES = 4
COMMANDS = 60
EVENTS = PROCESSES * WRITERS * COMMANDS * 2


@pytest.fixture
def store(postgres_store_url: str) -> Iterator[EventStore]:
    with open_logs(postgres_settings(postgres_store_url)) as logs:
        yield logs.store()


@pytest.fixture
def writers(postgres_store_url: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes that are connected and wait for a word."""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.application.writer",
                postgres_store_url,
                str(number),
                str(COMMANDS),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


async def follow(store: EventStore, read: list[Recorded], positions: list[int]) -> None:
    """Read on from the last position until all is read; woken by the writers."""
    alarm, after = store.subscribe(), None
    while len(read) < EVENTS:
        while batch := await store.read("log", after, 50):
            read.extend(batch.events)
            after = batch.position
            positions.append(int(after.split("-")[1]))
        await alarm.wait(1)


async def test_a_follower_sees_each_event_of_eight_writers_once_and_in_order(
    store: EventStore, writers: list["subprocess.Popen[str]"], postgres_store_url: str
) -> None:
    read: list[Recorded] = []
    positions: list[int] = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as listening:
            listening.start_soon(PostgresWakeups(postgres_store_url, store.notice).run)
            async with anyio.create_task_group() as following:
                following.start_soon(follow, store, read, positions)
                for process in writers:
                    assert process.stdin is not None
                    process.stdin.write("go\n")
                    process.stdin.flush()
                for process in writers:
                    assert await run_sync(process.wait, 60) == 0
            listening.cancel_scope.cancel()
    runs = [recorded.event.run_id for recorded in read if isinstance(recorded.event, JobFired)]
    assert len(runs) == len(set(runs)) == EVENTS
    assert positions == sorted(set(positions))
    assert len(positions) > 5, "it did not read while they wrote"
    versions: dict[str, int] = {}
    for recorded in read:
        assert recorded.version == versions.get(recorded.stream, 0) + 1
        versions[recorded.stream] = recorded.version
    replayed: list[Recorded] = []
    after = None
    while batch := await store.read("log", after, 500):
        replayed.extend(batch.events)
        after = batch.position
    assert replayed == read
