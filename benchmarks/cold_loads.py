"""The time to load a stream that is not cached, by its length, with and without a snapshot.

``python -m benchmarks.cold_loads [--postgres URL-OF-A-SERVER]``. A job's stream has three events per run; a
workflow is paused and resumed repeatedly. Prints the milliseconds of one load, the best of three.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import uuid4

from application.event_log import EventLog
from application.pasts import Evolve, Pasts
from application.snapshots import Snapshots, SnapshotStore
from domain import job, workflow
from domain.event import Event, Recorded
from domain.job import JobFired, JobRunCompleted, JobRunPublished
from domain.workflow import WorkflowPaused, WorkflowResumed, WorkflowStarted
from infrastructure.postgres.event_store import postgres_log_settings
from infrastructure.postgres.schema import migrate
from infrastructure.postgres.snapshots import PostgresSnapshots
from infrastructure.sqlite.event_store import sqlite_log_settings
from infrastructure.sqlite.snapshots import SqliteSnapshots
from tests.builders import NOW, TENANT, metadata
from tests.postgres import fresh_database

LENGTHS = (10, 100, 1_000, 10_000, 100_000)


def runs_of_a_job() -> Iterator[Event]:
    """Yield the events of one completed run after the other."""
    while True:
        run = str(uuid4())
        yield JobFired(
            job="j", run_id=run, triggered_by="scheduler", fired_at=NOW, metadata={"schedule": "* * * * *"}
        )
        yield JobRunPublished(job="j", run_id=run, published_at=NOW)
        yield JobRunCompleted(job="j", run_id=run, completed_at=NOW)


def pauses_of_a_workflow() -> Iterator[Event]:
    """Yield the events of a workflow that is paused and resumed repeatedly."""
    yield WorkflowStarted(
        workflow_id="w", definition="d", definition_version=1, execution_id="e", steps=(), started_at=NOW
    )
    while True:
        yield WorkflowPaused(workflow_id="w", execution_id="e", reason="a closer look", paused_at=NOW)
        yield WorkflowResumed(workflow_id="w", execution_id="e", resumed_at=NOW)


KINDS: dict[str, tuple[Callable[[], Iterator[Event]], Evolve]] = {
    "job": (runs_of_a_job, job.evolve),
    "workflow": (pauses_of_a_workflow, workflow.evolve),
}


def measure(log: EventLog, place: str, kept: SnapshotStore) -> None:
    """Print a line for each kind and length."""
    for kind, (events, evolve) in KINDS.items():
        for length in LENGTHS:
            stream = f"{TENANT}/{kind}/{length}"
            _append(log, stream, events(), length)
            every = _best(partial(_load, log, stream, evolve))
            line = f"{place:<11}{kind:<9}{length:>8,} events: {every:9.1f} ms"
            making = Snapshots(kept, log)
            _load(log, stream, evolve, making)
            began = time.perf_counter()
            making.close()
            took = (time.perf_counter() - began) * 1e3
            if (snapshot := kept.get(stream)) is not None:
                using = Snapshots(kept, log)
                by_it = _best(partial(_load, log, stream, evolve, using))
                using.close()
                line += (
                    f", by a snapshot {by_it:7.1f} ms ({len(snapshot.body):,} bytes, made in {took:.0f} ms)"
                )
            print(line, flush=True)


def _append(log: EventLog, stream: str, events: Iterator[Event], length: int) -> None:
    chunk: list[Recorded] = []
    for version in range(1, length + 1):
        chunk.append(
            Recorded(stream=stream, version=version, timestamp=NOW, meta=metadata(), event=next(events))
        )
        if len(chunk) == 500 or version == length:
            log.ours.append_together([[log.stored(each) for each in chunk]])
            chunk = []


def _load(log: EventLog, stream: str, evolve: Evolve, snapshots: Snapshots | None = None) -> None:
    Pasts(log, most=1, snapshots=snapshots).read({stream: evolve})


def _best(work: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)
    return min(took)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on SQLite, and on PostgreSQL if a server is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", help="the URL of a server, where a database is made and dropped")
    chosen = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sqlite = EventLog(sqlite_log_settings(folder / "events.db"))
        stack.callback(sqlite.close)
        measure(sqlite, "SQLite", SqliteSnapshots(folder / "snapshots.db"))
        if chosen.postgres:
            url = stack.enter_context(fresh_database(chosen.postgres))
            migrate(url)
            postgres = EventLog(postgres_log_settings(url, connections=2))
            stack.callback(postgres.close)
            measure(postgres, "PostgreSQL", PostgresSnapshots(postgres.recorder.datastore))  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
