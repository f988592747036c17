"""The supervised connection to RabbitMQ, on a broker that takes a connection and then says nothing."""

import asyncio

import anyio
import pytest

from infrastructure.rabbit.connection import RabbitConnection
from tests.chaos.proxy import proxy
from tests.harness import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]


async def nothing_to_set_up(_broker: object) -> None:
    """Nothing is declared."""


async def test_a_connection_that_is_given_up_while_it_is_made_leaves_nothing_behind(
    rabbitmq_url: str,
) -> None:
    with proxy(rabbitmq_url) as between:
        between.swallow()
        connection = RabbitConnection(between.url(), purpose="test", app_id="tests")
        before = asyncio.all_tasks()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.connect, nothing_to_set_up)
            await anyio.sleep(0.2)
            tasks.cancel_scope.cancel()
        await connection.close()

        async def nothing_left() -> bool:
            return not asyncio.all_tasks() - before

        await eventually(nothing_left, seconds=2)


async def test_a_connection_that_is_closed_while_it_is_made_leaves_nothing_behind(rabbitmq_url: str) -> None:
    with proxy(rabbitmq_url) as between:
        between.swallow()
        connection = RabbitConnection(between.url(), purpose="test", app_id="tests")
        before = asyncio.all_tasks()
        with anyio.fail_after(4):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(connection.connect, nothing_to_set_up)
                await anyio.sleep(0.2)
                await connection.close()
                tasks.cancel_scope.cancel()
        assert not asyncio.all_tasks() - before
