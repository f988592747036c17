"""The stand-ins on a real RabbitMQ lose nothing that was asked of them while they were cut off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from faststream.rabbit import RabbitBroker

from config.commands.neighbours import THINKING_SECONDS, declare_queue, simulate_on_rabbit
from config.sections import Settings
from infrastructure.rabbit.connection import RabbitConnection
from tests.chaos.proxy import proxy
from tests.harness import eventually, settings_in
from tests.neighbours import Names, Neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


@asynccontextmanager
async def at_work(url: str, settings: Settings) -> AsyncIterator[None]:
    connection = RabbitConnection(url, purpose="simulation", app_id="simulated", prefetch=10)
    simulate_on_rabbit(connection.broker, settings)

    async def start(broker: RabbitBroker) -> None:
        await declare_queue(broker, settings)
        await broker.start()

    await connection.connect(start)
    try:
        yield
    finally:
        await connection.close()


async def test_what_is_asked_while_they_are_gone_is_answered_once_they_are_back(
    crm: Neighbour, names: Names, rabbitmq_url: str, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, overlay=names.overlay())
    workflow = str(uuid4())
    async with at_work(rabbitmq_url, settings):
        pass
    await crm.send(
        "workflow.forecast.requested", {"workflowId": workflow, "opportunityId": "o", "stepId": "s"}
    )
    async with at_work(rabbitmq_url, settings):

        async def answered() -> bool:
            return any(
                each["data"].get("workflowId") == workflow for each in crm.messages("forecast.completed")
            )

        await eventually(answered)
    await crm.channel.queue_delete(f"{names.exchange}.simulated_neighbours")


async def test_what_is_asked_while_their_connection_breaks_is_answered(
    crm: Neighbour, names: Names, rabbitmq_url: str, tmp_path: Path
) -> None:
    """Cut off while they think, while they answer, and with requests that wait for them."""
    settings = settings_in(tmp_path, overlay=names.overlay())
    asked: set[str] = set()
    with proxy(rabbitmq_url) as between:
        async with at_work(between.url(), settings):
            for cut in range(6):
                for _ in range(25):
                    workflow = str(uuid4())
                    data = {"workflowId": workflow, "opportunityId": "o", "stepId": "s"}
                    await crm.send("workflow.forecast.requested", data)
                    asked.add(workflow)
                await anyio.sleep(THINKING_SECONDS * (0.5 + 0.15 * cut))
                between.cut()
                between.open()

            async def answered() -> bool:
                return asked == {each["data"]["workflowId"] for each in crm.messages("forecast.completed")}

            await eventually(answered, seconds=30)
            assert await crm.queued(f"{names.exchange}.simulated_neighbours") == 0
    await crm.channel.queue_delete(f"{names.exchange}.simulated_neighbours")
