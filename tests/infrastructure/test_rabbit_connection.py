"""The supervised connection to RabbitMQ, on a broker that takes a connection and then says nothing."""

import asyncio
from uuid import uuid4

import anyio
import pytest
from faststream.rabbit import RabbitBroker, RabbitQueue

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


async def test_one_that_falls_silent_while_it_is_set_up_is_given_up_and_the_next_is_a_new_one(
    rabbitmq_url: str,
) -> None:
    tries = 0

    async def set_up(broker: RabbitBroker) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            between.swallow()
            between.open()
            raise ConnectionError("it says no, and then nothing")
        await broker.declare_queue(RabbitQueue(f"test.{uuid4()}", exclusive=True))

    with proxy(rabbitmq_url) as between:
        connection = RabbitConnection(between.url(), purpose="test", app_id="tests")
        with anyio.fail_after(10):
            await connection.connect(set_up)
        assert (connection.is_up, tries) == (True, 2)
        await connection.close()


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


async def test_who_is_cancelled_while_a_channel_opens_or_closes_leaves_the_connection_to_the_others(
    rabbitmq_url: str,
) -> None:
    connection = RabbitConnection(rabbitmq_url, purpose="test", app_id="tests")
    await connection.connect(nothing_to_set_up)
    before = asyncio.all_tasks()

    async def use() -> None:
        async with connection.channel():
            await anyio.sleep(0.001)

    for turn in range(100):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use)
            await anyio.sleep(turn / 10_000)
            tasks.cancel_scope.cancel()

    async def nothing_left() -> bool:
        return not asyncio.all_tasks() - before

    await eventually(nothing_left, seconds=5)
    async with connection.channel() as channel:
        assert connection.is_up
        await channel.declare_queue(exclusive=True)
    await connection.close()


async def test_a_stop_while_it_is_set_up_is_no_error_whatever_the_library_raises(rabbitmq_url: str) -> None:
    """Seen of aiormq: a bare ``Exception``, where the channel went in the middle of a declaration."""
    under_way, broken_off = anyio.Event(), anyio.Event()

    async def set_up(_broker: RabbitBroker) -> None:
        under_way.set()
        await broken_off.wait()
        raise Exception

    connection = RabbitConnection(rabbitmq_url, purpose="test", app_id="tests")
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.connect, set_up)
            await under_way.wait()
            tasks.start_soon(connection.close)
            await anyio.sleep(0.05)
            broken_off.set()
    assert not connection.is_up
