"""Makes documents in ``DATA_DIR`` and in Cosmos DB again, in the command that erases.

A running service also does that when it reaches the erasure. The command does not rely on it, because no
service may be running, and makes all documents again that it can reach. Unfinished builds of these documents
are deleted.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from sqlite3 import Connection

from application.event_store import EventStore
from config.commands.rebuild import SCRATCH_FILE as REBUILT_FILE
from config.commands.rebuild import delete_database
from config.commands.verify import SCRATCH_FILE as COMPARED_FILE
from config.folders import REBUILD, claim
from config.projections import Projections
from config.sections import Settings
from config.start import CannotStart
from config.stores import DOCUMENTS_FILE
from infrastructure.cosmos.observing import unobserved
from infrastructure.sqlite.builds import SqliteBuilds
from infrastructure.sqlite.database import SqliteDatabase
from infrastructure.sqlite.documents import SqliteDocuments
from infrastructure.sqlite.event_store import followers_file
from projections.ports import MendableDocuments
from projections.projection import Projection
from projections.remaking import Remaker


class ErasedDocuments:
    """Makes documents again, once for every key that was destroyed."""

    def __init__(self, settings: Settings, store: EventStore, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._store = store
        self._stack = stack
        self.said: list[str] = []
        """What was done, and what is left to services."""

    async def remake(self, streams: Sequence[str]) -> None:
        """Make the documents of some streams again.

        Raises:
            CannotStart, StoreUnavailable: they cannot be reached.
        """
        folder = self._settings.storage.data_dir
        projections = Projections.named_by(self._settings).all()
        await self._throw_builds_away(projections)
        if self._settings.cosmos_db.endpoint:
            await self._remake(await self._cosmos(projections), projections, streams)
            self._say("documents in Cosmos DB are made again")
        if (path := folder / DOCUMENTS_FILE).is_file():  # also one from before Cosmos DB
            await self._remake_file(path, projections, streams)
            self._say(f"documents in {folder} are made again")
        elif not self._settings.cosmos_db.endpoint:
            self._say(f"there are no documents in {folder}: those elsewhere are made again by their services")
        await self._overwrite_calls()

    async def _remake_file(
        self, path: Path, projections: Sequence[Projection], streams: Sequence[str]
    ) -> None:
        file = SqliteDatabase(path, synchronous="NORMAL")
        try:
            there = await file.read(_tables)
            chosen = [each for each in projections if each.container.name in there]
            await self._remake(SqliteDocuments(file), chosen, streams)
            await file.overwrite_freed()
        finally:
            file.close()

    async def _remake(
        self, documents: MendableDocuments, projections: Sequence[Projection], streams: Sequence[str]
    ) -> None:
        for projection in projections:
            await Remaker(projection, documents, self._store.load_left).remake(streams)

    async def _overwrite_calls(self) -> None:
        """Overwrite calls of steps that were made: with their inputs they may still be in the write-ahead log
        beside an embedded log."""
        url = self._settings.storage.effective_event_store_url.get_secret_value()
        file = followers_file(Path(url.removeprefix("sqlite:///")))
        if url.startswith("sqlite:///") and file.is_file():
            followers = SqliteDatabase(file, synchronous="NORMAL")
            try:
                await followers.overwrite_freed()
            finally:
                followers.close()

    async def _cosmos(self, projections: Sequence[Projection]) -> MendableDocuments:
        from config.cosmos import open_cosmos

        containers = [each.container for each in projections]
        documents, _ = await open_cosmos(
            self._settings, containers, self._stack, unobserved, as_they_are=True
        )
        return documents

    async def _throw_builds_away(self, projections: Sequence[Projection]) -> None:
        """Delete what a killed rebuild has left unfinished, because it may never be continued. A running
        rebuild makes its documents again."""
        folder = self._settings.storage.data_dir
        async with AsyncExitStack() as claimed:
            try:
                claim(folder, "storage.data_dir", claimed, to=REBUILD)
            except CannotStart:
                return
            for name in (REBUILT_FILE, COMPARED_FILE):
                delete_database(folder / name)
            if (path := folder / DOCUMENTS_FILE).is_file():
                await _throw_away(path, projections)

    def _say(self, what: str) -> None:
        if what not in self.said:
            self.said.append(what)


async def _throw_away(path: Path, projections: Sequence[Projection]) -> None:
    site = SqliteBuilds(path)
    try:
        await site.throw_away([each.container for each in projections])
    finally:
        site.close()


def _tables(connection: Connection) -> set[str]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name for (name,) in names}
