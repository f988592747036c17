"""Logs for tests of copying, and the content of stores, read without the code that copies."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import psycopg
from eventsourcing.persistence import StoredEvent

from application.audit.anchors import Anchor
from application.event_log import EventLog
from application.log_copy import Copied, LogReader, LogWriter, copy
from application.ports import StepCall, Timer
from infrastructure.postgres.anchor_book import PostgresAnchorBook
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.log_reader import read_postgres_log
from infrastructure.postgres.log_writer import write_postgres_log
from infrastructure.postgres.step_calls import PostgresStepCalls
from infrastructure.postgres.timers import PostgresTimers
from infrastructure.sqlite.anchor_book import SqliteAnchorBook
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.event_store import followers_file
from infrastructure.sqlite.log_reader import read_sqlite_log
from infrastructure.sqlite.log_writer import write_sqlite_log
from infrastructure.sqlite.step_calls import SqliteStepCalls
from infrastructure.sqlite.timers import SqliteTimers
from tests.application.logs import open_logs, postgres_settings, sqlite_settings
from tests.application.test_http_requests import call
from tests.builders import LEASE, NOW, after, metadata

Row = tuple[Any, ...]

EVENTS = {
    "sqlite": ("stored_events", "rowid"),
    "postgresql": ("workflow_orchestrator_events", "notification_id"),
}
"""The table of events and its ID column, by kind of store."""

TIMERS = [
    Timer(
        id=f"timer-{number}",
        due_at=after(microseconds=number),
        kind="step-deadline",
        payload={"step_type": "ü", "attempt": number},
        meta=metadata(command_id=f"command-{number}"),
    )
    for number in range(600)
]

STEP_CALLS = [
    msgspec.structs.replace(
        call({"path": "/v1"}, {"a": "ü"}), id=f"call-{number}", dispatched_at=after(microseconds=number)
    )
    for number in range(600)
]


ANCHORS = [
    Anchor(
        tenant_id=tenant,
        sequence=7,
        number=1,
        position=1,
        hash="00",
        anchored_at="2026-03-01T00:00:00.000Z",
        key_id="key",
        previous="",
        previous_held=True,
        signature="00",
    )
    for tenant in ("a", "b")
]


class Held(msgspec.Struct, frozen=True):
    """The whole content of a store's log."""

    events: list[Row]
    positions: list[Row]
    timers: list[Row]
    step_calls: list[Row]
    anchors: list[Row]


NOTHING = Held([], [], [], [], [])


def kind_of(url: str) -> str:
    """Return ``sqlite`` or ``postgresql``."""
    return url.split(":", 1)[0]


def file_of(url: str) -> Path:
    """Return the file of a log in SQLite."""
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def opened(url: str) -> Iterator[EventLog]:
    """Yield a log as a service opens it."""
    settings = sqlite_settings(file_of(url).parent) if kind_of(url) == "sqlite" else postgres_settings(url)
    with open_logs(settings) as logs:
        yield logs.open()


def appended(url: str, stream: str, *versions: int) -> list[int]:
    """Append events. Return their IDs."""
    with opened(url) as log:
        return list(log.recorder.insert_events(_events(stream, versions, b"{}")) or ())


def _events(stream: str, versions: Iterable[int], state: bytes) -> list[StoredEvent]:
    return [StoredEvent(stream, version, "test", state) for version in versions]


def run(url: str, *statements: str, beside: bool = False) -> list[Row]:
    """Run SQL on a store. Return the rows of the last statement. ``beside`` selects SQLite's file of
    followers."""
    rows: list[Row] = []
    if kind_of(url) == "sqlite":
        file = followers_file(file_of(url)) if beside else file_of(url)
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return rows
    with psycopg.connect(url) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


