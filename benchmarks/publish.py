"""The outbox alone: a service starts on a log full of decisions, and publishes them.

The log is made over REST by a service whose messages reach no queue. On PostgreSQL, the measured service has
only the role ``publisher``. On SQLite a service has all roles, so the outbox's position is deleted: only the
outbox has something to do, and publishes everything again.

Measured is the time from the first message in a durable queue to the last, by the length of the queue. The
references are FastStream and aio-pika with persistent messages of 600 bytes, of which 256 wait for
confirmation.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path

import uvloop

from application.outbox import Outbox
from benchmarks.harness import Aim, Measurement, Options, in_turns
from benchmarks.load import WITH_TOKENS, approve, ask_for_approvals, until_documents
from benchmarks.reference import figure_of
from benchmarks.service import RunningService, prepared_service, running_service
from benchmarks.stores import broker, copied_database, migrated_database, postgres_server
from benchmarks.wire import IN_FLIGHT, wire
from tests.neighbours import Names

COMPLETED = "hitl.approval.completed"
FASTSTREAM, AIO_PIKA = "FastStream, confirmed", "aio-pika, confirmed"


def run(options: Options) -> list[Measurement]:
    """Fill both logs once, and measure each round on a copy."""
    count = options.pick(200, 5_000, 20_000)
    with _filled_folder(options, count) as folder, _filled_database(options, count) as (server, database):
        sides: dict[str, Callable[[], float]] = {
            "sqlite": partial(_from_sqlite, options, count, folder),
            "postgres": partial(_from_postgres, options, count, server, database),
        }
        if options.with_references:
            sides[FASTSTREAM] = partial(_by_library, "faststream", count)
            sides[AIO_PIKA] = partial(_by_library, "aio-pika", count)
        rounds = in_turns(options.rounds, sides)
    references = {name: rounds[name] for name in (FASTSTREAM, AIO_PIKA) if name in rounds}
    note = f"{count:,} decisions behind as many requests in the log; {IN_FLIGHT} messages in flight"
    return [
        Measurement(
            f"publish.{store.lower()}",
            f"outbox to the wire, {store}",
            "messages/s",
            rounds[store.lower()],
            references,
            [Aim("at least", 0.8, FASTSTREAM)],
            notes=[note],
        )
        for store in ("SQLite", "Postgres")
    ]


@contextmanager
def _filled_folder(options: Options, count: int) -> Iterator[Path]:
    """Yield a DATA_DIR of which nothing was published on RabbitMQ."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name, "data")
        with running_service(options.service_root, WITH_TOKENS, data_dir=folder) as service:
            uvloop.run(_decide(service.port, count))
        with closing(sqlite3.connect(folder / "events-followers.db")) as positions, positions:
            gone = positions.execute("DELETE FROM follower_positions WHERE follower = ?", (Outbox.name,))
            assert gone.rowcount == 1
        yield folder


@contextmanager
def _filled_database(options: Options, count: int) -> Iterator[tuple[str, str]]:
    """Yield the URLs of a server and of a log there of which nothing was published."""
    with (
        postgres_server() as server,
        migrated_database(server, options.service_root) as database,
        broker() as (url, names),
    ):
        settings = {**WITH_TOKENS, "RABBITMQ_URL": url, "EVENT_STORE_URL": database}
        with running_service(
            options.service_root, settings, overlay=names.overlay(), roles="api,projector"
        ) as service:
            uvloop.run(_decide(service.port, count))
        yield server, database


async def _decide(port: int, count: int) -> None:
    ids = await ask_for_approvals(port, count)
    await approve(port, ids)
    await until_documents(port, count)


def _from_sqlite(options: Options, count: int, filled: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, broker() as (url, names):
        folder = Path(name, "data")
        shutil.copytree(filled, folder)
        service = prepared_service(
            options.service_root,
            {**WITH_TOKENS, "RABBITMQ_URL": url},
            overlay=names.overlay(),
            data_dir=folder,
        )
        return uvloop.run(_by_service(service, url, names, count))


def _from_postgres(options: Options, count: int, server: str, filled: str) -> float:
    with copied_database(server, filled) as database, broker() as (url, names):
        service = prepared_service(
            options.service_root,
            {**WITH_TOKENS, "RABBITMQ_URL": url, "EVENT_STORE_URL": database},
            overlay=names.overlay(),
            roles="publisher",
        )
        return uvloop.run(_by_service(service, url, names, count))


async def _by_service(
    prepared: AbstractContextManager[RunningService], url: str, names: Names, count: int
) -> float:
    async with wire(url, names, COMPLETED) as out:
        with prepared as service:
            service.launch()
            return (await out.until(count)).a_second


def _by_library(library: str, count: int) -> float:
    async def measured(url: str, names: Names) -> float:
        async with wire(url, names, COMPLETED) as out:
            arguments = (library, url, names.exchange, COMPLETED, str(count))
            publishing = asyncio.to_thread(figure_of, "reference_publisher", *arguments)
            arrived, _ = await asyncio.gather(out.until(count), publishing)
            return arrived.a_second

    with broker() as (url, names):
        return uvloop.run(measured(url, names))
