"""Documents that are built beside the live ones in SQLite, and take their place at once."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path

import pytest

from infrastructure.sqlite.builds import SqliteBuilds
from infrastructure.sqlite.checkpoints import SqliteCheckpoints
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from projections.building import Progress
from projections.ports import Document, Documents, Query
from tests.builders import LEASE, NOW, OTHER_TENANT, TENANT
from tests.infrastructure.test_documents import LastingDocumentsCases
from tests.infrastructure.things import OTHERS, THINGS, ids, thing

pytestmark = pytest.mark.anyio

CONTAINERS = [THINGS, OTHERS]
PROGRESS = Progress(5, left=0, rate=100.0, at=NOW, positions={"log": "log-5-0123456789ab"})


@asynccontextmanager
async def live(folder: Path) -> AsyncIterator[SqliteDocuments]:
    """The documents as a service has them."""
    database = SqliteDatabase(folder / "documents.db", synchronous="NORMAL")
    try:
        documents = SqliteDocuments(database)
        await documents.create(CONTAINERS)
        await SqliteCheckpoints(database).create()
        yield documents
    finally:
        database.close()


@contextmanager
def building(folder: Path) -> Iterator[SqliteBuilds]:
    builds = SqliteBuilds(folder / "documents.db")
    try:
        yield builds
    finally:
        builds.close()


async def swapped(folder: Path, *things: Document, recipe: str = "one") -> None:
    """Build these, and let them take the place of the live ones."""
    with building(folder) as builds:
        await builds.begin(CONTAINERS, recipe)
        await builds.write({"things": things}, PROGRESS, {})
        await builds.index()
        async with builds.locked():
            await builds.go_live(PROGRESS.positions)
        await builds.tidy(recipe)


def schema(folder: Path) -> dict[str, str]:
    """Tables, triggers and indexes, by name."""
    with closing(sqlite3.connect(folder / "documents.db")) as connection:
        found = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: kind for name, kind in found.items() if name not in ("generations", "builds")}


class TestSqliteDocumentsOfALaterGeneration(LastingDocumentsCases):
    """What was built beside and took the place does all that documents do, also when it is opened again."""

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Documents]:
        async with live(folder) as documents:
            if not (folder / "swapped").exists():
                await swapped(folder)
                (folder / "swapped").touch()
            yield documents


async def test_what_was_built_takes_the_place_at_once_with_lists_and_numbers(tmp_path: Path) -> None:
    async with live(tmp_path) as documents:
        await documents.put(THINGS, [thing("old", kind="x", asked=["ada"])])
        with building(tmp_path) as builds:
            await builds.begin(CONTAINERS, "one")
            built = [thing(f"{n}", version=3, kind="x", asked=["bob"]) for n in range(3)]
            await builds.write({"things": built}, PROGRESS, {})
            await builds.index()
            assert ids(await documents.query(THINGS, TENANT, Query())) == ["old"]
            async with builds.locked():
                await builds.go_live(PROGRESS.positions)
                assert ids(await documents.query(THINGS, TENANT, Query())) == ["old"]
            for query, expected in (
                (Query(), 3),
                (Query(equal={"kind": "x"}, limit=1), 3),
                (Query(any_of={"asked": ["bob"]}, limit=1), 3),
                (Query(any_of={"asked": ["ada"]}), 0),
            ):
                assert (await documents.query(THINGS, TENANT, query)).total == expected
            await documents.put(
                THINGS, [thing("1", version=4, kind="y", asked=["ada"]), thing("2", version=3)]
            )
        assert (await documents.query(THINGS, TENANT, Query(equal={"kind": "y"}))).total == 1
        assert ids(await documents.query(THINGS, TENANT, Query(any_of={"asked": ["ada"]}))) == ["1"]
        assert await documents.get(THINGS, TENANT, "2") == built[2]


async def test_nothing_of_former_generations_is_left_and_nothing_is_made_anew_at_a_start(
    tmp_path: Path,
) -> None:
    async with live(tmp_path) as documents:
        await documents.put(THINGS, [thing("old", kind="x", asked=["ada"])])
    before = schema(tmp_path)
    for _ in range(3):
        await swapped(tmp_path, thing("new", kind="x", asked=["ada"]))
    after = schema(tmp_path)
    assert {name.replace("--4", "") for name in after} == set(before)
    with closing(sqlite3.connect(tmp_path / "documents.db")) as connection:
        pages = "SELECT name, rootpage FROM sqlite_master ORDER BY name"
        roots = connection.execute(pages).fetchall()
        async with live(tmp_path):
            assert connection.execute(pages).fetchall() == roots


async def test_the_position_goes_with_the_documents(tmp_path: Path) -> None:
    async with live(tmp_path):
        await swapped(tmp_path)
        database = SqliteDatabase(tmp_path / "documents.db", synchronous="NORMAL")
        assert await SqliteCheckpoints(database).load("things", "log", LEASE) == PROGRESS.positions["log"]
        database.close()


async def test_a_build_is_found_again_by_the_same_recipe_alone(tmp_path: Path) -> None:
    async with live(tmp_path):
        with building(tmp_path) as builds:
            assert await builds.begin(CONTAINERS, "one") == {"things": None, "other_things": None}
            await builds.write({"things": [thing("a")]}, PROGRESS, {})
        with building(tmp_path) as builds:
            assert await builds.begin([THINGS], "one") == {"things": PROGRESS}
            assert list(await builds.get_many(THINGS, [(TENANT, "a"), (OTHER_TENANT, "a")])) == [
                (TENANT, "a")
            ]
        with building(tmp_path) as builds:
            assert await builds.begin(CONTAINERS, "another") == {"things": None, "other_things": None}
            assert await builds.get_many(THINGS, [(TENANT, "a")]) == {}
            await builds.write({"things": [thing("b")]}, PROGRESS, {})
            assert await builds.begin(CONTAINERS, "another", anew=True) == {
                "things": None,
                "other_things": None,
            }
            assert await builds.get_many(THINGS, [(TENANT, "b")]) == {}


async def test_what_fails_while_it_is_locked_leaves_the_live_documents(tmp_path: Path) -> None:
    async with live(tmp_path) as documents:
        await documents.put(THINGS, [thing("old")])
        with building(tmp_path) as builds:
            await builds.begin(CONTAINERS, "one")
            await builds.index()
            with suppress(OSError):
                async with builds.locked():
                    await builds.go_live(PROGRESS.positions)
                    raise OSError("gone")
            assert ids(await documents.query(THINGS, TENANT, Query())) == ["old"]
            assert await builds.begin(CONTAINERS, "one") == {"things": None, "other_things": None}


async def test_a_container_that_was_never_live_is_made_by_its_build(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "documents.db", synchronous="NORMAL")
    await SqliteCheckpoints(database).create()
    database.close()
    await swapped(tmp_path, thing("a", kind="x"))
    async with live(tmp_path) as documents:
        assert (await documents.query(THINGS, TENANT, Query(equal={"kind": "x"}))).total == 1


async def test_a_file_of_a_release_before_is_swapped_too(tmp_path: Path) -> None:
    """Its triggers keep the numbers of all containers in one table."""
    async with live(tmp_path) as documents:
        await documents.put(THINGS, [thing("old", kind="x")])
    with closing(sqlite3.connect(tmp_path / "documents.db")) as connection:
        connection.execute("CREATE TABLE document_counts (container, tenant, field, value, number)")
        for name in ("things", "other_things"):
            connection.execute(
                f'CREATE TRIGGER "{name}_added" AFTER INSERT ON "{name}" BEGIN INSERT INTO document_counts'
                f" VALUES ('{name}', new.tenant, '', '', 1); END"
            )
    await swapped(tmp_path, thing("a", kind="x"), thing("b", kind="x"))
    async with live(tmp_path) as documents:
        assert (await documents.query(THINGS, TENANT, Query(equal={"kind": "x"}))).total == 2
    assert "document_counts" not in schema(tmp_path)
