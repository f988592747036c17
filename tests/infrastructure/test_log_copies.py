"""A log goes from each store to each, as it is or not at all."""

from pathlib import Path

import pytest

from application.log_copy import CannotCopy
from infrastructure.sqlite.event_store import followers_file
from tests.moved_logs import (
    EVENTS,
    NOTHING,
    appended,
    copied,
    due_now,
    file_of,
    filled,
    held,
    kind_of,
    opened,
    run,
)

pytestmark = pytest.mark.anyio

Pair = tuple[str, str]


@pytest.fixture
def sqlite_source(tmp_path: Path) -> str:
    (tmp_path / "source").mkdir()
    return f"sqlite:///{tmp_path / 'source' / 'events.db'}"


@pytest.fixture
def sqlite_target(tmp_path: Path) -> str:
    (tmp_path / "target").mkdir()
    return f"sqlite:///{tmp_path / 'target' / 'events.db'}"


@pytest.fixture(
    params=[
        pytest.param(("sqlite_source", "postgres_store_url"), marks=pytest.mark.postgres),
        pytest.param(("postgres_store_url", "sqlite_target"), marks=pytest.mark.postgres),
        pytest.param(("postgres_store_url", "other_postgres_store_url"), marks=pytest.mark.postgres),
        ("sqlite_source", "sqlite_target"),
    ],
    ids=["SQLite to PostgreSQL", "PostgreSQL to SQLite", "PostgreSQL to PostgreSQL", "SQLite to SQLite"],
)
def stores(request: pytest.FixtureRequest) -> Pair:
    """A source and a target, both empty."""
    source, target = request.param
    return request.getfixturevalue(source), request.getfixturevalue(target)


def changes(url: str) -> dict[str, list[str]]:
    """What somebody may have done to a log of 1,197 events, ids 3 to 1,200 but 400."""
    table, id = EVENTS[kind_of(url)]
    return {
        "one byte": [f"UPDATE {table} SET state = {_but_the_last_byte(url)} WHERE {id} = 1200"],
        "another id": [f"UPDATE {table} SET {id} = 1 WHERE {id} = 3"],
        "swapped order": [
            f"UPDATE {table} SET {id} = {new} WHERE {id} = {old}"
            for old, new in ((7, 9999), (8, 7), (9999, 8))
        ],
        "a missing event": [f"DELETE FROM {table} WHERE {id} = 600"],
    }


def _but_the_last_byte(url: str) -> str:
    return (
        "CAST(substr(state, 1, 255) || 'x' AS BLOB)"
        if kind_of(url) == "sqlite"
        else "set_byte(state, 255, 0)"
    )


def meddle(url: str) -> None:
    """Let the store itself change one byte of the last event that is written to it."""
    if kind_of(url) == "sqlite":
        appended(url, "t/job/0", 1)
        run(
            url,
            "DELETE FROM stored_events",
            "CREATE TRIGGER meddling AFTER INSERT ON stored_events WHEN new.rowid = 1200 BEGIN"
            f" UPDATE stored_events SET state = {_but_the_last_byte(url)} WHERE rowid = 1200; END",
        )
        return
    run(
        url,
        "CREATE FUNCTION meddling() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.notification_id = 1200 THEN new.state := set_byte(new.state, 255, 0); END IF; RETURN new;"
        " END $$",
        "CREATE TRIGGER meddling BEFORE INSERT ON workflow_orchestrator_events"
        " FOR EACH ROW EXECUTE FUNCTION meddling()",
    )


async def test_a_copy_holds_all_that_the_source_held(stores: Pair) -> None:
    source, target = stores
    before = await filled(source)
    result = await copied(*stores)
    assert held(target) == held(source) == before
    assert result.source == result.target
    assert result.source.count == len(before.events) == 1197
    assert result.timers == len(before.timers)
    assert due_now(target) == due_now(source) == 11