def held(url: str) -> Held:
    """Return the content of a store."""
    table, id = EVENTS[kind_of(url)]
    return Held(
        run(url, f"SELECT {id}, originator_id, originator_version, topic, state FROM {table} ORDER BY {id}"),
        run(url, "SELECT follower, partition, position FROM follower_positions ORDER BY 1", beside=True),
        [
            (id, msgspec.json.decode(timer, type=Timer))
            for id, timer in run(url, "SELECT id, timer FROM timers ORDER BY 1", beside=True)
        ],
        [
            (*lane, msgspec.json.decode(call, type=StepCall))
            for *lane, call in run(
                url, "SELECT id, service, tenant, call FROM step_calls ORDER BY 1", beside=True
            )
        ],
        run(url, "SELECT tenant, sequence, anchor, is_out FROM audit_anchors ORDER BY 1", beside=True),
    )


async def filled(url: str, *, batches: int = 3, size: int = 400) -> Held:
    """Fill a store with a log that has gaps, with positions, timers and calls. Return its content."""
    table, id = EVENTS[kind_of(url)]
    with opened(url) as log:
        for batch in range(batches):
            log.recorder.insert_events(_events(f"t/job/{batch}", range(1, size + 1), bytes(range(256))))
    run(url, f"DELETE FROM {table} WHERE {id} IN (1, 2, {size})")
    await with_what_waits(url, TIMERS)
    newest = batches * size
    for follower, position in (("outbox", f"log-{newest}-abc"), ("step-deadlines", f"log-{newest - 7}-def")):
        values = f"('{follower}', 'log', '{position}')"
        run(
            url,
            f"INSERT INTO follower_positions (follower, partition, position) VALUES {values}",
            beside=True,
        )
    return held(url)


async def with_what_waits(url: str, timers: Sequence[Timer]) -> None:
    if kind_of(url) == "sqlite":
        file = SqliteDatabase(followers_file(file_of(url)), synchronous="NORMAL")
        await SqliteCheckpoints(file).create()
        await SqliteAnchorBook(file).create()
        await SqliteAnchorBook(file).keep(ANCHORS, LEASE)
        await SqliteAnchorBook(file).note_out(ANCHORS[1:], LEASE)
        await SqliteTimers(file).create()
        await SqliteTimers(file).change(set=timers, cancel=(), lease=LEASE)
        await SqliteStepCalls(file).create()
        await SqliteStepCalls(file).change(add=STEP_CALLS, remove=(), lease=LEASE)
        file.close()
        return
    database = PostgresDatabase(url)
    await database.open()
    await PostgresAnchorBook(database).keep(ANCHORS, LEASE)
    await PostgresAnchorBook(database).note_out(ANCHORS[1:], LEASE)
    await PostgresTimers(database).change(set=timers, cancel=(), lease=LEASE)
    await PostgresStepCalls(database).change(add=STEP_CALLS, remove=(), lease=LEASE)
    await database.close()


def fill(url: str, *, batches: int = 3, size: int = 400) -> Held:
    """Fill a store as :func:`filled` does, for tests that are not coroutines."""
    return anyio.run(lambda: filled(url, batches=batches, size=size))


def due_now(url: str) -> int:
    """Return how many timers are due a little after ``NOW``, according to the store's column of times."""
    if kind_of(url) == "sqlite":
        moment = after(microseconds=10).isoformat(timespec="microseconds")
        return len(run(url, f"SELECT id FROM timers WHERE due_at <= '{moment}'", beside=True))
    return len(run(url, f"SELECT id FROM timers WHERE due_at <= '{NOW.isoformat()}'::timestamptz + '10 us'"))


@contextmanager
def unseen(doing: str, events: int) -> Iterator[Callable[[int], None]]:
    """Replace the progress bar by none."""
    yield lambda _: None


def reading(url: str) -> AbstractAsyncContextManager[LogReader]:
    """Open a store for reading."""
    return read_sqlite_log(file_of(url)) if kind_of(url) == "sqlite" else read_postgres_log(url)


def writing(url: str) -> AbstractAsyncContextManager[LogWriter]:
    """Open a store for writing."""
    return write_sqlite_log(file_of(url)) if kind_of(url) == "sqlite" else write_postgres_log(url)


async def copied(source: str, target: str) -> Copied:
    """Copy a log as the command does."""
    async with reading(source) as reader, writing(target) as writer:
        return await copy(reader, writer, unseen)
