"""Whether messages wait in the own queue, of a real broker and of one that hangs up."""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest

from infrastructure.rabbit import own_queue
from infrastructure.rabbit.own_queue import OwnQueue
from tests.neighbours import Names, Neighbour, neighbour

pytestmark = pytest.mark.anyio


@pytest.fixture
def names() -> Names:
    """Of a queue of this test's own."""
    return Names.fresh()


@pytest.fixture
async def crm(rabbitmq_url: str, names: Names) -> AsyncIterator[Neighbour]:
    """Who sends."""
    async with neighbour(rabbitmq_url, names) as crm:
        yield crm


@pytest.mark.rabbitmq
async def test_it_is_empty_until_a_message_waits_there(
    rabbitmq_url: str, names: Names, crm: Neighbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_queue, "_KEPT_SECONDS", 0.0)
    queue = OwnQueue(rabbitmq_url, names.queue, "tests")
    await crm.channel.declare_queue(names.queue, durable=True)
    assert await queue.is_empty()
    await crm.channel.default_exchange.publish(aio_pika.Message(b"{}"), names.queue)
    assert not await queue.is_empty()


async def test_a_broker_that_hangs_up_is_asked_once_by_many_and_then_left_alone(names: Names) -> None:
    visits = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    queue = OwnQueue(f"amqp://guest:guest@127.0.0.1:{port}/", names.queue, "tests")
    assert await asyncio.gather(*(queue.is_empty() for _ in range(5))) == [False] * 5
    assert not await queue.is_empty()
    server.close()
    assert visits == 1


async def test_a_broker_that_failed_rests_also_where_its_answer_is_kept_no_longer(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_queue, "_KEPT_SECONDS", 0.0)
    queue = OwnQueue("amqp://guest:guest@127.0.0.1:1/", names.queue, "tests")
    assert not await queue.is_empty()
    monkeypatch.setattr(queue, "_connected", None)
    assert not await queue.is_empty()
