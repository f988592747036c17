"""Messages that are framed here, on a real broker: as aiormq's own, and each learns what became of it."""

import logging
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from domain.errors import BrokerUnavailable
from tests.infrastructure.test_rabbit_publisher import message, publishing
from tests.neighbours import Names, neighbour
from tests.services import RabbitNode, free_port, rabbitmq_node

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

FRAME_BYTES = 8_192


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitNode]:
    """A broker with small frames, which these tests hold up."""
    with rabbitmq_node(free_port(), frame_max=FRAME_BYTES) as own:
        own.start()
        yield own


async def test_a_message_is_the_same_whichever_way_it_goes(node: RabbitNode) -> None:
    names = Names.fresh()
    found: list[dict[str, Any]] = []
    async with neighbour(node.url, names) as crm, publishing(node.url, names) as at_work:
        queue = await crm.channel.declare_queue(exclusive=True)
        await queue.bind(crm.exchange, "small.one")
        first_goes_by_itself, then_together = message("1", "small.one"), message("2", "small.one")
        for each in (first_goes_by_itself, then_together):
            assert await at_work.outcomes([each]) == [None]
        for id in ("1", "2"):
            came = await queue.get(timeout=10)
            info: dict[str, Any] = {**came.info()}
            assert info.pop("message_id") == id
            assert info.pop("correlation_id") == id
            for name in ("delivery_tag", "consumer_tag"):
                info.pop(name, None)
            found.append({**info, "body": came.body.replace(f'"id":"{id}"'.encode(), b'"id":""')})
    assert found[0] == found[1]
    assert found[0]["headers"]["tenantId"]


async def test_a_body_of_several_frames_arrives_whole_among_others(node: RabbitNode) -> None:
    names = Names.fresh()
    sizes = [10, FRAME_BYTES - 600, FRAME_BYTES, 5 * FRAME_BYTES, 10]
    async with neighbour(node.url, names) as crm, publishing(node.url, names) as at_work:
        assert await at_work.outcomes([message("first", "small.one")]) == [None]
        sent = [message(str(number), "small.one", size) for number, size in enumerate(sizes)]
        assert await at_work.outcomes(sent) == [None] * len(sizes)
        came = {each["id"]: each for each in await crm.expect("small.one", len(sizes) + 1)}
    assert [len(came[str(number)]["data"]["padding"]) for number in range(len(sizes))] == sizes


async def test_all_who_wait_are_told_at_once_that_the_channel_has_ended(node: RabbitNode) -> None:
    names = Names.fresh()
    async with neighbour(node.url, names) as crm, publishing(node.url, names) as at_work:
        assert await at_work.outcomes([message("first", "small.one")]) == [None]
        await crm.exchange.delete()
        began = anyio.current_time()
        outcomes = await at_work.outcomes([message(str(number), "small.one") for number in range(40)])
        assert anyio.current_time() - began < 5
        assert all(isinstance(each, BrokerUnavailable) for each in outcomes)
        assert "NOT_FOUND" in str(outcomes[0])


async def test_a_silent_broker_is_not_waited_for_and_confirms_later_for_nobody(
    node: RabbitNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("infrastructure.rabbit.confirms.CONFIRM_TIMEOUT_SECONDS", 0.5)
    names = Names.fresh()
    async with neighbour(node.url, names) as crm, publishing(node.url, names) as at_work:
        assert await at_work.outcomes([message("first", "small.one")]) == [None]
        node.freeze()
        try:
            outcomes = await at_work.outcomes([message(str(number), "small.one") for number in range(40)])
        finally:
            node.thaw()
        assert all(isinstance(each, BrokerUnavailable) for each in outcomes)
        assert "said nothing" in str(outcomes[0])
        with caplog.at_level(logging.INFO, "aiormq"):
            await crm.expect("small.one", 41)
            assert await at_work.outcomes([message("last", "small.one")]) == [None]
        assert caplog.messages == []


async def test_all_who_wait_when_the_service_stops_are_told_and_those_behind_them(node: RabbitNode) -> None:
    names = Names.fresh()
    outcomes: list[Exception | None] = []
    async with neighbour(node.url, names), publishing(node.url, names) as at_work:
        assert await at_work.outcomes([message("first", "small.one")]) == [None]
        node.freeze()

        async def publish() -> None:
            outcomes.extend(await at_work.outcomes([message(str(each), "small.one") for each in range(300)]))

        try:
            with anyio.fail_after(9):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(publish)
                    await anyio.sleep(0.2)
                    await at_work.publisher.connection.close()
        finally:
            node.thaw()
    assert len(outcomes) == 300
    assert all(isinstance(each, BrokerUnavailable) for each in outcomes)


async def test_a_channel_that_never_comes_back_is_not_waited_for(
    node: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aio-pika waits for a connection that was given up, while another one is there already."""
    monkeypatch.setattr("infrastructure.rabbit.publisher.CONFIRM_TIMEOUT_SECONDS", 0.5)
    names = Names.fresh()
    async with neighbour(node.url, names), publishing(node.url, names) as at_work:
        assert await at_work.outcomes([message("first", "small.one")]) == [None]
        channel = at_work.publisher._channel
        assert channel is not None
        monkeypatch.setattr(channel, "get_underlay_channel", anyio.sleep_forever)
        with anyio.fail_after(5):
            (outcome,) = await at_work.outcomes([message("1", "small.one")])
    assert isinstance(outcome, BrokerUnavailable)


async def test_a_channel_that_was_closed_leaves_nothing_on_its_connection(node: RabbitNode) -> None:
    names = Names.fresh()
    async with publishing(node.url, names) as at_work:
        connection = at_work.publisher.connection

        async def open_and_close() -> int:
            async with connection.channel() as channel:
                underlay = await channel.get_underlay_channel()
            return len(underlay.connection._closing._callbacks or ())  # type: ignore[attr-defined]

        left = [await open_and_close() for _ in range(10)]
        assert left[-1] == left[0]
