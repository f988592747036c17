"""Approving over HTTP with 16 connections, until each decision is published.

The service has tokens, projections and the outbox to a real RabbitMQ. First approvals are created (not
measured); when the documents have caught up, all are approved. Two figures: responses per second, and the
time from the last response until the last ``hitl.approval.completed`` is in a durable queue. Each ID must
arrive exactly once.

The stores are SQLite (``synchronous`` FULL), PostgreSQL, and PostgreSQL on a disk whose fdatasync takes 2 ms
longer, the latter two with and without group commit. The reference is load, decide and append with only the
library and its recorder of the same store, with as many tasks (``benchmarks.reference_log``); on SQLite,
which has one writer, also with one task.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from psycopg.conninfo import conninfo_to_dict

from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.load import CONNECTIONS, WITH_TOKENS, approve, ask_for_approvals, until_documents
from benchmarks.reference import figure_of
from benchmarks.service import cpu_seconds, running_service
from benchmarks.stores import SLOW_DISK_US, broker, migrated_database, postgres_server
from benchmarks.wire import wire
from tests.neighbours import Names
from tests.postgres import fresh_database

BARE, ONE_AT_A_TIME = "bare library", "bare library, one at a time"
LIBRARY_THEN = (ONE_AT_A_TIME, 3_500)
"""Approvals a second on the machine on which the aims were set."""


@dataclass(frozen=True)
class Round:
    """One round's figures. A reference has only the first."""

    a_second: float
    behind: float = 0.0
    """Seconds from the last response to the last message."""

    cpu: float = 0.0
    """Microseconds of the service's CPU time per decision, until the last message."""

    client_share: float = 0.0


def run(options: Options) -> list[Measurement]:
    """Measure all stores, one after the other."""
    found = _on_sqlite(options)
    for title, slug, delay in (
        ("PostgreSQL", "postgres", 0),
        ("PostgreSQL, 2 ms disk", "slow", SLOW_DISK_US),
    ):
        with postgres_server(slow_disk_us=delay) as server:
            found += _on_postgres(options, server, title, slug)
    return found


def _on_sqlite(options: Options) -> list[Measurement]:
    count = options.pick(100, 5_000, 5_000)
    sides: dict[str, Callable[[], Round]] = {"ours": partial(approved, options, count, {})}
    if options.with_references:
        sides[BARE] = partial(_bare_on_sqlite, count, CONNECTIONS)
        sides[ONE_AT_A_TIME] = partial(_bare_on_sqlite, count, 1)
    rounds = in_turns(options.rounds, sides)
    aims = [Aim("at least", 1_800, set_beside=LIBRARY_THEN), Aim("at least", 0.5, BARE)]
    return _measurements("approve.sqlite", "SQLite", count, rounds.pop("ours"), rounds, aims)


def _on_postgres(options: Options, server: str, title: str, slug: str) -> list[Measurement]:
    count = options.pick(100, 2_000, 5_000)
    sides: dict[str, Callable[[], Round]] = {
        grouping: partial(_approved_on_postgres, options, count, server, setting)
        for grouping, setting in (("group commit", "true"), ("no group commit", "false"))
    }
    if options.with_references:
        sides[BARE] = partial(_bare_on_postgres, count, server)
    rounds = in_turns(options.rounds, sides)
    found: list[Measurement] = []
    for grouping, tag in (("group commit", "grouped"), ("no group commit", "single")):
        aims = [Aim("at least", 0.5, BARE)] if grouping == "group commit" else []
        work, store = f"approve.{slug}.{tag}", f"{title}, {grouping}"
        bare = {name: each for name, each in rounds.items() if name == BARE}
        found += _measurements(work, store, count, rounds[grouping], bare, aims)
    return found


def approved(options: Options, count: int, environ: Mapping[str, str]) -> Round:
    """Return the figures of one round of the service on a store."""
    with broker() as (url, names):
        settings = {**WITH_TOKENS, "RABBITMQ_URL": url, **environ}
        with running_service(options.service_root, settings, overlay=names.overlay()) as service:
            return uvloop.run(_approved(service.port, service.pid, url, names, count))


async def _approved(port: int, pid: int, url: str, names: Names, count: int) -> Round:
    async with wire(url, names, "hitl.approval.completed") as out:
        ids = await ask_for_approvals(port, count)
        await until_documents(port, count)
        cpu = cpu_seconds(pid)
        answers = await approve(port, ids)
        arrived = await out.until(count)
        cpu = cpu_seconds(pid) - cpu
        told = sorted(msgspec.json.decode(body)["data"]["approvalId"] for body in await out.take_all())
    if told != sorted(ids):
        raise RuntimeError(f"{len(told)} messages, {len(set(told))} ids, {len(ids)} approved")
    behind = max(0.0, arrived.last - answers.ended)
    return Round(answers.a_second, behind, cpu / count * 1e6, answers.client_share)


def _approved_on_postgres(options: Options, count: int, server: str, group_commit: str) -> Round:
    with migrated_database(server, options.service_root) as url:
        return approved(options, count, {"EVENT_STORE_URL": url, "EVENT_STORE_GROUP_COMMIT": group_commit})


def _bare_on_sqlite(count: int, tasks: int) -> Round:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = str(Path(folder, "events.db"))
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path}
        return Round(figure_of("reference_log", str(count), str(tasks), json.dumps(settings)))


def _bare_on_postgres(count: int, server: str) -> Round:
    with _stock_settings(server) as settings:
        return Round(figure_of("reference_log", str(count), str(CONNECTIONS), json.dumps(settings)))


@contextmanager
def _stock_settings(server: str) -> Iterator[dict[str, str]]:
    """Yield the settings of the library's own recorder for a fresh database."""
    with fresh_database(server) as url:
        parts = conninfo_to_dict(url)
        yield {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(parts["dbname"]),
            "POSTGRES_HOST": str(parts["host"]),
            "POSTGRES_PORT": str(parts["port"]),
            "POSTGRES_USER": str(parts["user"]),
            "POSTGRES_PASSWORD": "unused",
            "POSTGRES_POOL_SIZE": "16",
            "POSTGRES_MAX_OVERFLOW": "0",
            "POSTGRES_LOCK_TIMEOUT": "1",
        }


def _measurements(
    work: str, store: str, count: int, ours: list[Round], bare: dict[str, list[Round]], aims: list[Aim]
) -> list[Measurement]:
    cpu, share = max(each.cpu for each in ours), max(each.client_share for each in ours)
    rate = Measurement(
        work,
        f"approve over HTTP, {store}",
        "approvals/s",
        [each.a_second for each in ours],
        {name: [each.a_second for each in rounds] for name, rounds in bare.items()},
        aims,
        notes=[
            f"{count:,} approvals over {CONNECTIONS} connections; every id came once on RabbitMQ",
            f"service CPU up to {cpu:,.0f} µs a decision, until the last message; the client took up to"
            f" {share:.0%} of a core",
        ],
    )
    behind = Measurement(
        f"{work}.behind",
        f"last answer to last message, {store}",
        "s",
        [each.behind for each in ours],
        aims=[Aim("at most", 1.0)],
        better="lower",
    )
    return [rate, behind]
