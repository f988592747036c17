"""What a campaign takes place in: servers of its own, instances of the service, a small disk."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aio_pika
import anyio
import msgspec
import psycopg

from tests.chaos.campaign.checks.case import SYSTEM_TENANT
from tests.chaos.campaign.disk import SmallDisk, small_disk
from tests.chaos.campaign.evidence import Evidence
from tests.chaos.campaign.instances import FAKETIME, Clock, Instance
from tests.chaos.campaign.stored import (
    StoredDocument,
    StoredEvent,
    cosmos_documents,
    cosmos_events,
    postgres_events,
    sqlite_documents,
    sqlite_events,
)
from tests.chaos.proxy import Proxy
from tests.cosmos import Account, emulator_process, fresh_database
from tests.harness import run_command
from tests.neighbours import Names
from tests.services import PostgresNode, RabbitNode, lasting_port, missing, postgres_node, rabbitmq_node

STEP_TIMEOUT_SECONDS = 4
MASTER_KEY = "YS1tYXN0ZXIta2V5LW9mLXRoaXJ0eS10d28tYnl0ZXM="
TENANTS = tuple(f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")


NEVER = "0 0 29 2 *"
CRONS = {
    job: f"{job.upper().replace('-', '_')}_CRON"
    for job in (
        "risk-snapshot-backfill",
        "outcome-sync",
        "industry-benchmarks",
        "risk-clustering",
        "account-health",
        "propagation",
        "model-monitoring",
    )
}


class Form(msgspec.Struct, frozen=True):
    """Which stores, and how many instances. ``cosmos`` has the documents, and the log where
    ``cosmos_log``."""

    name: str
    instances: int = 1
    postgres: bool = False
    cosmos: bool = False
    cosmos_log: bool = False


FORMS = {
    form.name: form
    for form in (
        Form("sqlite"),
        Form("sqlite-cosmos", cosmos=True),
        Form("postgres", postgres=True),
        Form("postgres-cosmos", postgres=True, cosmos=True),
        Form("postgres-cosmos-2", instances=2, postgres=True, cosmos=True),
        Form("postgres-cosmos-3", instances=3, postgres=True, cosmos=True),
        Form("cosmos-2", instances=2, cosmos=True, cosmos_log=True),
        Form("cosmos-3", instances=3, cosmos=True, cosmos_log=True),
    )
}


@dataclass
class Servers:
    """Servers of our own, so that they may be stopped and frozen. Each is there from its first use."""

    _stack: ExitStack
    _broker: RabbitNode | None = None
    _postgres: PostgresNode | None = None
    _cosmos: "tuple[Account, subprocess.Popen[str]] | None" = None

    @property
    def broker(self) -> RabbitNode:
        """RabbitMQ."""
        if self._broker is None:
            self._broker = self._stack.enter_context(rabbitmq_node(lasting_port()))
            self._broker.start()
        return self._broker

    @property
    def postgres(self) -> PostgresNode:
        """PostgreSQL."""
        if self._postgres is None:
            self._postgres = self._stack.enter_context(postgres_node(lasting_port()))
            self._postgres.start()
        return self._postgres

    @property
    def cosmos(self) -> "tuple[Account, subprocess.Popen[str]]":
        """Cosmos DB's emulator, and its process: its data are there and nowhere else."""
        if self._cosmos is None:
            self._cosmos = self._stack.enter_context(emulator_process())
        return self._cosmos


@contextmanager
def servers() -> Iterator[Servers]:
    """Servers that end with this."""
    with ExitStack() as stack:
        yield Servers(stack)


@dataclass
class World:
    """One campaign's place."""

    form: Form
    servers: Servers
    names: Names
    database: str
    environ: dict[str, str]
    disk: SmallDisk | None
    to_cosmos: Proxy | None
    """What stands between the service and Cosmos DB; the checker asks past it."""
    tenants: Sequence[str] = TENANTS
    instances: list[Instance] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        """Where the instances serve."""
        return [instance.url for instance in self.instances]

    async def events(self) -> list[StoredEvent]:
        """The log, past the service."""
        if self.form.cosmos_log:
            account, _ = self.servers.cosmos
            return await cosmos_events(account, self.database, (*self.tenants, SYSTEM_TENANT))
        if self.form.postgres:
            return postgres_events(self.environ["EVENT_STORE_URL"])
        return sqlite_events(Path(self.environ["DATA_DIR"], "events.db"))

    async def documents(self) -> list[StoredDocument]:
        """The documents, past the service."""
        if self.form.cosmos:
            account, _ = self.servers.cosmos
            return await cosmos_documents(account, self.database, (*self.tenants, SYSTEM_TENANT))
        return sqlite_documents(Path(self.environ["DATA_DIR"], "documents.db"))

    async def rebuild(self) -> None:
        """``workflow-orchestrator rebuild``, with the instances stopped."""
        done = await anyio.to_thread.run_sync(lambda: run_command("rebuild", timeout=240, **self.environ))
        assert done.returncode == 0, done.stderr

    async def left_in(self, queue: str) -> list[str]:
        """Take all messages out of a queue; their ids."""
        connection = await aio_pika.connect(self.servers.broker.url)
        async with connection:
            channel = await connection.channel()
            source = await channel.get_queue(queue)
            ids = []
            while message := await source.get(fail=False, no_ack=True):
                ids.append(str(msgspec.json.decode(message.body)["id"]))
            return ids

    async def all_ready(self) -> bool:
        """Whether every instance is."""
        return all([await instance.is_ready() for instance in self.instances])


