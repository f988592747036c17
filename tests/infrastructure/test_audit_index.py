"""What every audit index does, on SQLite, on PostgreSQL and in Cosmos DB, where the log is the index."""

import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio
import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from application.audit.ports import Indexed, Wanted
from application.audit.rows import noted, rows_after
from application.event_log import PARTITION, position_of
from application.log_copy import Entry
from domain.errors import LeaseLost
from infrastructure.cosmos.audit_index import CosmosAuditIndex
from infrastructure.cosmos.log_container import SEGMENT_BYTES
from infrastructure.postgres.audit_index import PostgresAuditIndex
from infrastructure.postgres.database import PostgresDatabase
from infrastructure.postgres.leases import PostgresLeases
from infrastructure.sqlite.audit_index import SqliteAuditIndex
from infrastructure.sqlite.database import SqliteDatabase
from tests.application.logs import NO_ROOM, UNVERIFIED
from tests.audit_trail import AuditedLog, approval_id, audited_log, comment
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT, USER, Held, after

pytestmark = pytest.mark.anyio


MADE = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
COSMOS = [
    pytest.param(kind, marks=[pytest.mark.cosmos, UNVERIFIED]) for kind in ("cosmos", "cosmos in segments")
]


@pytest.fixture(params=[*MADE, *COSMOS])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AuditedLog]:
    """An empty log and its index."""
    url = request.getfixturevalue("postgres_store_url") if request.param == "postgres" else None
    cosmos = request.getfixturevalue("cosmos") if "cosmos" in request.param else None
    segment_bytes = NO_ROOM if "segments" in request.param else SEGMENT_BYTES
    async with audited_log(tmp_path, url, cosmos=cosmos, segment_bytes=segment_bytes) as opened:
        yield opened


only_made = pytest.mark.parametrize("log", MADE, indirect=True)
"""For an index that a follower makes."""


async def all_rows(log: AuditedLog) -> list[Indexed]:
    """What the index should hold, made from the log in one go."""
    return list(rows_after({}, map(noted, await log.entries())))


async def walked(log: AuditedLog, wanted: Wanted, limit: int) -> list[int]:
    """The positions on all pages."""
    found: list[int] = []
    while page := await log.stores.index.page(wanted, beyond=found[-1] if found else 0, limit=limit):
        found += [row.position for row in page]
    return found


async def backwards(log: AuditedLog, wanted: Wanted, limit: int) -> Sequence[Indexed]:
    """The newest."""
    return await log.stores.index.page(wanted, beyond=0, limit=limit, newest_first=True)


async def test_it_holds_each_event_of_the_log_once_and_in_order(log: AuditedLog) -> None:
    log.fill(each=5)
    await log.index(batch_size=4)
    assert await log.rows() == await all_rows(log)
    for partition in await log.store.partitions():
        assert await log.stores.index.reached(partition) == await log.store.head(partition)


@pytest.mark.parametrize(
    "odd", ["ann\x00", token_hex(20_000), "größer\x00" * 1_000], ids=["NUL", "long", "both"]
)
async def test_an_actor_that_no_index_takes_does_not_stop_the_trail(log: AuditedLog, odd: str) -> None:
    """Such events were stored before such names were refused; all tenants' trail stood still behind them."""
    first = comment(TENANT, 0, 1, "why")
    by = msgspec.structs.replace(first, meta=msgspec.structs.replace(first.meta, actor=odd))
    log.log.recorder.insert_events([log.log.stored(by)])
    log.append((f"{OTHER_TENANT}/0", 2))
    await log.index()
    assert await log.rows() == await all_rows(log)
    (kept,) = (row for row in await log.rows() if row.tenant == TENANT)
    assert odd[:3] == kept.actor[:3]
    found = await log.stores.index.page(Wanted(tenant=TENANT, actor=kept.actor), beyond=0, limit=5)
    assert [row.position for row in found] == [kept.position]


async def test_an_index_of_nothing_is_at_the_beginning(log: AuditedLog) -> None:
    assert await log.stores.index.reached(log.store.partition_of(TENANT)) is None
    assert await log.stores.index.heads() == []
    head = await log.stores.index.head(TENANT)
    assert (head.number, head.position) == (0, 0)
    assert await log.stores.index.page(Wanted(tenant=TENANT), beyond=0, limit=5) == []
    assert await log.stores.index.count(Wanted(tenant=TENANT, topic="x")) == 0
    assert await log.stores.index.find("nothing", 1) is None


FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"topic": "approval.commented"},
    {"topic": "approval.claimed"},
    {"aggregate_id": approval_id(1)},
    {"actor": USER},
    {"actor": USER, "aggregate_id": approval_id(2), "topic": "approval.commented"},
    {"correlation_id": "00000000-0000-0000-0000-0000000003e8"},
    {"after": after(seconds=3)},
    {"before": after(seconds=3)},
    {"after": after(seconds=2), "before": after(seconds=5), "actor": USER},
    {"after": after(days=1)},
    {"before": NOW},
    {"after_position": 11},
    {"before_position": 11},
    {"after_position": 5, "before_position": 20, "aggregate_id": approval_id(0)},
)


async def test_every_filter_finds_what_a_look_at_each_event_finds(log: AuditedLog) -> None:
    log.fill(each=6)
    await log.index()
    rows = await all_rows(log)
    for filters in FILTERS:
        wanted = Wanted(tenant=TENANT, **filters)
        expected = [row.position for row in rows if _matches(row, wanted)]
        for limit in (1, 4, 100):
            assert await walked(log, wanted, limit) == expected, filters
            newest = await backwards(log, wanted, limit)
            assert [row.position for row in newest] == expected[::-1][:limit], filters
        assert await log.stores.index.count(wanted) == len(expected), filters


def _matches(row: Indexed, wanted: Wanted) -> bool:
    def micro(moment: Any) -> int:
        return int(moment.timestamp() * 1_000_000)

    equal = {
        "topic": wanted.topic,
        "aggregate_id": wanted.aggregate_id,
        "actor": wanted.actor,
        "correlation_id": wanted.correlation_id,
    }
    return (
        row.tenant == wanted.tenant
        and all(value is None or getattr(row, name) == value for name, value in equal.items())
        and row.position > wanted.after_position
        and (wanted.before_position is None or row.position < wanted.before_position)
        and (wanted.after is None or row.at > micro(wanted.after))
        and (wanted.before is None or row.at < micro(wanted.before))
    )


async def test_times_that_are_not_in_the_logs_order_are_found_all_the_same(log: AuditedLog) -> None:
    """The clocks of instances differ; here by up to a minute."""
    moments = [*range(60)]
    random.Random(1).shuffle(moments)
    for number, seconds in enumerate(moments):
        state = b'{"at":"2026-11-22T22:%02d:%02dZ","meta":{}}' % divmod(600 + seconds, 60)
        log.log.recorder.insert_events([StoredEvent(f"{TENANT}/x/{number}", 1, "t", state)])
    await log.index()
    rows = await log.rows()
    for moment in (after(seconds=-20), after(seconds=11), after(seconds=40)):
        for wanted in (Wanted(tenant=TENANT, after=moment), Wanted(tenant=TENANT, before=moment)):
            assert await walked(log, wanted, 7) == [row.position for row in rows if _matches(row, wanted)]


@only_made
async def test_a_batch_that_comes_again_changes_nothing(log: AuditedLog) -> None:
    """A process was killed before it knew that it had been written, or another had written it."""
    log.fill(each=3)
    await log.index()
    before = await log.stores.index.heads(), await log.rows()
    entries = await log.entries()
    newest = entries[-1]
    position = position_of(newest.id, newest.stream, newest.version)
    await log.made_index.put(PARTITION, [noted(entry) for entry in entries], position, LEASE)
    await log.made_index.put(PARTITION, [noted(entry) for entry in entries[5:]], position, LEASE)
    assert (await log.stores.index.heads(), await log.rows()) == before


@pytest.mark.parametrize("log", ["sqlite"], indirect=True)
async def test_a_batch_of_which_one_row_fails_leaves_nothing_behind(log: AuditedLog) -> None:
    """A statement of several rows undoes none of them by itself: its transaction has to."""
    log.fill(each=1)
    await log.index()
    before = await log.stores.index.heads(), await log.rows()
    log.append((f"{TENANT}/0", 6), first_version=2)
    log.index_sql("UPDATE audit_events SET position = 9 WHERE position = 1")
    newest = (await log.entries())[-1]
    position = position_of(newest.id, newest.stream, newest.version)
    with pytest.raises(sqlite3.IntegrityError):
        await log.made_index.put(PARTITION, [noted(entry) for entry in await log.entries()], position, LEASE)
    log.index_sql("UPDATE audit_events SET position = 1 WHERE position = 9")
    assert (await log.stores.index.heads(), await log.rows()) == before
    await log.index()
    assert await log.rows() == await all_rows(log)


