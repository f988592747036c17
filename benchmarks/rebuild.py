"""``rebuild`` of all projections from a long log, into SQLite documents.

Measured is the command's total time, including indexes, lists and the swap, minus that of the same command on
a log of a few events, because ``start`` measures the start of a process. All nine projections are rebuilt in
one pass, and each event counts once. The reference is the library alone reading the same events once, 500 at
a time.
"""

import time
from functools import partial
from pathlib import Path

from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.utils import Environment

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.pasts import Past, past_of
from benchmarks.service import run_command

BATCH = 500
REFERENCE = "library reading"


def run(options: Options) -> list[Measurement]:
    """Measure ours and the reference alternately on one log."""
    root, events = options.service_root, options.pick(1_000, 20_000, 200_000)
    with past_of(root, Past(events)) as data, past_of(root, Past(0)) as empty:
        sides = {"ours": partial(_rebuilt_a_second, root, data, empty)}
        if options.with_references:
            sides[REFERENCE] = partial(_read_a_second, data)
        found = in_turns(options.rounds, sides)
        counted = _read(data)
    return [
        Measurement(
            "rebuild.sqlite",
            "Rebuild of all projections into SQLite",
            "events/s",
            found.pop("ours"),
            found,
            [Aim("at least", 20_000)],
            notes=[f"{counted} events, half of them of approvals, half of workflows"],
        )
    ]


def _rebuilt_a_second(root: Path, data: Path, empty: Path) -> float:
    return _read(data) / (_rebuild_seconds(root, data) - _rebuild_seconds(root, empty))


def _rebuild_seconds(root: Path, data: Path) -> float:
    began = time.perf_counter()
    run_command(root, "rebuild", DATA_DIR=str(data), LOG_LEVEL="warning")
    return time.perf_counter() - began


def _read_a_second(data: Path) -> float:
    began = time.perf_counter()
    return _read(data) / (time.perf_counter() - began)


def _read(data: Path) -> int:
    """Read the whole log with the library's recorder. Return the number of events."""
    environment = Environment(
        "reference",
        {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(data / "events.db"),
            "ORIGINATOR_ID_TYPE": "text",
        },
    )
    factory = InfrastructureFactory.construct(environment)
    try:
        recorder = factory.application_recorder()
        read, position = 0, 0
        while found := recorder.select_notifications(position, BATCH, inclusive_of_start=False):
            read += len(found)
            position = found[-1].id
        return read
    finally:
        factory.close()
