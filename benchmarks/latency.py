"""The time from a response until the decision is in the documents, and until it is published, at about half
load.

Approvals are decided at a steady rate, even if earlier ones are not answered yet (an open loop). "Half load"
may mean half of the service's maximum rate, at which it handles many decisions together, or half of the
machine's CPU, which client, broker and store share. So there are two rates. The times are measured from each
response until the documents' file has the decision (it is read every millisecond), and until a consumer has
received ``hitl.approval.completed``. The response comes after the commit; if the document or the message
comes earlier, the time is 0. The stores are SQLite and PostgreSQL. The reference is the library's own
notification at the same rate: from the append's return until a reader has the event, by an event in the
process (SQLite) or LISTEN (PostgreSQL).
"""

import asyncio
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path

import aio_pika
import msgspec
import uvloop
from aio_pika.abc import AbstractIncomingMessage

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.load import ask_for_approvals, documents, until_documents
from benchmarks.reference_wakeup import postgres_wakeups, sqlite_wakeups
from benchmarks.requests import Call, approving, ask, client
from benchmarks.service import TENANT, RunningService, cpu_seconds, running_service
from benchmarks.stores import broker, migrated_database, postgres_server
from tests.neighbours import Names
from tests.postgres import fresh_database

RATES = (200, 400)
"""Approvals per second, the same in every run for comparison. The second is about half of the maximum over
HTTP."""

CONNECTIONS = 64
LOOK_SECONDS = 0.001
PATIENCE_SECONDS = 30.0
WAKE_UP = "library wake-up"
SETTLE_SECONDS = 1.0
DOCUMENT, MESSAGE, OUR_CPU, SERVICE_CPU = "document", "message", "our CPU", "service's CPU"
PERCENTILES = {"p50": 5.0, "p95": None, "p99": 50.0}
"""The percentiles, each with its aim in ms."""

Waits = Mapping[str, list[float]]
"""The figures of a round: the ms per decision until the document and the message, and the shares of a
core."""


def run(options: Options) -> list[Measurement]:
    """Measure both stores, each alternately with its reference."""
    seconds = options.pick(0.5, 10, 60)
    found: list[Measurement] = []
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server())
        log_url = stack.enter_context(migrated_database(server, options.service_root))
        for store, environ in (("SQLite", {}), ("PostgreSQL", {"EVENT_STORE_URL": log_url})):
            url, names = stack.enter_context(broker())
            service = stack.enter_context(
                running_service(
                    options.service_root,
                    {"RABBITMQ_URL": url, "LOG_LEVEL": "warning", **environ},
                    overlay=names.overlay(),
                )
            )
            for rate in RATES:
                count = int(rate * seconds)
                sides = {"ours": partial(_waits, service, url, names, rate, count)}
                if options.with_references:
                    sides[WAKE_UP] = partial(_reference, store, server, rate, count)
                rounds = in_turns(options.rounds, sides)
                found += _measurements(store, rate, rounds["ours"], rounds.get(WAKE_UP, []))
            service.stop()
    return found


def _measurements(store: str, rate: int, ours: list[Waits], references: list[Waits]) -> list[Measurement]:
    return [
        Measurement(
            f"latency.{store.lower()}.{rate}.{what}.{name}",
            f"Answer to {what}, {store}, {rate}/s, {name}",
            "ms",
            [_percentile(each[what], name) for each in ours],
            {WAKE_UP: [_percentile(each[WAKE_UP], name) for each in references]} if references else {},
            [Aim("at most", most)] if most else [],
            better="lower",
            notes=[
                f"{len(ours[0][what])} approvals a round; of a core, the service took up to"
                f" {max(each[SERVICE_CPU][0] for each in ours):.2f}, and the measuring process"
                f" {max(each[OUR_CPU][0] for each in ours):.2f}"
            ],
        )
        for what in (DOCUMENT, MESSAGE)
        for name, most in PERCENTILES.items()
    ]


def _percentile(values: list[float], name: str) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[int(name.removeprefix("p")) - 1]


def _waits(service: RunningService, url: str, names: Names, rate: int, count: int) -> Waits:
    return uvloop.run(_decided_and_seen(service, url, names, rate, count))


async def _decided_and_seen(service: RunningService, url: str, names: Names, rate: int, count: int) -> Waits:
    there = await documents(service.port)
    asked = await ask_for_approvals(service.port, count)
    await until_documents(service.port, there + count)
    answered: dict[str, float] = {}
    watched = set[str]()
    await asyncio.sleep(SETTLE_SECONDS)
    cpu, service_cpu, since = time.process_time(), cpu_seconds(service.pid), time.perf_counter()
    async with (
        client(service.url, CONNECTIONS) as session,
        _messages(url, names) as on_the_wire,
        asyncio.TaskGroup() as tasks,
    ):

        async def approve(approval: str, call: Call) -> None:
            watched.add(approval)
            await ask(session, call)
            answered[approval] = time.perf_counter()

        looking = tasks.create_task(_in_documents(service.data_dir / "documents.db", watched, rate, count))
        began = time.perf_counter()
        for number, (approval, call) in enumerate(zip(asked, approving(asked), strict=True)):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            tasks.create_task(approve(approval, call))
        in_documents = await looking
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(on_the_wire) < count or len(answered) < count:
                await asyncio.sleep(0.01)
    waits = {
        what: [max(0.0, seen[approval] - at) * 1e3 for approval, at in answered.items()]
        for what, seen in ((DOCUMENT, in_documents), (MESSAGE, on_the_wire))
    }
    seconds = time.perf_counter() - since
    return waits | {
        OUR_CPU: [(time.process_time() - cpu) / seconds],
        SERVICE_CPU: [(cpu_seconds(service.pid) - service_cpu) / seconds],
    }


async def _in_documents(file: Path, watched: set[str], rate: int, count: int) -> dict[str, float]:
    """Return when each watched approval was first seen as decided. Reading the file adds no load to the
    service."""
    statement = (
        "SELECT id FROM hitl_approvals WHERE tenant = ? AND version > 1"
        " AND id IN (SELECT value FROM json_each(?))"
    )
    seen: dict[str, float] = {}
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        async with asyncio.timeout(PATIENCE_SECONDS + count / rate):
            while len(seen) < count:
                given = (TENANT, msgspec.json.encode(watched).decode())
                found = [row[0] for row in connection.execute(statement, given)] if watched else []
                seen.update(dict.fromkeys(found, time.perf_counter()))
                watched.difference_update(found)
                await asyncio.sleep(LOOK_SECONDS)
    return seen


@asynccontextmanager
async def _messages(url: str, names: Names) -> AsyncIterator[dict[str, float]]:
    """Yield the arrival times of the approvals' messages, which are added as they arrive."""
    seen: dict[str, float] = {}

    async def take(message: AbstractIncomingMessage) -> None:
        seen.setdefault(msgspec.json.decode(message.body)["data"]["approvalId"], time.perf_counter())

    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(names.exchange, "hitl.approval.completed")
        await queue.consume(take, no_ack=True)
        yield seen


def _reference(store: str, server: str, rate: int, count: int) -> Waits:
    if store == "SQLite":
        return {WAKE_UP: sqlite_wakeups(count, rate)}
    with fresh_database(server) as url:
        return {WAKE_UP: postgres_wakeups(url, count, rate)}
