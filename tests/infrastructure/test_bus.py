"""The in-process bus: a topic exchange for one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs

from application.integration import Source
from application.ports import PublicMessage
from infrastructure.memory.bus import InProcessBus
from tests.builders import LEASE, NOW, TENANT

pytestmark = pytest.mark.anyio


class Listener:
    """Remembers what it hears, and fails at some of it."""

    def __init__(self, *fails_at: bytes) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.fails_at = fails_at

    async def __call__(self, message_type: str, body: bytes) -> None:
        await anyio.sleep(0)
        if body in self.fails_at:
            raise ValueError("no")
        self.heard.append((message_type, body))


class Bus:
    """A bus and what it counted."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.bus = InProcessBus(Source("us", "us-1"), count=lambda message: self.counted.append(message.id))

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver meanwhile, and everything that is queued at the end."""
        async with anyio.create_task_group() as group:
            for queue in self.bus.queues:
                group.start_soon(queue.run)
            yield
            self.bus.close()


@pytest.fixture
def exchange() -> Bus:
    return Bus()


def message(id: str = "m-1", type: str = "workflow.job.trigger") -> PublicMessage:
    return PublicMessage(id=id, type=type, tenant=TENANT, timestamp=NOW, data={"n": 1}, metadata={})


async def test_a_listener_gets_the_types_that_it_asked_for_in_order(exchange: Bus) -> None:
    listener = Listener()
    exchange.bus.subscribe("one", ["a", "b"], listener)
    async with exchange.delivering():
        for message_type, body in (("a", b"1"), ("c", b"2"), ("b", b"3"), ("a", b"4")):
            await exchange.bus.send(message_type, body)
    assert listener.heard == [("a", b"1"), ("b", b"3"), ("a", b"4")]


async def test_every_listener_of_a_type_gets_it(exchange: Bus) -> None:
    one, other = Listener(), Listener()
    exchange.bus.subscribe("one", ["a"], one)
    exchange.bus.subscribe("other", ["a"], other)
    async with exchange.delivering():
        await exchange.bus.send("a", b"1")
    assert one.heard == other.heard == [("a", b"1")]


async def test_a_message_of_ours_is_delivered_in_its_envelope_and_counted(exchange: Bus) -> None:
    listener = Listener()
    exchange.bus.subscribe("one", ["workflow.job.trigger"], listener)
    async with exchange.delivering():
        await exchange.bus.publish(message(), LEASE)
    ((message_type, body),) = listener.heard
    envelope = msgspec.json.decode(body)
    assert message_type == envelope["type"] == "workflow.job.trigger"
    assert (envelope["id"], envelope["data"], envelope["tenantId"]) == ("m-1", {"n": 1}, TENANT)
    assert envelope["source"] == {"service": "us", "instance": "us-1"}
    assert exchange.counted == ["m-1"]


async def test_what_nobody_listens_to_is_gone_and_still_counted(exchange: Bus) -> None:
    async with exchange.delivering():
        await exchange.bus.publish(message(), LEASE)
    assert exchange.counted == ["m-1"]


async def test_a_listener_that_fails_loses_that_message_and_gets_the_next(exchange: Bus) -> None:
    listener = Listener(b"2")
    exchange.bus.subscribe("one", ["a"], listener)
    with capture_logs() as logs:
        async with exchange.delivering():
            for body in (b"1", b"2", b"3"):
                await exchange.bus.send("a", body)
    assert [body for _, body in listener.heard] == [b"1", b"3"]
    (entry,) = [each for each in logs if each["event"] == "bus_listener_failed"]
    assert (entry["queue"], entry["message_type"]) == ("one", "a")


async def test_a_listener_that_fails_does_not_touch_the_others(exchange: Bus) -> None:
    one, other = Listener(b"1"), Listener()
    exchange.bus.subscribe("one", ["a"], one)
    exchange.bus.subscribe("other", ["a"], other)
    async with exchange.delivering():
        await exchange.bus.send("a", b"1")
    assert other.heard == [("a", b"1")]


async def test_what_is_queued_at_the_close_is_still_delivered_and_later_ones_are_not(exchange: Bus) -> None:
    listener = Listener()
    exchange.bus.subscribe("one", ["a"], listener)
    await exchange.bus.send("a", b"1")
    await exchange.bus.send("a", b"2")
    exchange.bus.close()
    await exchange.bus.send("a", b"3")
    async with exchange.delivering():
        pass
    assert [body for _, body in listener.heard] == [b"1", b"2"]


async def test_a_sender_waits_where_a_listener_is_slow(
    exchange: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.memory.bus._QUEUE_SIZE", 2)
    listener = Listener()
    exchange.bus.subscribe("one", ["a"], listener)
    await exchange.bus.send("a", b"1")
    await exchange.bus.send("a", b"2")
    with anyio.move_on_after(0.02) as scope:
        await exchange.bus.send("a", b"3")
    assert scope.cancelled_caught
    async with exchange.delivering():
        await exchange.bus.send("a", b"4")
    assert [body for _, body in listener.heard] == [b"1", b"2", b"4"]


async def test_so_many_are_delivered_at_once_and_begin_in_order(exchange: Bus) -> None:
    begun: list[bytes] = []
    go_on = anyio.Event()

    async def listener(message_type: str, body: bytes) -> None:
        begun.append(body)
        await go_on.wait()

    exchange.bus.subscribe("one", ["a"], listener, at_once=2)
    async with exchange.delivering():
        for body in (b"1", b"2", b"3"):
            await exchange.bus.send("a", body)
        await anyio.sleep(0.01)
        assert begun == [b"1", b"2"]
        go_on.set()
    assert begun == [b"1", b"2", b"3"]
