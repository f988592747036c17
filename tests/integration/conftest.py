"""A service and a neighbour on a real RabbitMQ, with names of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.amqp import validate_message
from tests.harness import Service, eventually, service, settings_in
from tests.neighbours import Names, Neighbour, neighbour


@pytest.fixture
def names() -> Names:
    """Names of this test's own."""
    return Names.fresh()


@pytest.fixture
async def crm(rabbitmq_url: str, names: Names) -> AsyncIterator[Neighbour]:
    """The neighbours, in one person."""
    async with neighbour(rabbitmq_url, names) as each:
        yield each
        for message in each.seen:
            if message.app_id == "workflow-orchestrator":
                validate_message(message.body, message)


@pytest.fixture
async def orchestrator(
    tmp_path: Path, rabbitmq_url: str, names: Names, crm: Neighbour
) -> AsyncIterator[Service]:
    """The service, embedded stores, on RabbitMQ."""
    settings = settings_in(tmp_path, overlay=names.overlay(), RABBITMQ_URL=rabbitmq_url)
    async with service(settings) as running:
        await is_connected(running)
        yield running


async def is_connected(running: Service) -> None:
    """Wait until the service takes messages in and gives them out."""

    async def up() -> bool:
        return (await running.container.transport.check()).status == "up"

    await eventually(up)
