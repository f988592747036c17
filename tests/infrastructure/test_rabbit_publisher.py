"""What the broker says to a message, on a real one: each is told of its own, whatever is sent beside it."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from unittest.mock import Mock

import anyio
import pytest
from aio_pika.abc import AbstractChannel, AbstractConnection
from pamqp.common import FieldTable

from application.integration import Source
from application.ports import PublicMessage
from application.side_by_side import outcomes_of
from domain.errors import BrokerUnavailable, MessageNotTaken, MessageRefused
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.own_queue import OwnQueue
from infrastructure.rabbit.parked import RabbitParkedMessages
from infrastructure.rabbit.publisher import RabbitPublisher
from infrastructure.rabbit.topology import RabbitNames
from tests.builders import LEASE, NOW, TENANT
from tests.neighbours import Names, neighbour
from tests.services import RabbitNode, free_port, rabbitmq_node

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

LARGEST_BYTES = 50_000


@pytest.fixture(scope="module")
def narrow() -> Iterator[RabbitNode]:
    """A broker that takes no large message."""
    with rabbitmq_node(free_port(), max_message_size=LARGEST_BYTES) as node:
        node.start()
        yield node


@pytest.fixture
def narrow_rabbitmq(narrow: RabbitNode) -> str:
    """Its URL."""
    return narrow.url


class Publishing:
    """A publisher at work, and what it has counted."""

    def __init__(self, url: str, names: Names) -> None:
        wire = RabbitNames(
            exchange=names.exchange,
            queue=names.queue,
            job_queue=names.job_queue,
            dead_letter_queue=names.dead_letter_queue,
        )
        self.counted = Counter[str]()
        self.refused = Counter[str]()
        self.publisher = RabbitPublisher(
            RabbitConnection(url, purpose="test", app_id="tests", graceful_seconds=0),
            wire,
            Source(service="tests", instance="tests-1"),
            in_flight=64,
            count=lambda message: self.counted.update([message.id]),
            count_refused=lambda message: self.refused.update([message.id]),
        )

    async def outcomes(self, messages: Sequence[PublicMessage]) -> list[Exception | None]:
        """What came of each, sent side by side."""
        return await outcomes_of(lambda each: self.publisher.publish(each, LEASE), messages)


@asynccontextmanager
async def publishing(url: str, names: Names) -> AsyncIterator[Publishing]:
    at_work = Publishing(url, names)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_work.publisher.run)
        assert await at_work.publisher.connection.until_up(30)
        try:
            yield at_work
        finally:
            await at_work.publisher.connection.close()


def message(id: str, message_type: str, size: int = 10) -> PublicMessage:
    return PublicMessage(
        id=id, type=message_type, tenant=TENANT, timestamp=NOW, data={"padding": "x" * size}, metadata={}
    )


async def test_what_is_too_large_is_refused_and_all_that_is_sent_beside_it_goes_out(
    narrow_rabbitmq: str,
) -> None:
    names = Names.fresh()
    async with neighbour(narrow_rabbitmq, names) as crm, publishing(narrow_rabbitmq, names) as at_work:
        small = [message(f"small-{number}", "small.one") for number in range(40)]
        sent = [*small[:20], message("large", "large.one", 6 * LARGEST_BYTES), *small[20:]]
        outcomes = await at_work.outcomes(sent)
        assert isinstance(outcomes.pop(20), MessageRefused)
        assert outcomes == [None] * len(small)
        assert at_work.refused == {"large": 1}
        assert {each["id"] for each in await crm.expect("small.one", 40)} == {each.id for each in small}
        (alone,) = await at_work.outcomes([message("less", "large.one", LARGEST_BYTES + 5_000)])
        assert isinstance(alone, MessageRefused)
        assert await at_work.outcomes([message("later", "small.two")]) == [None]
        await crm.expect("small.two")
        assert crm.messages("large.one") == []


async def test_those_behind_the_first_of_a_type_wait_for_it_and_need_no_channel_of_their_own(
    narrow_rabbitmq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names.fresh()
    async with neighbour(narrow_rabbitmq, names) as crm, publishing(narrow_rabbitmq, names) as at_work:
        connection = at_work.publisher.connection
        opened = Mock(side_effect=connection.channel)
        monkeypatch.setattr(connection, "channel", opened)
        sent = [message(f"{kind}-{number}", f"first.{kind}") for number in range(60) for kind in ("a", "b")]
        assert await at_work.outcomes(sent) == [None] * len(sent)
        await crm.expect("first.a", 60)
        await crm.expect("first.b", 60)
        assert opened.call_count == 2


async def test_behind_a_broker_that_is_silent_nobody_waits_twice(
    narrow_rabbitmq: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def silent() -> AsyncIterator[AbstractChannel]:
        await anyio.sleep_forever()
        raise AssertionError("nobody wakes it")
        yield

    names = Names.fresh()
    async with neighbour(narrow_rabbitmq, names), publishing(narrow_rabbitmq, names) as at_work:
        monkeypatch.setattr("infrastructure.rabbit.publisher.CONFIRM_TIMEOUT_SECONDS", 0.5)
        monkeypatch.setattr(at_work.publisher.connection, "channel", silent)
        began = anyio.current_time()
        outcomes = await at_work.outcomes([message(str(number), "first.one") for number in range(40)])
        assert all(isinstance(each, BrokerUnavailable) for each in outcomes)
        assert anyio.current_time() - began < 0.9


async def test_what_a_full_queue_rejects_is_told_apart_from_a_broker_that_is_away(rabbitmq_url: str) -> None:
    names = Names.fresh()
    async with neighbour(rabbitmq_url, names) as crm, publishing(rabbitmq_url, names) as at_work:
        limits: FieldTable = {"x-max-length": 1, "x-overflow": "reject-publish"}
        full = await crm.channel.declare_queue(f"{names.queue}.full", durable=True, arguments=limits)
        try:
            await full.bind(crm.exchange, "wanted.by.many")
            first = await at_work.outcomes([message("1", "wanted.by.many")])
            more = await at_work.outcomes([message("2", "wanted.by.many"), message("3", "of.no.concern")])
            assert (first, more[1]) == ([None], None)
            assert isinstance(more[0], MessageNotTaken)
            await full.purge()
            assert await at_work.outcomes([message("2", "wanted.by.many")]) == [None]
        finally:
            await full.delete(if_unused=False, if_empty=False)


async def test_connections_are_told_apart_by_name_in_the_brokers_own_lists(narrow: RabbitNode) -> None:
    names = Names.fresh()
    async with publishing(narrow.url, names):
        told = await anyio.to_thread.run_sync(narrow.told, "list_connections", "client_properties")
        assert '"tests:test"' in told


async def test_so_are_those_that_are_made_for_a_look(
    narrow: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, seen = Names.fresh(), list[str]()

    async def look(connection: AbstractConnection, *_: object) -> None:
        with anyio.fail_after(10):
            told = ""
            while '"tests:' not in told:
                told = await anyio.to_thread.run_sync(narrow.told, "list_connections", "client_properties")
        seen.append(told)
        raise ConnectionError("it was seen")

    monkeypatch.setattr("aio_pika.Connection.channel", look)
    assert not await OwnQueue(narrow.url, names.queue, "tests").is_empty()
    wire = RabbitNames(exchange=names.exchange, queue=names.queue, dead_letter_queue=names.dead_letter_queue)
    with pytest.raises(BrokerUnavailable):
        await RabbitParkedMessages(narrow.url, wire, "tests").oldest()
    assert '"tests:own-queue"' in seen[0]
    assert '"tests:parked"' in seen[1]