@asynccontextmanager
async def world(
    form: Form,
    ground: Servers,
    folder: Path,
    evidence: Evidence,
    *,
    megabytes: int,
    minutely: Sequence[str],
    with_clock: bool,
) -> AsyncIterator[World]:
    """A world with its instances kept running.

    ``minutely`` are jobs that cron fires each minute, the others never; ``with_clock`` puts the last instance
    on a clock that can be set.
    """
    with ExitStack() as stack:
        data_dir, disk = folder / "data", None
        data_dir.mkdir(parents=True)
        if not form.postgres and not form.cosmos_log:
            disk = stack.enter_context(small_disk(data_dir, megabytes))
        names, database = Names.fresh(), fresh_database()
        environ = {
            "DATA_DIR": str(data_dir),
            "RABBITMQ_URL": ground.broker.url,
            "BATCH_JOBS_ENABLED": str(bool(minutely)).lower(),
            "WORKFLOW_STEP_TIMEOUT_SECONDS": str(STEP_TIMEOUT_SECONDS),
            "LOG_FORMAT": "json",
            **dict.fromkeys(CRONS.values(), NEVER),
            **{CRONS[job]: "* * * * *" for job in minutely},
        }
        if form.postgres:
            environ["EVENT_STORE_URL"] = _fresh_log(ground.postgres)
        to_cosmos = None
        if form.cosmos:
            account, _ = ground.cosmos
            to_cosmos = Proxy(account.endpoint)
            to_cosmos.port = lasting_port()
            to_cosmos.open()
            stack.callback(to_cosmos.cut)
            endpoint = f"http://127.0.0.1:{to_cosmos.port}"
            environ |= account.environ(database) | {"COSMOS_DB_ENDPOINT": endpoint}
        if form.cosmos_log:
            environ |= {"EVENT_STORE_URL": "cosmos://", "PRIVACY_MASTER_KEY": MASTER_KEY}
            environ |= {"COSMOS_DB_LOG_SEGMENT_BYTES": os.environ.get("CHAOS_SEGMENT_BYTES", "50000")}
        place = World(form, ground, names, database, environ, disk, to_cosmos)
        clock = _clock(folder) if with_clock else None
        for number in range(form.instances):
            instance = Instance(
                number,
                folder,
                evidence,
                overlay=names.overlay(),
                environ=environ | _own_folder(form, data_dir, number),
                clock=clock if number == form.instances - 1 else None,
            )
            stack.callback(instance.stop)
            place.instances.append(instance)
        async with anyio.create_task_group() as tasks:
            for instance in place.instances:
                tasks.start_soon(instance.keep_running)
            try:
                yield place
            finally:
                tasks.cancel_scope.cancel()


def _own_folder(form: Form, data_dir: Path, number: int) -> dict[str, str]:
    """Where nothing but the account is shared each instance has a folder of its own."""
    return {"DATA_DIR": str(data_dir / str(number))} if form.cosmos_log else {}


def _clock(folder: Path) -> Clock | None:
    """A clock that can be set; needed on CI, done without elsewhere, which is said."""
    if FAKETIME.exists():
        return Clock(folder / "clock")
    if os.environ.get("CI"):
        missing("libfaketime")
    print("CLOCK SKEW IS LEFT OUT: install the package faketime", file=sys.stderr)
    return None


def _fresh_log(node: PostgresNode) -> str:
    name = f"chaos_{uuid4().hex}"
    with psycopg.connect(node.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    url = f"{node.url.rsplit('/', 1)[0]}/{name}"
    done = run_command("migrate", EVENT_STORE_URL=url)
    assert done.returncode == 0, done.stderr
    return url


__all__ = ["FORMS", "Form", "Servers", "World", "servers", "world"]
