"""Messages from the own queue on a real RabbitMQ: given back, waited for, left where they are."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import anyio
import pytest

from infrastructure.clock import SystemClock
from infrastructure.rabbit.connection import RabbitConnection
from infrastructure.rabbit.topology import PlainQueue, topic_exchange
from interfaces.messaging.consumer import MessageConsumer, Outcome, Park
from interfaces.messaging.envelope import Delivery
from interfaces.messaging.subscriber import RabbitSubscription
from tests.harness import eventually
from tests.neighbours import Names, Neighbour, neighbour

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

KEY = "a.key"


class Consuming:
    """Does as it is told with each message."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.handle: Callable[[], Awaitable[None]] = anyio.sleep_forever

    async def consume(self, delivery: Delivery, _park: Park) -> Outcome:
        """Note it, and do so."""
        self.taken.append(delivery.body)
        await self.handle()
        return "handled"

    async def pause(self) -> None:
        """No time is lost here."""


@pytest.fixture
def names() -> Names:
    """Queues of this test's own."""
    return Names.fresh()


class Taking:
    """A subscription at work."""

    def __init__(self, url: str, names: Names) -> None:
        self.consuming = Consuming()
        self.connection = RabbitConnection(url, purpose="test", app_id="tests", prefetch=2)
        self.subscription = RabbitSubscription(
            self.connection.broker,
            cast(MessageConsumer, self.consuming),
            exchange=topic_exchange(names.exchange),
            queue=PlainQueue(names.queue, routing_key=KEY),
            dead_letter_queue=PlainQueue(names.dead_letter_queue),
            bindings=[KEY],
            clock=SystemClock(),
        )

    async def begin(self) -> None:
        """Declare the queue, and take what is in it."""
        await self.connection.connect(self.subscription.start)


@pytest.fixture
async def taking(rabbitmq_url: str, names: Names) -> AsyncIterator[Taking]:
    """One that is closed in the end."""
    taking = Taking(rabbitmq_url, names)
    yield taking
    await taking.connection.close()


@pytest.fixture
async def beside(rabbitmq_url: str, names: Names, taking: Taking) -> AsyncIterator[Neighbour]:
    """Who sends, and looks into the queue."""
    async with neighbour(rabbitmq_url, names) as beside:
        yield beside


async def test_what_fails_in_no_foreseen_way_is_given_back_and_comes_again(
    taking: Taking, beside: Neighbour, names: Names
) -> None:
    async def handle() -> None:
        if len(taking.consuming.taken) < 3:
            raise ZeroDivisionError

    taking.consuming.handle = handle
    await taking.begin()
    await beside.send_raw(KEY, b"one")

    async def is_handled() -> bool:
        return len(taking.consuming.taken) == 3

    await eventually(is_handled)
    await taking.connection.close()
    assert await beside.queued(names.queue) == 0
    assert taking.consuming.taken == [b"one"] * 3


async def test_a_stop_waits_for_what_is_in_hand_and_takes_nothing_more(
    taking: Taking, beside: Neighbour, names: Names
) -> None:
    goes_on = anyio.Event()
    taking.consuming.handle = goes_on.wait
    await taking.begin()
    await beside.send_raw(KEY, b"one")
    await beside.send_raw(KEY, b"two")

    async def are_in_hand() -> bool:
        return len(taking.consuming.taken) == 2

    await eventually(are_in_hand)
    await beside.send_raw(KEY, b"three")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(taking.subscription.stop, 10.0)
        await anyio.sleep(0.05)
        goes_on.set()
    await taking.connection.close()
    assert sorted(taking.consuming.taken) == [b"one", b"two"]
    assert await beside.queued(names.queue) == 1


async def test_a_stop_does_not_wait_for_ever_and_what_was_in_hand_is_the_brokers_again(
    taking: Taking, beside: Neighbour, names: Names
) -> None:
    await taking.begin()
    await beside.send_raw(KEY, b"one")

    async def is_in_hand() -> bool:
        return taking.consuming.taken == [b"one"]

    await eventually(is_in_hand)
    with anyio.fail_after(5):
        await taking.subscription.stop(0.1)
        await taking.subscription.stop(60.0)
    await taking.connection.close()
    assert await beside.queued(names.queue) == 1