@only_made
async def test_another_log_is_indexed_anew(log: AuditedLog) -> None:
    log.fill(each=2)
    await log.index()
    log.sql("DELETE FROM EVENTS WHERE ID > 5")
    follower = log.follower()
    await follower.take_over(LEASE)
    assert await log.stores.index.reached(log.store.partition_of(TENANT)) is None
    await follower.catch_up(LEASE)
    assert await log.rows() == await all_rows(log)


async def test_the_heads_of_all_tenants_are_told(log: AuditedLog) -> None:
    log.append((f"{TENANT}/1", 3))
    log.append((f"{OTHER_TENANT}/1", 2))
    await log.index()
    heads = await log.stores.index.heads()
    assert [(head.tenant, head.number) for head in heads] == sorted([(TENANT, 3), (OTHER_TENANT, 2)])


async def test_the_streams_in_which_a_key_has_sealed_values_are_told(log: AuditedLog) -> None:
    state = b'{"at":"2026-11-22T22:00:00Z","meta":{},"sealed":[{"key":"%s"}]}'
    for tenant, number, key in [
        *((TENANT, number, b"k") for number in (3, 1, 2)),
        (TENANT, 4, b"another"),
        (OTHER_TENANT, 5, b"theirs"),
    ]:
        events = [StoredEvent(f"{tenant}/x/{number}", version, "t", state % key) for version in (1, 2)]
        log.log.recorder.insert_events(events)
    await log.index()
    index = log.stores.index
    assert await index.sealed_streams(TENANT, "k", "", 2) == [f"{TENANT}/x/1", f"{TENANT}/x/2"]
    assert await index.sealed_streams(TENANT, "k", f"{TENANT}/x/2", 2) == [f"{TENANT}/x/3"]
    assert await index.sealed_streams(OTHER_TENANT, "theirs", "", 9) == [f"{OTHER_TENANT}/x/5"]
    assert await index.sealed_streams(TENANT, "nobody's", "", 9) == []


@pytest.mark.parametrize("log", COSMOS, indirect=True)
async def test_no_page_of_sealed_streams_is_read_with_all_that_follow(log: AuditedLog) -> None:
    state = b'{"at":"2026-11-22T22:00:00Z","meta":{},"sealed":[{"key":"k"}]}'
    long = [StoredEvent(f"{TENANT}/x/00", version, "t", state) for version in range(1, 41)]
    log.log.recorder.insert_events(long)
    streams = [f"{TENANT}/x/{number:02}" for number in range(41)]
    log.log.recorder.insert_events([StoredEvent(stream, 1, "t", state) for stream in streams[1:]])
    index = log.stores.index
    assert isinstance(index, CosmosAuditIndex)
    asked, rows = index._items.items.query, 0

    async def counted(*what: Any) -> list[Any]:
        nonlocal rows
        answer = await asked(*what)
        rows += len(answer)
        return answer

    index._items.items.query = counted  # type: ignore[assignment, method-assign]
    found, after = list[str](), ""
    while page := await index.sealed_streams(TENANT, "k", after, 5):
        found += page
        after = page[-1]
    assert found == streams
    assert rows <= 2 * len(streams), "80 events: neither each page's followers nor all of a long stream"


def test_heads_have_no_index_that_nothing_asks_for(tmp_path: Path) -> None:
    """In SQLite, where a former release has made it. In PostgreSQL a migration takes it away."""

    async def opened() -> None:
        with closing(SqliteDatabase(tmp_path / "audit.db", synchronous="NORMAL")) as database:
            await SqliteAuditIndex(database).create()

    anyio.run(opened)
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        connection.execute("CREATE INDEX audit_heads_position ON audit_heads (position)")
    anyio.run(opened)
    with closing(sqlite3.connect(tmp_path / "audit.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE tbl_name = 'audit_heads'").fetchall()
    assert sorted(names) == [("audit_heads",), ("sqlite_autoindex_audit_heads_1",)]


@pytest.mark.postgres
async def test_who_has_lost_the_lease_adds_nothing(postgres_store_url: str) -> None:
    database = PostgresDatabase(postgres_store_url)
    await database.open()
    try:
        leases, index = PostgresLeases(database), PostgresAuditIndex(database)
        fence = (await leases.hold(["audit"], "one"))["audit"]
        await leases.release(["audit"], "one")
        assert (await leases.hold(["audit"], "two"))["audit"] != fence
        entry = Entry(1, f"{TENANT}/x/1", 1, "t", b"{}")
        with pytest.raises(LeaseLost):
            await index.put(PARTITION, [noted(entry)], position_of(1, entry.stream, 1), Held("audit", fence))
        assert await index.reached(PARTITION) is None
    finally:
        await database.close()
