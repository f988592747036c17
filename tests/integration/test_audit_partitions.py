"""Anchoring and checking where each tenant has an order of its own, and the log is its own index."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from application.audit.anchoring import Anchoring
from application.audit.checking import Checking
from application.audit.findings import Report
from application.audit.verify_store import verify_store
from domain.errors import BrokerUnavailable, LeaseLost
from domain.event import event_id
from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.ends import ORDER_ID
from infrastructure.cosmos.leases import CosmosLeases
from infrastructure.cosmos.transactions import MOST_OPERATIONS
from tests.application.logs import UNVERIFIED
from tests.audit_trail import AuditedLog, audited_log, lines_of, stream
from tests.builders import LEASE, OTHER_TENANT, TENANT, Held
from tests.cosmos import Account
from tests.infrastructure.cosmos_places import COORDINATION

pytestmark = [pytest.mark.anyio, pytest.mark.cosmos, UNVERIFIED]


@pytest.fixture
async def log(cosmos: Account, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log of six events of each of two tenants."""
    async with audited_log(tmp_path, cosmos=cosmos) as opened:
        opened.fill(each=2)
        yield opened


def anchors(log: AuditedLog, tenant: str) -> list[tuple[int, int]]:
    told = [each for each in lines_of(log.anchor_file) if each["tenantId"] == tenant]
    return [(each["sequence"], each["number"]) for each in told]


async def found(log: AuditedLog) -> list[str]:
    """What a check of the whole store finds, without anchors."""
    report = Report()
    await verify_store(log.stores.log, log.stores.index, {}, report)
    assert report.events == len(await log.entries())
    return [finding.kind for finding in report.findings]


async def test_the_heads_of_every_partition_are_anchored_once_they_have_moved(log: AuditedLog) -> None:
    await log.anchor()
    log.append((f"{TENANT}/9", 2))
    await log.anchor()
    await log.anchor()
    assert anchors(log, TENANT) == [(1, 6), (2, 8)]
    assert anchors(log, OTHER_TENANT) == [(1, 6)]
    assert await found(log) == []


async def test_while_the_broker_is_away_the_same_anchors_wait(log: AuditedLog) -> None:
    log.told.fails_after = 1
    for attempt in (1, 2):
        with pytest.raises(BrokerUnavailable):
            await log.anchoring().anchor(LEASE)
        log.clock.advance(minutes=5)
        log.append((f"{TENANT}/8", 1), first_version=attempt)
    log.told.fails_after = None
    await log.anchoring().anchor(LEASE)
    assert list(dict.fromkeys(anchors(log, TENANT))) == [(1, 6), (2, 8)]
    assert await log.stores.anchors.waiting() == []


async def test_who_has_lost_the_lease_anchors_nothing(log: AuditedLog) -> None:
    assert isinstance(log.stores.index, CosmosAuditIndex)
    leases = CosmosLeases(log.stores.index._database, COORDINATION)
    former = Held(Anchoring.name, (await leases.hold([Anchoring.name], "me"))[Anchoring.name])
    await leases.release([Anchoring.name], "me")
    assert await leases.hold([Anchoring.name], "you")
    with pytest.raises(LeaseLost):
        await log.anchoring().anchor(former)
    assert await log.stores.anchors.last() == []
    assert log.told.messages == []


async def test_more_tenants_than_a_batch_takes_are_anchored(log: AuditedLog) -> None:
    tenants = [str(UUID(int=number)) for number in range(MOST_OPERATIONS + 1)]
    log.append(*((f"{tenant}/1", 1) for tenant in tenants))
    await log.anchor()
    assert {anchor.tenant_id for anchor in await log.stores.anchors.last()} >= set(tenants)
    assert await log.stores.anchors.waiting() == []


async def test_a_stretch_is_one_of_the_tenants_own_order(log: AuditedLog) -> None:
    await log.anchor()
    stores = log.stores
    for tenant in (TENANT, OTHER_TENANT):
        checking = Checking(stores.log, stores.index, stores.anchors)
        first = await checking.check(tenant, beyond=0, limit=4)
        assert (first.first, first.last, first.beyond, first.flaws) == (1, 4, 4, [])
        last = await checking.check(tenant, beyond=4, limit=4)
        assert (last.first, last.last, last.beyond, last.flaws) == (5, 6, None, [])


async def edited(items: Any) -> None:
    """The second event of a stream says something else."""
    item = await items.read(OTHER_TENANT, event_id(stream(OTHER_TENANT, 1), 2))
    assert await items.replace({**item, "state": item["state"].replace("why", "how")}, item["_etag"])


async def gone(items: Any) -> None:
    await items.delete(OTHER_TENANT, event_id(stream(OTHER_TENANT, 1), 1))


async def cut_off(items: Any) -> None:
    """The last event of the tenant."""
    await items.delete(OTHER_TENANT, event_id(stream(OTHER_TENANT, 2), 2))


async def order_set_back(items: Any) -> None:
    item = await items.read(OTHER_TENANT, ORDER_ID)
    assert await items.replace({**item, "number": 5}, item["_etag"])


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (edited, ["edited"]),
        (gone, ["index_altered"]),
        (cut_off, ["index_altered"]),
        (order_set_back, ["index_altered"]),
    ],
    ids=["edited", "gone", "cut off", "order set back"],
)
async def test_what_was_changed_in_one_partition_is_found(
    log: AuditedLog, change: Callable[[Any], Awaitable[None]], kinds: list[str]
) -> None:
    assert await found(log) == []
    assert isinstance(log.stores.index, CosmosAuditIndex)
    await change(log.stores.index._items.items)
    assert await found(log) == kinds
