"""A service as a process of its own, and a neighbour on a real RabbitMQ, with names of their own."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from infrastructure.postgres.schema import migrate
from tests.contract.amqp import validate_message
from tests.cosmos import Account, dropped_afterwards
from tests.cosmos import fresh_database as cosmos_database
from tests.harness import ServiceProcess
from tests.neighbours import Names, Neighbour, forget, neighbour
from tests.postgres import fresh_database

Launch = Callable[..., ServiceProcess]
LaunchOn = Callable[..., ServiceProcess]


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Iterator[Names]:
    """Names of this test's own; what bears them goes when the last process has ended."""
    fresh = Names.fresh()
    yield fresh
    if "rabbitmq_url" in request.fixturenames:
        anyio.run(forget, request.getfixturevalue("rabbitmq_url"), fresh)


@pytest.fixture
async def crm(rabbitmq_url: str, names: Names) -> AsyncIterator[Neighbour]:
    """The neighbours, in one person, always connected to the broker itself."""
    async with neighbour(rabbitmq_url, names) as each:
        yield each
        for message in each.seen:
            if message.app_id == "workflow-orchestrator":
                validate_message(message.body, message)


@pytest.fixture
def processes(tmp_path: Path, names: Names) -> Iterator[Launch]:
    """Makes service processes on this test's names, not started yet, and ends each in the end."""
    made: list[ServiceProcess] = []

    def make(*, overlay: dict[str, Any] | None = None, **environ: str) -> ServiceProcess:
        process = ServiceProcess(tmp_path, overlay={**names.overlay(), **(overlay or {})}, **environ)
        made.append(process)
        return process

    yield make
    for process in made:
        process.stop()


@pytest.fixture
def service(processes: Launch, rabbitmq_url: str) -> ServiceProcess:
    """A service with embedded stores on the broker, not started yet."""
    return processes(RABBITMQ_URL=rabbitmq_url)


@pytest.fixture
async def launch(
    processes: Launch, tmp_path: Path, rabbitmq_url: str, postgres_store_url: str, cosmos: Account
) -> AsyncIterator[LaunchOn]:
    """Makes instances on the same stores, each with a folder of its own."""
    database = cosmos_database()
    made = 0

    def make(**environ: str) -> ServiceProcess:
        nonlocal made
        made += 1
        shared = {"RABBITMQ_URL": rabbitmq_url, "EVENT_STORE_URL": postgres_store_url}
        own = {"DATA_DIR": str(tmp_path / f"data-{made}")}
        return processes(**{**shared, **cosmos.environ(database), **own, **environ})

    async with dropped_afterwards(cosmos, database):
        yield make


@dataclass
class Fired:
    """A service whose cron names one minute that is about to come."""

    service: ServiceProcess
    names: Names
    cron: str
    nominal: datetime


@pytest.fixture(scope="session")
def fires_soon(tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str) -> Iterator[Fired]:
    """It waits for its minute beside the other tests, not in front of them."""
    nominal = (datetime.now(UTC) + timedelta(seconds=70)).replace(second=0, microsecond=0)
    cron, names = f"{nominal.minute} {nominal.hour} * * *", Names.fresh()
    service = ServiceProcess(
        tmp_path_factory.mktemp("cron"),
        overlay=names.overlay() | OTHERS_OFF,
        RABBITMQ_URL=rabbitmq_url,
        PROPAGATION_CRON=cron,
    )
    try:
        service.start()
        assert datetime.now(UTC) < nominal
        yield Fired(service, names, cron, nominal)
    finally:
        service.stop()
        anyio.run(forget, rabbitmq_url, names)


_OTHERS = (
    "risk-snapshot-backfill",
    "outcome-sync",
    "industry-benchmarks",
    "risk-clustering",
    "account-health",
    "model-monitoring",
)
OTHERS_OFF = {"batch_jobs": {"jobs": {job: {"enabled": False} for job in _OTHERS}}}
"""On the full hour at night one of them fires as well."""


@dataclass
class Orphaned:
    """Two instances on one log, of which the one that watches the clock is killed right before a firing."""

    heir: ServiceProcess
    names: Names
    nominal: datetime


@pytest.fixture(scope="session")
def orphaned(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq_url: str, postgres_server: str
) -> Iterator[Orphaned]:
    """It waits for its minute beside the other tests, too."""
    nominal = (datetime.now(UTC) + timedelta(seconds=80)).replace(second=0, microsecond=0)
    names = Names.fresh()
    with fresh_database(postgres_server) as store:
        migrate(store)
        leader, heir = [
            ServiceProcess(
                tmp_path_factory.mktemp("orphaned"),
                overlay=names.overlay() | OTHERS_OFF,
                RABBITMQ_URL=rabbitmq_url,
                EVENT_STORE_URL=store,
                PROPAGATION_CRON=f"{nominal.minute} {nominal.hour} * * *",
            )
            for _ in range(2)
        ]
        try:
            leader.start()
            heir.start()
            wait = (nominal - datetime.now(UTC)).total_seconds() - 1.5
            assert wait > 0
            killing = threading.Timer(wait, leader.kill)
            killing.start()
            yield Orphaned(heir, names, nominal)
            killing.join()
        finally:
            leader.stop()
            heir.stop()
            anyio.run(forget, rabbitmq_url, names)


@pytest.fixture(scope="session", autouse=True)
def _cron_is_started_first(request: pytest.FixtureRequest) -> None:
    """Whatever test comes first, where one of them asks for it at all."""
    for fixture in ("fires_soon", "orphaned"):
        if any(fixture in getattr(item, "fixturenames", ()) for item in request.session.items):
            request.getfixturevalue(fixture)
