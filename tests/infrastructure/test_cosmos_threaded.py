"""What the log's own containers tell of their calls, which threads make, seen behind a gate."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
from anyio.to_thread import run_sync

from infrastructure.cosmos.containers import indexing_policy
from infrastructure.cosmos.items import PARTITION_KEY, Item
from infrastructure.cosmos.threaded import Refused, ThreadedContainer
from tests.cosmos import Account
from tests.cosmos_gate import Gate, Refusal, gate_before
from tests.infrastructure.cosmos_places import Observed, place_in

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos]

THROTTLED = Refusal(429, {"x-ms-retry-after-ms": "200", "x-ms-request-charge": "0.5"})


def item(id: str) -> Item:
    return {"id": id, PARTITION_KEY: "p"}


class Gated:
    """A container that threads ask, behind a gate."""

    def __init__(self, gate: Gate, container: ThreadedContainer) -> None:
        self.gate = gate
        self.container = container
        self.observed: list[Observed] = []
        container.tell(lambda *call: self.observed.append(call))


@pytest.fixture
async def gated(plain_cosmos: Account) -> AsyncIterator[Gated]:
    async with gate_before(plain_cosmos) as (gate, account), place_in(plain_cosmos) as place:
        make = partial(ThreadedContainer, account.endpoint, account.key, place.name)
        container = await run_sync(make, "log", indexing_policy(()))
        yield Gated(gate, container)
        container.close()


async def test_every_kind_of_call_is_told_with_its_charge_also_one_that_is_refused(gated: Gated) -> None:
    ask = gated.container
    await run_sync(ask.put, item("a"))
    there = await run_sync(ask.read, "p", "a")
    assert there is not None
    await run_sync(ask.put_in_place_of, there, item("a"))
    await run_sync(ask.put_in_place_of, None, item("b"))
    await run_sync(ask.query, "p", "FROM c", {})
    await run_sync(ask.batch, "p", [("create", (item("c"),), {})])
    with pytest.raises(Refused):
        await run_sync(ask.batch, "p", [("create", (item("c"),), {})])
    told = [(container, operation) for container, operation, *_ in gated.observed]
    kinds = ("put", "read", "replace", "create", "query", "batch", "batch")
    assert told == [("log", kind) for kind in kinds]
    assert all(charge > 0 and 0 < seconds < 20 for _, _, charge, seconds in gated.observed)


async def test_a_throttled_call_is_one_call_and_each_try_is_charged(gated: Gated) -> None:
    gated.gate.refusals = [THROTTLED, THROTTLED]
    await run_sync(gated.container.read, "p", "a")
    ((container, operation, charge, seconds),) = gated.observed
    assert (container, operation, charge) == ("log", "read", 2.0)
    assert seconds >= 0.4


@pytest.mark.parametrize("status", [429, 449, 503])
async def test_a_batch_that_is_sent_again_overwrites_nobody(gated: Gated, status: int) -> None:
    ask = gated.container
    await run_sync(ask.put, item("a"))
    there = await run_sync(ask.read, "p", "a")
    assert there is not None
    await run_sync(ask.put, item("a") | {"by": "somebody else"})
    gated.gate.refusals = [Refusal(status, {"x-ms-retry-after-ms": "10"}, is_of_an_operation=True)]
    with pytest.raises(Refused, match="412"):
        await run_sync(ask.batch, "p", [("replace", ("a", item("a")), {"if_match_etag": there["_etag"]})])
    assert [each.status for each in gated.gate.asked[-2:]] == [207, 207], "it was sent twice"
