"""A service as a process of its own, and a neighbour on a real RabbitMQ, with names of their own."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.amqp import validate_message
from tests.harness import ServiceProcess
from tests.neighbours import Names, Neighbour, neighbour

Launch = Callable[..., ServiceProcess]


@pytest.fixture
def names() -> Names:
    """Names of this test's own."""
    return Names.fresh()


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
