"""A correlation id is a UUID, which has no case: it is found in either, however it is stored."""

import json
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import msgspec
import pytest

from application.audit.ports import Wanted
from application.audit.trail import Trail
from tests.audit_trail import AuditedLog, approval_id, audited_log, comment
from tests.builders import TENANT

pytestmark = pytest.mark.anyio

LOWER = "f3067091-5a69-4788-9c0d-1e2f3a4b5c6d"
UPPER = LOWER.upper()
MIXED = "F3067091-5a69-4788-9c0d-1e2f3a4b5c6d"
AS_STORED = (UPPER, LOWER, None, UPPER, LOWER, LOWER, UPPER, None, UPPER)
"""Of events one after the other; a former release kept a message's as its sender had written it."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log with events under one correlation id in two cases, and under others; and its index."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    async with audited_log(tmp_path, url) as opened:
        for version, correlation_id in enumerate(AS_STORED, start=1):
            event = comment(TENANT, 1, version)
            if correlation_id is not None:
                meta = msgspec.structs.replace(event.meta, correlation_id=correlation_id)
                event = msgspec.structs.replace(event, meta=meta)
            opened.log.recorder.insert_events([opened.log.stored(event)])
        await opened.index()
        yield opened


def trail_of(log: AuditedLog) -> Trail:
    return Trail(log.stores.log, log.stores.index, log.stores.anchors, log.store.recorded)


VERSIONS = [version for version, id in enumerate(AS_STORED, start=1) if id is not None]


async def test_pages_hold_what_is_stored_in_either_case_in_the_logs_order(log: AuditedLog) -> None:
    trail = trail_of(log)
    for asked, limit, newest_first in product((LOWER, UPPER, MIXED), (1, 2, 3, 100), (False, True)):
        wanted = Wanted(tenant=TENANT, correlation_id=asked)
        seen: list[int] = []
        beyond: int | None = 0
        while beyond is not None:
            page = await trail.page(wanted, beyond=beyond, limit=limit, newest_first=newest_first)
            assert page.total == len(VERSIONS)
            seen += [each.indexed.version for each in page.events]
            beyond = page.beyond
        assert seen == (VERSIONS[::-1] if newest_first else VERSIONS), (asked, limit, newest_first)


async def test_what_is_stored_in_no_one_case_is_found_as_it_is(log: AuditedLog) -> None:
    event = comment(TENANT, 2, 1)
    meta = msgspec.structs.replace(event.meta, correlation_id=MIXED)
    log.log.recorder.insert_events([log.log.stored(msgspec.structs.replace(event, meta=meta))])
    await log.index()
    for asked, total in ((MIXED, len(VERSIONS) + 1), (LOWER, len(VERSIONS))):
        wanted = Wanted(tenant=TENANT, correlation_id=asked)
        assert (await trail_of(log).page(wanted, beyond=0, limit=1)).total == total


async def test_trees_and_exports_hold_both(log: AuditedLog) -> None:
    for asked in (LOWER, UPPER, MIXED):
        tree = await trail_of(log).tree(TENANT, asked)
        assert (tree.total, tree.shown) == (len(VERSIONS), len(VERSIONS))
        assert [each.event.indexed.version for each in tree.roots] == VERSIONS
        lines = map(json.loads, (await log.export(correlation_id=asked)).read_text().splitlines())
        assert [line["version"] for line in lines if line["kind"] == "event"] == VERSIONS


async def test_a_things_id_is_taken_in_either_case(log: AuditedLog) -> None:
    log.append((f"{TENANT}/{0xABC}", 3))
    await log.index()
    for id in (approval_id(0xABC), approval_id(0xABC).upper()):
        wanted = Wanted(tenant=TENANT, aggregate_id=id)
        assert (await trail_of(log).page(wanted, beyond=0, limit=9)).total == 3
        lines = map(json.loads, (await log.export(aggregate_id=id)).read_text().splitlines())
        assert len([line for line in lines if line["kind"] == "event"]) == 3


async def test_what_is_no_uuid_is_taken_as_it_is(log: AuditedLog) -> None:
    event = comment(TENANT, 3, 1)
    meta = msgspec.structs.replace(event.meta, correlation_id="CRM/17")
    log.log.recorder.insert_events([log.log.stored(msgspec.structs.replace(event, meta=meta))])
    await log.index()
    for asked, total in (("CRM/17", 1), ("crm/17", 0)):
        wanted = Wanted(tenant=TENANT, correlation_id=asked)
        assert (await trail_of(log).page(wanted, beyond=0, limit=1)).total == total
