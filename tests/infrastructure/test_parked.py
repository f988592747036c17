"""Parked messages where there is no broker, and where it is away."""

import pytest

from application.parked import ParkedMessage, parked
from domain.errors import BrokerUnavailable, ParkedMessageNotFound
from infrastructure.memory import parked as memory
from infrastructure.memory.parked import InProcessParkedMessages
from infrastructure.rabbit.parked import RabbitParkedMessages
from infrastructure.rabbit.topology import RabbitNames
from tests.services import free_port

pytestmark = pytest.mark.anyio


def message(body: bytes) -> ParkedMessage:
    return parked(body, message_id="", reason="bad", routing_key="key", parked_at=None)


async def test_within_the_process_one_is_handed_back_once_or_discarded() -> None:
    again: list[tuple[str, bytes]] = []
    noted: list[ParkedMessage] = []

    async def put(key: str, body: bytes) -> None:
        again.append((key, body))

    kept = InProcessParkedMessages(put)
    one, two = message(b"one"), message(b"two")
    kept.park(one, b"one")
    kept.park(two, b"two")
    assert await kept.oldest() == ([one, two], 2)
    assert await kept.find(one.id) == (one, b"one")
    assert await kept.requeue(one.id, noted.append) == one
    assert again == [("key", b"one")]
    await kept.discard(two.id, noted.append)
    assert noted == [one, two]
    for id in (one.id, two.id):
        with pytest.raises(ParkedMessageNotFound):
            await kept.requeue(id, noted.append)
    assert (len(again), await kept.oldest()) == (1, ([], 0))


@pytest.mark.parametrize("bound", ["MOST_KEPT", "MOST_BYTES"])
async def test_within_the_process_only_the_last_are_kept(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    async def put(key: str, body: bytes) -> None:
        raise AssertionError

    monkeypatch.setattr(memory, bound, 2)
    kept = InProcessParkedMessages(put)
    for body in (b"1", b"2", b"2", b"3"):
        kept.park(message(body), body)
    assert await kept.oldest() == ([message(b"2"), message(b"3")], 2)


@pytest.mark.rabbitmq
async def test_a_broker_that_is_away_is_told() -> None:
    away = RabbitParkedMessages(f"amqp://guest:guest@127.0.0.1:{free_port()}/", RabbitNames(), "test")
    with pytest.raises(BrokerUnavailable):
        await away.oldest()
