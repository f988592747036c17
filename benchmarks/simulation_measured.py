"""Measures the simulation's inputs about PostgreSQL.

    .venv/bin/python -m benchmarks.simulation_measured

It uses the service's recorder on a separate server whose commits do not wait for the disk, because the
simulation adds that time. The round trip on the loopback interface is subtracted, because the simulation adds
that of a network. The output is copied to ``simulation_inputs.json`` manually. The CPU of a command and of an
event come from ``python -m benchmarks approve``, the rate of the outbox from ``publish``.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

import psycopg
from eventsourcing.persistence import StoredEvent

from application.event_log import EventLog
from benchmarks.harness import HERE
from benchmarks.stores import migrated_database, postgres_server
from infrastructure.postgres.event_store import postgres_log_settings

MANY = 50
ROUNDS = 200
STATE = b'{"v":1,"at":"2026-11-26T00:00:00Z","meta":{},"data":{"comment":"' + b"x" * 300 + b'"}}'


def main() -> None:
    """Print each input in microseconds, as the median of the rounds."""
    with postgres_server() as server, migrated_database(server, HERE) as url:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
            connection.execute("SELECT pg_reload_conf()")
        log = EventLog(postgres_log_settings(url, connections=2))
        try:
            for name, value in _measured(log, url).items():
                print(f"{name:<20} {value:6.0f} µs")
        finally:
            log.close()


def _measured(log: EventLog, url: str) -> dict[str, float]:
    recorder = log.ours
    with psycopg.connect(url, autocommit=True) as connection:
        nothing = _median(lambda: connection.execute("SELECT 1", prepare=True).fetchone())
    streams = [f"{uuid4()}/approval/{number}" for number in range(MANY * (ROUNDS + 1))]
    fresh = iter(streams)

    def appended(count: int) -> Callable[[], object]:
        return lambda: recorder.append_together([_event(next(fresh)) for _ in range(count)])

    many = _median(appended(MANY))
    fresh = iter([f"{uuid4()}/approval/x" for _ in range(ROUNDS + 1)])
    one = _median(appended(1))
    chosen = iter(range(10**9))
    loaded_one = _median(lambda: recorder.select_streams({streams[next(chosen) * 37 % len(streams)]: 0}))
    loaded_many = _median(
        lambda: recorder.select_streams({streams[next(chosen) * 37 % len(streams)]: 0 for _ in range(MANY)})
    )
    return {
        "loop-back round trip": nothing,
        "load_us": loaded_one - nothing,
        "load_stream_us": (loaded_many - loaded_one) / (MANY - 1),
        "append_us": one - nothing,
        "append_event_us": (many - one) / (MANY - 1),
    }


def _event(stream: str) -> Sequence[StoredEvent]:
    return [StoredEvent(stream, 1, "approval.requested", STATE)]


def _median(work: Callable[[], object]) -> float:
    work()
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1e6)
    return statistics.median(found)


if __name__ == "__main__":
    main()
