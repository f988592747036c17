"""How SQLite keeps what lists hold beside the documents, and asks it."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from infrastructure.sqlite.conditions import Conditions
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from infrastructure.sqlite.pages import along_list, at_places
from infrastructure.sqlite.totals import total_of
from projections.ports import Container, Query
from tests.builders import OTHER_TENANT, TENANT
from tests.infrastructure.things import OTHERS, THINGS, ids, thing

pytestmark = pytest.mark.anyio

INBOX = Query(any_of={"asked": ["ada", "bob"]}, none_of={"done": "ada"}, equal={"kind": "x"})
LATE = Query(below={"due": "2027"}, equal={"kind": "x"})


@asynccontextmanager
async def opened(folder: Path, container: Container = THINGS) -> AsyncIterator[SqliteDocuments]:
    database = SqliteDatabase(folder / "documents.db", synchronous="NORMAL")
    try:
        documents = SqliteDocuments(database)
        await documents.create([container, OTHERS])
        yield documents
    finally:
        database.close()


@contextmanager
def looked_into(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "documents.db", isolation_level=None)) as connection:
        yield connection


def rows(folder: Path) -> list[tuple[str, str, str]]:
    with looked_into(folder) as connection:
        return connection.execute("SELECT field, value, id FROM things_lists ORDER BY 1, 2, 3").fetchall()


async def test_the_lists_of_a_file_from_before_are_taken_in_when_it_is_opened(tmp_path: Path) -> None:
    before = msgspec.structs.replace(THINGS, list_fields=())
    async with opened(tmp_path, before) as documents:
        await documents.put(before, [thing(f"{n}", asked=["ada"], kind="xy"[n % 2]) for n in range(6)])
        await documents.put(before, [thing("6"), thing("7", tenant=OTHER_TENANT, asked=["ada"], kind="x")])
    for _ in range(2):
        async with opened(tmp_path) as documents:
            page = await documents.query(THINGS, TENANT, INBOX)
            assert (ids(page), page.total) == (["4", "2", "0"], 3)
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing("8", asked=["bob"], kind="x")])
        assert ids(await documents.query(THINGS, TENANT, INBOX)) == ["8", "4", "2", "0"]


@pytest.mark.parametrize(
    "before",
    [
        msgspec.structs.replace(THINGS, filter_fields=("status",), filters_together=()),
        msgspec.structs.replace(THINGS, list_fields=("done", "watched")),
        msgspec.structs.replace(THINGS, sort_field="due"),
        msgspec.structs.replace(THINGS, below_fields=()),
    ],
    ids=["filters", "lists", "order", "below"],
)
async def test_a_file_with_other_lists_or_filters_is_taken_in_anew(tmp_path: Path, before: Container) -> None:
    things = [thing("a", asked=["ada"], kind="x", due="2026"), thing("b", asked=["bob"], kind="y")]
    async with opened(tmp_path, before) as documents:
        await documents.put(before, things)
    async with opened(tmp_path) as documents:
        assert ids(await documents.query(THINGS, TENANT, INBOX)) == ["a"]
        await documents.put(THINGS, [thing("b", version=2, asked=["bob"], kind="x")])
        assert ids(await documents.query(THINGS, TENANT, INBOX)) == ["b", "a"]
        for query in (LATE, msgspec.structs.replace(INBOX, below=LATE.below)):
            assert ids(await documents.query(THINGS, TENANT, query)) == ["a"]


async def test_a_document_whose_lists_do_not_change_writes_no_rows(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing("a", asked=["ada"], done=["bob"], kind="x")])
        with looked_into(tmp_path) as connection:
            connection.execute("DELETE FROM things_lists")
        await documents.put(
            THINGS, [thing("a", version=2, asked=["ada"], done=["bob"], kind="x", note="new")]
        )
        assert rows(tmp_path) == []
        await documents.put(THINGS, [thing("a", version=3, asked=["ada"], done=["bob", "cyd"], kind="x")])
        assert rows(tmp_path) == [("asked", "ada", "a"), ("done", "bob", "a"), ("done", "cyd", "a")]


async def test_a_list_that_changes_writes_the_rows_that_change(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing("a", done=["ada", "bob"], kind="x")])
        with looked_into(tmp_path) as connection:
            connection.execute("""UPDATE things_lists SET "$.kind" = 'seen'""")
            await documents.put(THINGS, [thing("a", version=2, done=["bob", "cyd"], kind="x")])
            kept = connection.execute("""SELECT value, "$.kind" FROM things_lists""").fetchall()
            assert kept == [("bob", "seen"), ("cyd", "x")]
            await documents.put(THINGS, [thing("a", version=3, done=["bob", "cyd"], kind="y")])
            moved = connection.execute("""SELECT value, "$.kind" FROM things_lists""").fetchall()
            assert moved == [("bob", "y"), ("cyd", "y")]


async def test_a_document_that_is_deleted_takes_its_rows_along(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing(id, asked=["ada", "ada", "bob"]) for id in "ab"])
        with looked_into(tmp_path) as connection:
            connection.execute("DELETE FROM things WHERE id = 'a'")
        assert rows(tmp_path) == [("asked", "ada", "b"), ("asked", "bob", "b")]
        await documents.clear(THINGS)
        assert rows(tmp_path) == []


async def test_a_document_that_is_made_again_or_taken_away_is_counted_as_that(tmp_path: Path) -> None:
    async def totals(documents: SqliteDocuments) -> list[int]:
        queries = (Query(), Query(equal={"kind": "x"}), Query(equal={"kind": "y"}))
        return [(await documents.query(THINGS, TENANT, query)).total for query in queries]

    before = {id: thing(id, kind="x", status="s") for id in "abc"}
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, list(before.values()))
        again = thing("a", kind="y", status="s")
        assert not await documents.replace(THINGS, {(TENANT, "a"): (before["a"], again)})
        assert await totals(documents) == [3, 2, 1]
        assert not await documents.replace(THINGS, {(TENANT, "b"): (before["b"], None)})
        assert await totals(documents) == [2, 1, 1]
        await documents.clear(THINGS)
        assert await totals(documents) == [0, 0, 0]
        await documents.put(THINGS, [again])
        assert await totals(documents) == [1, 0, 1]


async def test_counts_of_a_release_that_did_not_see_what_went_are_counted_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing("a", kind="x")])
        with looked_into(tmp_path) as connection:
            connection.execute("DROP TRIGGER things_counts_removed")
            connection.execute("DELETE FROM things")
    async with opened(tmp_path) as documents:
        assert (await documents.query(THINGS, TENANT, Query())).total == 0


async def test_a_number_is_not_below_a_text(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing("a", asked=["ada"], due=7, until=7)])
        await documents.put(THINGS, [thing("b", asked=["ada"], due="2026", until="2026")])
        for field in ("due", "until"):
            for any_of in ({}, {"asked": ["ada"]}):
                page = await documents.query(THINGS, TENANT, Query(below={field: "2027"}, any_of=any_of))
                assert (ids(page), page.total) == (["b"], 1)


async def test_a_list_that_nobody_keeps_is_not_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        for query in (Query(any_of={"asked": ["a"], "seen": ["b"]}), Query(none_of={"seen": "b"})):
            with pytest.raises(ValueError, match="things keeps no lists in seen"):
                await documents.query(THINGS, TENANT, query)


@pytest.mark.parametrize("oldest_first", [False, True])
async def test_a_page_walks_along_the_rows_in_their_order_and_looks_the_rest_up(
    tmp_path: Path, oldest_first: bool
) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(THINGS, [thing("a", asked=["ada"])])
    query = msgspec.structs.replace(INBOX, oldest_first=oldest_first, after=("2026", "a"))
    conditions = Conditions(THINGS, TENANT, query)
    with looked_into(tmp_path) as connection:
        statement = along_list(THINGS, query, conditions)
        walk = plan_of(connection, statement, conditions.parameters | {"text": "ada", "most": 51})
        look_up = plan_of(connection, at_places(THINGS), [TENANT, "[]"])
    key = "(tenant=? AND field=? AND value=? AND (sort,id)" + (">" if oldest_first else "<") + "(?,?))"
    assert walk[0] == f"SEARCH held USING PRIMARY KEY {key}"
    assert "SEARCH other USING PRIMARY KEY (tenant=? AND field=? AND value=? AND sort=? AND id=?)" in walk
    assert not any("TEMP B-TREE" in step or "document" in step for step in walk)
    assert look_up[1].startswith("SEARCH document USING INDEX")
    assert "id=?" in look_up[1]


async def test_an_inbox_is_counted_without_a_look_at_a_document(tmp_path: Path) -> None:
    async with opened(tmp_path) as documents:
        await documents.put(
            THINGS,
            [
                thing(
                    f"{n:02}", asked=["ada", "bob"][: n % 3], done=["ada", "cyd"][: n % 2], kind="x", due="1"
                )
                for n in range(30)
            ],
        )
    asked: list[str] = []
    with looked_into(tmp_path) as connection:
        connection.set_trace_callback(asked.append)
        for query in (INBOX, msgspec.structs.replace(INBOX, below=LATE.below)):
            assert total_of(connection, THINGS, TENANT, query) == 10
        connection.set_trace_callback(None)
        for statement in asked:
            plan = plan_of(connection, statement, [])
            assert not any("document" in step or "SCAN things" in step for step in plan), plan
    assert asked


async def test_what_is_late_is_counted_without_a_look_at_the_body_of_a_document(tmp_path: Path) -> None:
    before = msgspec.structs.replace(THINGS, below_fields=())
    async with opened(tmp_path, before) as documents:
        await documents.put(before, [thing("a", kind="x", due="2026"), thing("b", kind="x", due="2028")])
    async with opened(tmp_path):
        pass
    asked: list[str] = []
    with looked_into(tmp_path) as connection:
        connection.set_trace_callback(asked.append)
        assert total_of(connection, THINGS, TENANT, LATE) == 1
        connection.set_trace_callback(None)
        (statement,) = asked
        assert "INDEX things_kind" in str(plan_of(connection, statement, []))
        steps = connection.execute(f"EXPLAIN {statement}").fetchall()
    assert not any("json" in str(step) for step in steps)


def plan_of(connection: sqlite3.Connection, statement: str, parameters: object) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]  # type: ignore[arg-type]
