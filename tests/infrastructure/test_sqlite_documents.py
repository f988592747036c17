"""Documents in SQLite: what holds for all stores, and what is this one's own."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from threading import Event
from uuid import uuid4

import anyio
import msgspec
import pytest

from domain.errors import StoreUnavailable
from infrastructure.sqlite import database as sqlite_database
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments, by_keys
from projections.ports import Document, Documents, Query
from tests.builders import OTHER_TENANT, TENANT
from tests.infrastructure.test_documents import LastingDocumentsCases
from tests.infrastructure.things import OTHERS, THINGS, ids, thing

pytestmark = pytest.mark.anyio


class TestSqliteDocuments(LastingDocumentsCases):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Documents]:
        database = SqliteDatabase(folder / "documents.db", synchronous="NORMAL")
        try:
            documents = SqliteDocuments(database)
            await documents.create([THINGS, OTHERS])
            yield documents
        finally:
            database.close()

    async def test_a_file_that_another_process_locks_is_unavailable_for_writing_and_comes_back(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlite_database, "_LOCK_TIMEOUT_SECONDS", 0.05)
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [thing("a")])
            other = sqlite3.connect(tmp_path / "documents.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                await documents.put(THINGS, [thing("b")])
            assert await documents.get(THINGS, TENANT, "a") == thing("a")
            other.execute("ROLLBACK")
            other.close()
            await documents.put(THINGS, [thing("b")])
            assert await documents.get(THINGS, TENANT, "b") == thing("b")

    async def test_documents_of_a_file_that_kept_no_counts_are_counted_when_it_is_opened(
        self, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [thing(str(n), kind="a" if n % 2 else "b") for n in range(7)])
            await documents.put(THINGS, [thing("x", tenant=OTHER_TENANT, kind="a")])
        for file in tmp_path.glob("*.db"):
            with closing(sqlite3.connect(file)) as connection, connection:
                connection.execute("DROP TABLE things_counts")
                connection.execute("CREATE TABLE document_counts (container, tenant, field, value, number)")
                for (name,) in connection.execute(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                ).fetchall():
                    connection.execute(f'DROP TRIGGER "{name}"')
                connection.execute("DELETE FROM things WHERE id = '6'")
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [thing("new", kind="a")])
            for tenant, equal, expected in (
                (TENANT, {}, 7),
                (TENANT, {"kind": "a"}, 4),
                (TENANT, {"kind": "b"}, 3),
                (OTHER_TENANT, {"kind": "a"}, 1),
            ):
                page = await documents.query(THINGS, tenant, Query(equal=equal, limit=1))
                assert page.total == expected, (tenant, equal)

    async def test_a_number_keeps_its_very_text(self, tmp_path: Path) -> None:
        body = b'{"id":"a","tenantId":"t","createdAt":"2026","n":[1.0,1e3,18446744073709551617]}'
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [Document("t", "a", 1, body)])
            assert await documents.get(THINGS, "t", "a") == Document("t", "a", 1, body)

    async def test_a_batch_is_written_whole_or_not_at_all(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as documents:
            broken = Document(TENANT, "b", 1, b"no json")
            with pytest.raises(StoreUnavailable, match="malformed"):
                await documents.put(THINGS, [thing("a"), broken])
            assert await documents.get(THINGS, TENANT, "a") is None

    async def test_a_list_asks_the_index_and_does_not_sort(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [thing(str(number), kind="x") for number in range(50)])
        connection = sqlite3.connect(tmp_path / "documents.db")
        by_kind, by_status = (f" AND json_extract(body, '$.{field}') = 'x'" for field in ("kind", "status"))
        for filtered, index in (
            ("", "things_newest"),
            (by_kind, "things_kind"),
            (by_kind + by_status, "things_kind_status"),
        ):
            for direction in ("DESC", "ASC"):
                plan = connection.execute(
                    f"EXPLAIN QUERY PLAN SELECT id FROM things WHERE tenant = ?{filtered}"
                    f" ORDER BY json_extract(body, '$.createdAt') {direction}, id {direction} LIMIT 5",
                    (TENANT,),
                ).fetchall()
                assert f"INDEX {index} (" in str(plan)
                assert "TEMP B-TREE" not in str(plan)
        connection.close()

    async def test_many_documents_are_looked_up_and_not_looked_for(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path):
            pass
        keys = msgspec.json.encode([(TENANT, str(number)) for number in range(200)]).decode()
        with closing(sqlite3.connect(tmp_path / "documents.db")) as connection, connection:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {by_keys(THINGS)}", [keys]).fetchall()
        steps = [row[3] for row in plan]
        assert any(step.startswith("SEARCH document USING INDEX") and "id=?" in step for step in steps), steps
        assert not any(step.startswith(("SCAN document", "SCAN things")) for step in steps), steps

    async def test_a_short_page_does_not_wait_for_the_threads_of_long_ones(self, tmp_path: Path) -> None:
        database, release = SqliteDatabase(tmp_path / "documents.db", synchronous="NORMAL"), Event()
        documents = SqliteDocuments(database)
        await documents.create([THINGS])
        await documents.put(THINGS, [thing("a", kind="x")])
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(database.read, lambda _: release.wait())
            await anyio.wait_all_tasks_blocked()
            try:
                with anyio.fail_after(5):
                    page = await documents.query(THINGS, TENANT, Query(equal={"kind": "x"}, room=1_000))
                waited = []
                for long in (Query(sort_from="2026", room=1_000), Query(limit=1_000, room=1_000), Query()):
                    with anyio.move_on_after(0.1) as patience:
                        await documents.query(THINGS, TENANT, long)
                    waited.append(patience.cancelled_caught)
            finally:
                release.set()
        database.close()
        assert (ids(page), page.total, waited) == (["a"], 1, [True, True, True])

    async def test_documents_among_many_cost_few_writes_each(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as documents:
            await documents.put(THINGS, [thing(str(uuid4()), kind=str(uuid4())) for _ in range(3_000)])
            among_many = [thing(str(uuid4()), kind=str(uuid4())) for _ in range(500)]
            before = _writes_of_this_process()
            await documents.put(THINGS, among_many)
            assert _writes_of_this_process() - before < 6 * len(among_many)

    async def test_a_closed_file_is_unavailable_and_not_broken(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as documents:
            pass
        for work in (documents.ping(), documents.get(THINGS, TENANT, "a"), documents.put(THINGS, [])):
            with pytest.raises(StoreUnavailable, match="closed"):
                await work

    def test_a_file_that_is_no_database_is_said_to_be_none(self, tmp_path: Path) -> None:
        (tmp_path / "documents.db").write_text("a letter, and not a database " * 40)
        with pytest.raises(StoreUnavailable, match=r"not a database \(docs/runbooks/store-outage.md says"):
            SqliteDatabase(tmp_path / "documents.db", synchronous="NORMAL")

    async def test_a_file_whose_pages_are_damaged_is_said_to_be_so_and_what_to_do(
        self, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path):
            pass
        file = tmp_path / "documents.db"
        file.write_bytes(file.read_bytes()[:4096])
        with pytest.raises(StoreUnavailable, match=r"malformed \(docs/runbooks/store-outage.md says"):
            async with self.opened(tmp_path):
                pass

    def test_a_folder_that_is_missing_is_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable, match="unable to open"):
            SqliteDatabase(tmp_path / "missing" / "documents.db", synchronous="NORMAL")


def _writes_of_this_process() -> int:
    (told,) = (line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("syscw"))
    return int(told.split()[1])
