"""A batch of the log is bounded by its bytes on every store, and who reads it can tell that from the end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.audit.indexing import LogAsStored
from application.audit.ports import Wanted
from application.audit.trail import Trail
from application.event_store import EventStore
from application.log_batches import BATCH_BYTES, PAGE_BYTES, all_of
from application.log_copy import Entry
from application.shared_reads import SharedReads
from infrastructure.sqlite.event_store import followers_file
from tests.application.logs import STORES
from tests.audit_trail import AuditedLog, audited_log
from tests.builders import TENANT
from tests.large_events import A_BATCH, MIB, append_large, batches_of
from tests.moved_logs import file_of, kind_of, opened, reading

pytestmark = pytest.mark.anyio

A_PAGE = PAGE_BYTES // MIB


@pytest.fixture(params=STORES)
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """A log, with its events as they are stored."""
    postgres = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    cosmos = request.getfixturevalue("cosmos") if request.param == "cosmos" else None
    async with audited_log(tmp_path, postgres, cosmos=cosmos) as log:
        yield log


async def test_a_batch_of_large_events_is_cut_and_says_so(kept: AuditedLog) -> None:
    append_large(kept.log, 2 * A_BATCH + 1)
    batches = await batches_of(kept.store, 500)
    assert [len(each.events) for each in batches] == [A_BATCH, A_BATCH, 1]
    assert [each.is_cut for each in batches] == [True, True, False]
    assert all(each.size < BATCH_BYTES + 2 * MIB for each in batches)
    streams = [recorded.stream for each in batches for recorded in each.events]
    assert [int(stream[-12:]) for stream in streams] == list(range(2 * A_BATCH + 1))


async def test_a_batch_that_ends_with_the_log_is_cut_only_where_it_is_full(kept: AuditedLog) -> None:
    append_large(kept.log, 3, size=10)
    assert [each.is_cut for each in await batches_of(kept.store, 4)] == [False]
    assert [each.is_cut for each in await batches_of(kept.store, 3)] == [True]
    assert [each.is_cut for each in await batches_of(kept.store, 2)] == [True, False]


async def test_stored_events_are_read_and_looked_up_a_full_batch_at_a_time(kept: AuditedLog) -> None:
    count = 2 * A_BATCH + 1
    append_large(kept.log, count)
    log, partition = kept.stores.log, kept.store.partition_of(TENANT)
    entries: list[Entry] = []
    after = 0
    while batch := await log.read(partition, after, 2_000):
        assert len(batch) <= A_BATCH
        entries += batch
        after = batch[-1].id
    assert [int(each.stream[-12:]) for each in entries] == list(range(count))

    missing = entries[-1].id + 1
    ids = [missing, *(each.id for each in reversed(entries))]
    parts = [part async for part in log.at(partition, ids)]
    assert [len(part.entries) for part in parts] == [A_BATCH, A_BATCH, 1]
    assert [id for part in parts for id in part.ids] == sorted(ids)
    assert await all_of(log.at(partition, ids)) == {each.id: each for each in entries}
    assert [part async for part in log.at(partition, [])] == []


async def test_who_indexes_the_log_goes_on_at_once_behind_a_batch_that_was_cut(kept: AuditedLog) -> None:
    append_large(kept.log, A_BATCH + 1)
    log, partition = LogAsStored(kept.store, kept.stores.log), kept.store.partition_of(TENANT)
    first = await log.read(partition, None, 1_000)
    assert first is not None
    assert first.is_cut
    last = await log.read(partition, first.position, 1_000)
    assert last is not None
    assert not last.is_cut
    assert (len(first.events), len(last.events)) == (A_BATCH, 1)


async def test_readers_share_batches_that_are_cut_and_each_comes_to_the_end(kept: AuditedLog) -> None:
    append_large(kept.log, 2 * A_BATCH + 1)
    shared, partition = SharedReads(kept.store), kept.store.partition_of(TENANT)
    for _ in range(2):
        seen: list[int] = []
        after, is_cut = None, True
        while is_cut:
            batch = await shared.read(partition, after, 500)
            assert batch is not None
            assert batch.size < 2 * (BATCH_BYTES + 2 * MIB)
            seen += [int(recorded.stream[-12:]) for recorded in batch.events]
            after, is_cut = batch.position, batch.is_cut
        assert seen == list(range(2 * A_BATCH + 1))
        assert await shared.read(partition, after, 500) is None


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_page_of_the_trail_is_full_with_the_event_that_brings_it_to_its_bytes(
    kept: AuditedLog, newest_first: bool
) -> None:
    count = 2 * A_BATCH + 1
    append_large(kept.log, count)
    if kept.stores.made_index is not None:
        await kept.index()
    trail = Trail(kept.stores.log, kept.stores.index, kept.stores.anchors, kept.store.recorded)
    seen: list[int] = []
    beyond: int | None = 0
    while beyond is not None:
        page = await trail.page(Wanted(tenant=TENANT), beyond=beyond, limit=200, newest_first=newest_first)
        assert page.total == count
        assert all(found.is_intact for found in page.events)
        beyond = page.beyond
        assert len(page.events) == (1 if beyond is None else A_PAGE)
        seen += [int(found.indexed.stream[-12:]) for found in page.events]
    assert seen == sorted(range(count), reverse=newest_first)
    tree = await trail.tree(TENANT, page.events[0].indexed.correlation_id)
    assert tree.shown >= 1


ONE_ORDER = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture
def url(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Where a log is to be."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/events.db"
    return str(request.getfixturevalue("postgres_store_url"))


@pytest.mark.parametrize("kind", ONE_ORDER)
async def test_a_copy_reads_a_full_batch_at_a_time(url: str) -> None:
    count = 2 * A_BATCH + 1
    with opened(url) as log:
        append_large(log, count)
    if kind_of(url) == "sqlite":
        followers_file(file_of(url)).touch()
    async with reading(url) as reader:
        batches = [batch async for batch in reader.events()]
    assert [len(batch) for batch in batches] == [A_BATCH, A_BATCH, 1]
    assert [int(entry.stream[-12:]) for batch in batches for entry in batch] == list(range(count))


@pytest.mark.parametrize("kind", ONE_ORDER)
async def test_one_event_passes_however_large_it_is(url: str) -> None:
    with opened(url) as log:
        append_large(log, 2, size=2 * BATCH_BYTES)
        batches = await batches_of(EventStore(log), 500)
    assert [(len(each.events), each.is_cut) for each in batches] == [(1, True)] * 2
