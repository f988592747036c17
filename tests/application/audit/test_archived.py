"""What is left of an archived event: the chain goes on over it, and it hides no change."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.archived_state import archived_event, archived_leaf, archived_state, left_of
from application.audit.chain import Head, beginning_of, leaf_in_log, leaf_of, link_after
from application.log_copy import Entry
from domain.archived import Moved
from tests.application.logs import open_logs, sqlite_settings
from tests.audit_trail import audited_log, comment, kinds
from tests.builders import TENANT

pytestmark = pytest.mark.anyio

MOVED = Moved(sha256="ab" * 32, events=2, at="2026-11-27T10:00:00.000Z", by="system:root", why="old")


def archived(entry: Entry) -> Entry:
    """The same in its place, in an archive."""
    leaf = leaf_of(entry.stream, entry.version, entry.topic, entry.state)
    state = archived_state(
        entry.state, leaf=leaf, archive="2026-1", moved=MOVED if entry.version == 1 else None
    )
    return Entry(entry.id, entry.stream, entry.version, entry.topic, state)


@settings(max_examples=30, deadline=None)
@given(gone=st.lists(st.booleans(), min_size=1, max_size=8))
def test_the_chain_is_the_same_whatever_is_archived(
    tmp_path_factory: pytest.TempPathFactory, gone: list[bool]
) -> None:
    with open_logs(sqlite_settings(tmp_path_factory.mktemp("log"))) as logs:
        log = logs.open()
        stored = [log.stored(comment(TENANT, 1, version)) for version in range(1, len(gone) + 1)]
    events = [
        Entry(id, str(each.originator_id), each.originator_version, each.topic, each.state)
        for id, each in enumerate(stored, start=1)
    ]
    assert chain(events) == chain(
        [archived(each) if is_gone else each for each, is_gone in zip(events, gone, strict=True)]
    )


def chain(events: list[Entry]) -> bytes:
    head = beginning_of(TENANT)
    for event in events:
        link = link_after(head, event)
        head = Head(tenant=TENANT, number=link.number, position=event.id, chain=link.chain)
    return head.chain


@pytest.mark.parametrize(
    "state",
    [
        b'{"archived":',
        b'{"archived":[]}',
        b'{"archived":["x","AAAA",1,"2026-11-27T10:00:00Z","a","c"]}',
        b"{}",
    ],
)
def test_what_only_begins_like_one_is_hashed_as_it_stands(state: bytes) -> None:
    assert archived_leaf(state) is None
    assert leaf_in_log(Entry(1, "t/a/1", 1, "topic", state)) == leaf_of("t/a/1", 1, "topic", state)


def test_who_when_and_under_what_stays(tmp_path: Path) -> None:
    recorded = comment(TENANT, 1, 1)
    with open_logs(sqlite_settings(tmp_path)) as logs:
        state = logs.open().stored(recorded).state
    entry = archived(Entry(1, recorded.stream, 1, recorded.event.TOPIC, state))
    left = archived_event(entry.stream, 1, entry.topic, entry.state)
    assert (left.timestamp, left.meta.actor) == (recorded.timestamp, recorded.meta.actor)
    assert left.meta.correlation_id == recorded.meta.correlation_id
    assert (left.topic, left.archive, left.moved) == (
        "approval.commented",
        f"{TENANT}-2026-1.ndjson.gz",
        MOVED,
    )
    assert len(entry.state) < 600


async def test_what_hides_a_change_is_found(tmp_path: Path) -> None:
    async with audited_log(tmp_path) as log:
        log.fill(each=3)
        await log.anchor()
        entries = await log.entries()
        await _put(log.sql, archived(entries[0]))
        assert (await log.verify())["sound"]
        changed = Entry(
            entries[1].id,
            entries[1].stream,
            entries[1].version,
            entries[1].topic,
            entries[1].state.replace(b"why", b"how"),
        )
        await _put(log.sql, archived(changed))
        assert left_of((await log.entries())[1].state) is not None
        assert set(kinds(await log.verify())) == {"edited", "anchor_contradicted"}


async def _put(sql: object, entry: Entry) -> None:
    assert callable(sql)
    sql("UPDATE EVENTS SET state = ? WHERE ID = ?", entry.state, entry.id)
