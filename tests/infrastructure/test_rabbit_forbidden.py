"""Routing keys that the broker's topic permissions forbid, on a real one: each holds up its own message."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest

from domain.errors import BrokerUnavailable, MessageNotTaken
from tests.infrastructure.test_rabbit_publisher import Publishing, message, publishing
from tests.neighbours import Names, Neighbour, neighbour
from tests.services import RabbitNode, free_port, rabbitmq_node

pytestmark = [pytest.mark.anyio, pytest.mark.rabbitmq]

ALL_BUT_FORBIDDEN = r"^(?!forbidden\.)"


@pytest.fixture(scope="module")
def strict() -> Iterator[RabbitNode]:
    """A broker whose permissions these tests change."""
    with rabbitmq_node(free_port()) as node:
        node.start()
        yield node


async def told(node: RabbitNode, *order: str) -> str:
    """What rabbitmqctl does meanwhile."""
    return await anyio.to_thread.run_sync(lambda: node.told(*order))


@asynccontextmanager
async def at_work(node: RabbitNode) -> AsyncIterator[tuple[Neighbour, Publishing]]:
    """A publisher that may say nothing under ``forbidden.…``, and who listens to it."""
    names = Names.fresh()
    await told(node, "set_topic_permissions", "guest", names.exchange, ALL_BUT_FORBIDDEN, ".*")
    async with neighbour(node.url, names) as crm, publishing(node.url, names) as sender:
        yield crm, sender


async def test_what_is_forbidden_is_not_taken_and_all_that_is_sent_beside_it_goes_out(
    strict: RabbitNode,
) -> None:
    async with at_work(strict) as (crm, sender):
        small = [message(f"small-{number}", "small.one") for number in range(200)]
        sent = [*small[:100], message("no", "forbidden.one"), *small[100:]]
        outcomes = await sender.outcomes(sent)
        refusal = outcomes.pop(100)
        assert isinstance(refusal, MessageNotTaken)
        assert "forbids forbidden.one: " in str(refusal)
        assert outcomes == [None] * len(small)
        assert {each["id"] for each in await crm.expect("small.one", 200)} == {each.id for each in small}
        assert crm.messages("forbidden.one") == []
        assert sender.refused == {}, "nothing is given up"


async def test_what_was_forbidden_once_ends_no_channel_of_others_again(
    strict: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(strict) as (crm, sender):
        await sender.outcomes([message("no", "forbidden.one")])
        assert await sender.outcomes([message("0", "small.one")]) == [None]
        ended: list[object] = []
        assert sender.publisher._channel is not None
        sender.publisher._channel.close_callbacks.add(lambda *why: ended.append(why))
        for number in range(1, 6):
            again = [message("no", "forbidden.one"), message(str(number), "small.one")]
            refusal, passed = await sender.outcomes(again)
            assert isinstance(refusal, MessageNotTaken)
            assert passed is None
        assert len(await crm.expect("small.one", 6)) == 6, "each once"
        assert ended == []


async def test_many_that_are_forbidden_at_once_hold_up_nobody(strict: RabbitNode) -> None:
    async with at_work(strict) as (crm, sender):
        fine = [message(str(number), f"fine.{number}") for number in range(120)]
        bad = [message(f"no-{number}", f"forbidden.{number}") for number in range(120)]
        outcomes = await sender.outcomes([each for pair in zip(fine, bad, strict=True) for each in pair])
        assert outcomes[::2] == [None] * len(fine)
        assert {type(each) for each in outcomes[1::2]} == {MessageNotTaken}
        assert {each["id"] for each in crm.messages()} == {each.id for each in fine}
        channels = await told(strict, "list_channels", "connection")
        assert len(channels.splitlines()) < 10, "none is left open"


async def test_what_is_forbidden_later_holds_up_the_others_for_a_moment(strict: RabbitNode) -> None:
    """It ends the channel that all share; more types than a channel remembers the permissions of."""
    async with at_work(strict) as (crm, sender):
        known = [message(f"known-{number}", f"fine.{number}") for number in range(40)]
        assert await sender.outcomes(known) == await sender.outcomes(known) == [None] * len(known)
        await told(strict, "set_topic_permissions", "guest", crm.names.exchange, r"^(?!fine\.7$)", ".*")
        waiting = [message(f"{round}-{each.id}", each.type) for round in range(5) for each in known]
        outcomes: list[Exception | None] = [BrokerUnavailable("not tried yet")]
        while any(error is not None and not isinstance(error, MessageNotTaken) for error in outcomes):
            outcomes = await sender.outcomes(waiting)
            waiting = [each for each, error in zip(waiting, outcomes, strict=True) if error is not None]
        assert [each.type for each in waiting] == ["fine.7"] * 5


async def test_once_it_is_allowed_it_goes_out_like_all_others(strict: RabbitNode) -> None:
    async with at_work(strict) as (crm, sender):
        (refusal,) = await sender.outcomes([message("1", "forbidden.one")])
        assert isinstance(refusal, MessageNotTaken)
        await told(strict, "clear_topic_permissions", "guest", crm.names.exchange)
        assert await sender.outcomes([message("1", "forbidden.one")]) == [None]
        more = [message(str(number), "forbidden.one") for number in range(2, 40)]
        assert await sender.outcomes(more) == [None] * len(more)
        await crm.expect("forbidden.one", 39)


async def test_where_nothing_at_all_may_be_published_the_broker_is_of_no_use(strict: RabbitNode) -> None:
    """As ever: everything waits where it is, and the instance stands back for one that may."""
    async with at_work(strict) as (crm, sender):
        await told(strict, "set_permissions", "guest", ".*", r"^(?!.*\.events$)", ".*")
        try:
            outcomes = await sender.outcomes([message("1", "small.one"), message("2", "small.two")])
            assert all(type(each) is BrokerUnavailable for each in outcomes), outcomes
        finally:
            await told(strict, "set_permissions", "guest", ".*", ".*", ".*")
        assert await sender.outcomes([message("1", "small.one")]) == [None]
        await crm.expect("small.one")
