"""Consuming ``hitl.approval.requested``: a service starts on a full, durable queue of RabbitMQ.

The service declares its queue and is stopped. The messages are published as neighbours publish them, and the
service starts again. Measured are the time from the first event in the log to the last (read beside the
service), and from there to the last document in REST. The reference is a FastStream subscriber that only
acknowledges (``benchmarks.reference_subscriber``), with the same prefetch, the service's default.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec
import psycopg
import uvloop

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.load import WITH_TOKENS, until_documents
from benchmarks.reference import figure_of
from benchmarks.service import TENANT, RunningService, cpu_seconds, prepared_service
from benchmarks.stores import broker, migrated_database, postgres_server
from benchmarks.wire import PATIENCE_SECONDS, wire
from tests.neighbours import Names

IDLE = "FastStream, doing nothing"
IDLE_THEN = (IDLE, 3_970)
"""Messages a second of this program, when the machine was as quick as the one on which the aims were set."""
REQUESTED = "hitl.approval.requested"
PREFETCH = 64

Count = Callable[[], int]


@dataclass(frozen=True)
class Round:
    """One round's figures. The reference has only the first."""

    a_second: float
    behind: float = 0.0
    """Seconds from the last event to the last document."""

    cpu: float = 0.0
    """Microseconds of the service's CPU time per message, from the first event to the last document."""


def run(options: Options) -> list[Measurement]:
    """Measure SQLite, PostgreSQL and the reference alternately."""
    count = options.pick(200, 5_000, 20_000)
    with postgres_server() as server:
        sides: dict[str, Callable[[], Round]] = {
            "sqlite": partial(_on_sqlite, options, count),
            "postgres": partial(_on_postgres, options, count, server),
        }
        if options.with_references:
            sides[IDLE] = partial(_idle, count)
        rounds = in_turns(options.rounds, sides)
    idle = {IDLE: [each.a_second for each in rounds[IDLE]]} if options.with_references else {}
    aims = [Aim("at least", 3_000, set_beside=IDLE_THEN), Aim("at least", 0.5, IDLE)]
    return [
        *_measurements("consume.sqlite", "SQLite", count, rounds["sqlite"], idle, aims),
        *_measurements("consume.postgres", "PostgreSQL", count, rounds["postgres"], idle, []),
    ]


def requests(count: int) -> list[bytes]:
    """Return messages as neighbours send them."""
    return [
        msgspec.json.encode(
            {
                "id": str(uuid4()),
                "type": REQUESTED,
                "version": "1.0",
                "timestamp": "2026-11-22T22:10:05.123Z",
                "tenantId": TENANT,
                "source": {"service": "risk-analytics", "instance": "risk-analytics-1-1764000000000"},
                "data": {"opportunityId": f"opp-{number}", "riskScore": 0.87, "amount": 250_000},
                "metadata": {"correlationId": str(uuid4())},
            }
        )
        for number in range(count)
    ]


def _on_sqlite(options: Options, count: int) -> Round:
    return _drained(options, count, {}, lambda service: _events_in_file(service.data_dir / "events.db"))


def _on_postgres(options: Options, count: int, server: str) -> Round:
    with migrated_database(server, options.service_root) as url:
        return _drained(options, count, {"EVENT_STORE_URL": url}, lambda _: _events_in_database(url))


def _drained(
    options: Options,
    count: int,
    environ: Mapping[str, str],
    events: Callable[[RunningService], AbstractContextManager[Count]],
) -> Round:
    with broker() as (url, names):
        settings = {**WITH_TOKENS, "RABBITMQ_URL": url, **environ}
        overlay = names.overlay(prefetch=PREFETCH)
        with prepared_service(options.service_root, settings, overlay=overlay) as service:
            service.start()
            service.stop()
            uvloop.run(_fill(url, names, count))
            with events(service) as stored:
                service.launch()
                first, at_first = _until(stored, 1)
                cpu = cpu_seconds(service.pid)
                last, _ = _until(stored, count)
            service.until_ready()
            shown = uvloop.run(until_documents(service.port, count))
            cpu = cpu_seconds(service.pid) - cpu
            uvloop.run(_nothing_left(url, names))
    return Round((count - at_first) / (last - first), shown - last, cpu / (count - at_first) * 1e6)


async def _fill(url: str, names: Names, count: int) -> None:
    async with wire(url, names) as neighbour:
        await neighbour.publish(REQUESTED, requests(count))
        waiting = await neighbour.count(names.queue)
    if waiting != count:
        raise RuntimeError(f"{waiting} of {count} messages are in the service's queue")


async def _nothing_left(url: str, names: Names) -> None:
    async with wire(url, names) as neighbour:
        left = {queue: await neighbour.count(queue) for queue in (names.queue, names.dead_letter_queue)}
    if any(left.values()):
        raise RuntimeError(f"messages were left over: {left}")


def _until(stored: Count, count: int, every: float = 0.01) -> tuple[float, int]:
    """Return when at least ``count`` events were first seen, and how many there were."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := stored()) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{found} of {count} events were stored")
        time.sleep(every)
    return time.perf_counter(), found


@contextmanager
def _events_in_file(path: Path) -> Iterator[Count]:
    """Yield a function that counts the events of an SQLite log."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield lambda: int(connection.execute("SELECT count(*) FROM stored_events").fetchone()[0])


@contextmanager
def _events_in_database(url: str) -> Iterator[Count]:
    """Yield a function that counts the events of a PostgreSQL log."""
    query = "SELECT count(*) FROM workflow_orchestrator_events"
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda: int((connection.execute(query).fetchone() or (0,))[0])


def _idle(count: int) -> Round:
    with broker() as (url, names):
        queue = uvloop.run(_fill_for_reference(url, names, count))
        return Round(figure_of("reference_subscriber", url, queue, str(count), str(PREFETCH)))


async def _fill_for_reference(url: str, names: Names, count: int) -> str:
    async with wire(url, names, REQUESTED) as neighbour:
        await neighbour.publish(REQUESTED, requests(count))
        return neighbour.queue


def _measurements(
    work: str, store: str, count: int, ours: list[Round], idle: dict[str, list[float]], aims: list[Aim]
) -> list[Measurement]:
    cpu = max(each.cpu for each in ours)
    rate = Measurement(
        work,
        f"{REQUESTED} drained, {store}",
        "messages/s",
        [each.a_second for each in ours],
        idle,
        aims,
        notes=[
            f"{count:,} durable messages, prefetch {PREFETCH}",
            f"service CPU up to {cpu:,.0f} µs a message, with documents",
        ],
    )
    behind = Measurement(
        f"{work}.behind",
        f"last event to last document, {store}",
        "s",
        [each.behind for each in ours],
        better="lower",
    )
    return [rate, behind]
