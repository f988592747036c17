"""Anchoring and checking where each tenant has an order of its own, and the log is its own index."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from application.audit.checking import Checking
from application.audit.findings import Report
from application.audit.verify_store import verify_store
from domain.event import event_id
from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.log_documents import ORDER_ID
from tests.application.logs import UNVERIFIED
from tests.audit_trail import AuditedLog, audited_log, lines_of, stream
from tests.builders import OTHER_TENANT, TENANT
from tests.cosmos import Account

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
    item = await items.read(OTHER_TENANT, str(event_id(stream(OTHER_TENANT, 1), 2)))
    assert await items.replace({**item, "state": item["state"].replace("why", "how")}, item["_etag"])


async def gone(items: Any) -> None:
    await items.delete(OTHER_TENANT, str(event_id(stream(OTHER_TENANT, 1), 1)))


async def cut_off(items: Any) -> None:
    """The last event of the tenant."""
    await items.delete(OTHER_TENANT, str(event_id(stream(OTHER_TENANT, 2), 2)))


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
    await change(log.stores.index._items)
    assert await found(log) == kinds