async def test_the_next_event_gets_the_next_id(stores: Pair) -> None:
    source, target = stores
    before = await filled(source)
    await copied(*stores)
    assert appended(target, "t/job/next", 1, 2) == [1201, 1202]
    assert held(target).events[:-2] == before.events


async def test_a_second_copy_verifies_and_writes_nothing(stores: Pair) -> None:
    source, target = stores
    before = await filled(source)
    first = await copied(*stores)
    run(target, "UPDATE follower_positions SET position = 'log-1200-later'", "SELECT 1", beside=True)
    second = await copied(*stores)
    assert (first.was_there, second.was_there) == (False, True)
    assert (second.source, second.target) == (first.source, first.target)
    assert held(target).events == before.events
    assert {row[2] for row in held(target).positions} == {"log-1200-later"}


@pytest.mark.parametrize("change", ["one byte", "another id", "swapped order", "a missing event"])
async def test_a_target_that_was_tampered_with_is_found_and_left_as_it_is(stores: Pair, change: str) -> None:
    await filled(stores[0])
    await copied(*stores)
    run(stores[1], *changes(stores[1])[change])
    tampered = held(stores[1])
    with pytest.raises(CannotCopy, match="the target holds"):
        await copied(*stores)
    assert held(stores[1]) == tampered


async def test_a_store_that_changes_what_is_written_is_found_and_everything_is_rolled_back(
    stores: Pair,
) -> None:
    await filled(stores[0])
    meddle(stores[1])
    with pytest.raises(CannotCopy, match="not what was read, so nothing was kept"):
        await copied(*stores)
    assert held(stores[1]) == NOTHING


async def test_a_source_with_a_damaged_event_leaves_nothing_in_the_target(stores: Pair) -> None:
    await filled(stores[0])
    table, id = EVENTS[kind_of(stores[0])]
    run(stores[0], f"UPDATE {table} SET topic = NULL WHERE {id} = 1200")
    with pytest.raises(CannotCopy, match=r"between the ids .* and 1200 is damaged"):
        await copied(*stores)
    assert held(stores[1]) == NOTHING


async def test_an_empty_log_is_copied_and_the_next_event_is_the_first(stores: Pair) -> None:
    await filled(stores[0], batches=0)
    result = await copied(*stores)
    assert (result.source.count, result.was_there) == (0, False)
    assert appended(stores[1], "t/job/first", 1) == [1]


async def test_what_lies_in_the_log_beside_the_file_is_read_too(
    sqlite_source: str, sqlite_target: str
) -> None:
    """As after a kill -9: the last events are in SQLite's write-ahead log, and nothing is written back."""
    await filled(sqlite_source)
    with opened(sqlite_source) as log:
        log.recorder.max_notification_id()
        newest = appended(sqlite_source, "t/job/next", 1)
        before = file_of(sqlite_source).read_bytes()
        await copied(sqlite_source, sqlite_target)
        assert file_of(sqlite_source).read_bytes() == before
    assert [row[0] for row in held(sqlite_target).events[-1:]] == newest


@pytest.mark.parametrize("missing", ["log", "followers"])
async def test_a_file_that_is_missing_is_told_and_not_made(
    missing: str, sqlite_source: str, sqlite_target: str
) -> None:
    await filled(sqlite_source)
    file = file_of(sqlite_source) if missing == "log" else followers_file(file_of(sqlite_source))
    file.unlink()
    with pytest.raises(CannotCopy, match=f"there is no {file}"):
        await copied(sqlite_source, sqlite_target)
    assert not file.exists()


@pytest.mark.postgres
async def test_a_text_that_postgresql_does_not_take_leaves_nothing_in_it(
    sqlite_source: str, postgres_store_url: str
) -> None:
    await filled(sqlite_source)
    run(sqlite_source, "UPDATE stored_events SET topic = 'a' || char(0) WHERE rowid = 1200")
    with pytest.raises(CannotCopy, match="0x00"):
        await copied(sqlite_source, postgres_store_url)
    assert held(postgres_store_url) == NOTHING
