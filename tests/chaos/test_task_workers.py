"""Workers in processes of their own at one queue; one is killed while it has tasks."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import anyio
import pytest

from domain.event import Event, Recorded
from domain.task import TaskClaimed, TaskCompleted, TaskLeaseExpired, TaskOffered
from tests.application.logs import Settings, open_logs, postgres_settings, sqlite_settings
from tests.chaos.conftest import Launch
from tests.harness import TENANT, ServiceProcess, eventually
from tests.task_definitions import QUEUE

pytestmark = pytest.mark.anyio

WORKFLOWS = 80

Worker = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    """Makes workers, and ends each in the end."""
    made: list[subprocess.Popen[str]] = []

    def make(name: str, service: ServiceProcess, *options: str) -> "subprocess.Popen[str]":
        with (tmp_path / f"worker-{name}").open("w") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.task_worker", service.url, TENANT, QUEUE, name, *options],
                stdout=told,
                text=True,
            )
        made.append(process)
        return process

    yield make
    for process in made:
        process.kill()
        process.wait()


@pytest.fixture(params=["embedded", "postgresql"])
def instances(
    request: pytest.FixtureRequest, processes: Launch, tmp_path: Path
) -> tuple[list[ServiceProcess], Settings]:
    """One instance on files, or two on PostgreSQL; and how to read their log."""
    module = "tests.task_definitions"
    if request.param == "embedded":
        instance = processes(module=module)
        return [instance.start()], sqlite_settings(instance.data_dir)
    url: str = request.getfixturevalue("postgres_store_url")
    shared = {"EVENT_STORE_URL": url, "RABBITMQ_URL": request.getfixturevalue("rabbitmq_url")}
    made = [processes(module=module, **shared, DATA_DIR=str(tmp_path / f"data-{n}")) for n in range(2)]
    return [each.start() for each in made], postgres_settings(url)


async def log_of(settings: Settings) -> list[Recorded]:
    """Everything that has happened."""
    events: list[Recorded] = []
    with open_logs(settings) as logs:
        store = logs.store()
        (partition,) = await store.partitions()
        position = None
        while batch := await store.read(partition, position, 500):
            events += batch.events
            position = batch.position
        store.close()
    return events


def told_by(folder: Path, name: str, what: str) -> list[str]:
    """The tasks of which a worker has said so."""
    lines = (folder / f"worker-{name}").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[0] == what]


async def test_what_a_killed_worker_had_is_done_by_another_and_everything_once(
    instances: tuple[list[ServiceProcess], Settings], worker: Worker, tmp_path: Path
) -> None:
    services, log = instances
    async with services[0].async_client() as client:
        victim = worker("victim", services[0], "--hang")

        async def start(number: int) -> None:
            body = {"definition": "one-task", "opportunityId": f"o-{number}", "input": {"number": number}}
            answer = await client.post("/api/v1/workflows", json=body)
            assert answer.status_code == 202, answer.text

        for number in range(3):
            await start(number)

        async def victim_has_some() -> bool:
            return bool(told_by(tmp_path, "victim", "claimed"))

        await eventually(victim_has_some)
        names = [f"w-{number}" for number in range(4)]
        for number, name in enumerate(names):
            worker(name, services[number % len(services)])
        async with anyio.create_task_group() as tasks:
            for number in range(3, WORKFLOWS):
                tasks.start_soon(start, number)
        victim.kill()
        victim.wait()

        async def all_completed() -> bool:
            page = (await client.get("/api/v1/workflows", params={"status": "completed", "limit": 1})).json()
            return bool(page["total"] == WORKFLOWS)

        await eventually(all_completed, seconds=60, every=0.2)

    events = [recorded.event for recorded in await log_of(log)]
    offered = {event.task_id for event in events if isinstance(event, TaskOffered)}
    completed = Counter(event.task_id for event in events if isinstance(event, TaskCompleted))
    assert len(offered) == WORKFLOWS
    assert completed == Counter(dict.fromkeys(offered, 1))

    lost = set(told_by(tmp_path, "victim", "claimed"))
    expired = {event.task_id for event in events if isinstance(event, TaskLeaseExpired)}
    assert lost
    assert lost <= expired
    by = {event.task_id: event.worker_id for event in events if isinstance(event, TaskCompleted)}
    assert "victim" not in by.values()
    assert {by[task_id] for task_id in lost} <= set(names)

    done = Counter(task_id for name in names for task_id in told_by(tmp_path, name, "done"))
    assert done == completed
    assert sum(bool(told_by(tmp_path, name, "done")) for name in names) >= 2
    assert never_two_holders(events)


async def test_a_service_that_is_killed_again_and_again_loses_no_task_and_completes_each_once(
    processes: Launch, worker: Worker, tmp_path: Path
) -> None:
    service = processes(module="tests.task_definitions").start()
    names = ["w-1", "w-2"]
    async with service.async_client() as client:
        for number in range(WORKFLOWS):
            body = {"definition": "one-task", "opportunityId": f"o-{number}", "input": {"number": number}}
            assert (await client.post("/api/v1/workflows", json=body)).status_code == 202
            if number == WORKFLOWS // 2:
                for name in names:
                    worker(name, service)
    for _ in range(3):
        service.kill()
        await anyio.to_thread.run_sync(service.start)
        await anyio.sleep(0.4)

    async with service.async_client() as client:

        async def all_completed() -> bool:
            page = (await client.get("/api/v1/workflows", params={"status": "completed", "limit": 1})).json()
            return bool(page["total"] == WORKFLOWS)

        await eventually(all_completed, seconds=60, every=0.2)
    events = [recorded.event for recorded in await log_of(sqlite_settings(service.data_dir))]
    offered = [event.task_id for event in events if isinstance(event, TaskOffered)]
    completed = [event.task_id for event in events if isinstance(event, TaskCompleted)]
    assert len(offered) == len(set(offered)) == WORKFLOWS
    assert sorted(completed) == sorted(offered)
    told = [task_id for name in names for task_id in told_by(tmp_path, name, "done")]
    assert sorted(told) == sorted(completed)
    assert never_two_holders(events)


def never_two_holders(events: Sequence[Event]) -> bool:
    """Whether each claim of a task came when nobody had it any more."""
    held: set[str] = set()
    for event in events:
        if isinstance(event, TaskClaimed):
            if event.task_id in held:
                return False
            held.add(event.task_id)
        elif isinstance(event, TaskLeaseExpired | TaskCompleted):
            held.discard(event.task_id)
    return True
