"""How fast PostgreSQL recorders append, one event a command, as ratios to the stock recorder of the same run.

    .venv/bin/python -m benchmarks.event_store [--seconds 1.5] [--rounds 3]

On servers of its own: one on this machine's disk, one on a disk whose fdatasync takes 2 ms longer (a shim
below PostgreSQL, compiled with gcc), about what a cloud volume takes. Absolute figures move by 20% and more
between runs; the ratios are what to go by. Each figure is the median of the rounds, and the recorders take
turns within a round.
"""

import argparse
import statistics
import time
from threading import Barrier, Thread
from uuid import uuid4

import psycopg
from eventsourcing.persistence import ApplicationRecorder, StoredEvent

from application.event_store import EventLog
from benchmarks.stores import SLOW_DISK_US, postgres_server
from infrastructure.postgres.event_store import postgres_log_settings
from infrastructure.postgres.schema import migrate

THREADS = (1, 4, 16)
STATE = b'{"v":1,"at":"2026-11-23T00:00:00Z","meta":{},"data":{"comment":"' + b"x" * 300 + b'"}}'
STOCK, OURS, GROUPED = "stock", "one round trip", "with group commit"


def settings_of(recorder: str, url: str) -> dict[str, str]:
    """The library's settings for one of the recorders, otherwise equal."""
    ours = postgres_log_settings(url, connections=17, group_commit=recorder == GROUPED)
    if recorder == STOCK:
        del ours["APPLICATION_RECORDER_TOPIC"]
        ours["POSTGRES_LOCK_TIMEOUT"] = "1"
    return ours


def appended_a_second(recorder: ApplicationRecorder, threads: int, seconds: float) -> float:
    """Events that so many threads append, each one after the other to a stream of its own."""
    start = Barrier(threads + 1)
    counts = [0] * threads
    ends = 0.0

    def write(number: int) -> None:
        stream, version = str(uuid4()), 0
        start.wait()
        while time.perf_counter() < ends:
            version += 1
            recorder.insert_events([StoredEvent(stream, version, "benchmark", STATE)])
        counts[number] = version

    workers = [Thread(target=write, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ends = time.perf_counter() + seconds
    began = time.perf_counter()
    start.wait()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)


def measure(url: str, seconds: float, rounds: int) -> dict[tuple[str, int], float]:
    """The median of each recorder at each number of threads."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE benchmark")
    url = f"{url.rsplit('/', 1)[0]}/benchmark"
    migrate(url)
    logs = {name: EventLog(settings_of(name, url)) for name in (STOCK, OURS, GROUPED)}
    measured: dict[tuple[str, int], list[float]] = {}
    try:
        for log in logs.values():
            appended_a_second(log.recorder, 16, 0.3)
        for _ in range(rounds):
            for threads in THREADS:
                for name, log in logs.items():
                    rate = appended_a_second(log.recorder, threads, seconds)
                    measured.setdefault((name, threads), []).append(rate)
    finally:
        for log in logs.values():
            log.close()
    return {key: statistics.median(rates) for key, rates in measured.items()}


def report(title: str, medians: dict[tuple[str, int], float]) -> None:
    """A table: events a second, and how many times the stock recorder's that is."""
    print(f"\n{title}\n" + f"{'threads':<20}" + "".join(f"{threads:>18}" for threads in THREADS))
    for name in (STOCK, OURS, GROUPED):
        cells = (
            f"{medians[name, threads]:>10,.0f}/s {medians[name, threads] / medians[STOCK, threads]:>4.1f}x"
            for threads in THREADS
        )
        print(f"{name:<20}" + "".join(f"{cell:>18}" for cell in cells))


def main() -> None:
    """Measure on both disks and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for title, delay in (("this machine's disk", 0), ("a disk that takes 2 ms longer", SLOW_DISK_US)):
        with postgres_server(slow_disk_us=delay) as url:
            report(title, measure(url, given.seconds, given.rounds))


if __name__ == "__main__":
    main()
