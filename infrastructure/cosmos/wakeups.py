"""Wakes our followers when other processes append to a log in Cosmos DB.

Each instance keeps one small document with the tenants to whose logs it has appended recently, and every
instance reads all of these documents twice a second. That costs the same however many tenants there are. Such
news may get lost, so each tenant's end is also read once a minute, one after the other, and new tenants are
found.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

import anyio
import structlog
from anyio.to_thread import run_sync

from application.event_log import number_of
from application.event_store import EventStore
from application.supervised import Supervised
from domain.errors import StoreUnavailable
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items
from infrastructure.cosmos.recorder import CosmosLogRecorder

_LOOK_AT_ALL_SECONDS = 60.0

_TELL_SECONDS = 0.2
_HEAR_SECONDS = 0.5
_TOLD_SECONDS = 10.0
"""How long a tenant stays in the document."""

_LONGEST_WAIT_SECONDS = 60.0
_FORGOTTEN_SECONDS = 600.0
"""A document that has not changed for so long is deleted. A live instance writes its own again."""

_PARTITION = "news"

log = structlog.get_logger(__name__)


class CosmosWakeups:
    """Tells others of our appends, and ``store`` of theirs. ``instance`` is the name of this instance
    alone."""

    def __init__(
        self,
        store: EventStore,
        recorder: CosmosLogRecorder,
        database: CosmosDatabase,
        container: str,
        instance: str,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._items = Items(database, container)
        self._instance = instance
        self._told: dict[str, int] = {}
        self._told_at: dict[str, float] = {}
        self._seen: dict[str, tuple[str, float]] = {}
        self._telling = Supervised("telling others of appends")
        self._hearing = Supervised("hearing of others' appends")
        self._looking = Supervised("looking at every partition's end")
        self._unseen: set[str] = set()
        """The partitions whose ends could not be read although the account answers."""

    async def run(self) -> None:
        """Do so until cancelled, whatever happens to the account meanwhile."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_what_comes)
            tasks.start_soon(self._again_and_again, self._hearing, self._hear)
            tasks.start_soon(self._again_and_again, self._looking, self._look_at_all)

    async def _again_and_again(self, supervised: Supervised, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await supervised.has_done(work)
            await anyio.sleep(_HEAR_SECONDS)

    async def _tell_what_comes(self) -> None:
        alarm = self._store.subscribe()
        try:
            while True:
                await alarm.wait(_LONGEST_WAIT_SECONDS)
                if not await self._telling.has_done(self._tell):
                    alarm.wake()
                await anyio.sleep(_TELL_SECONDS)
        finally:
            alarm.close()

    async def _tell(self) -> None:
        """Write which logs were appended to since the last time, and for a while before."""
        now = time.monotonic()
        fresh = {
            name: newest for name, newest in self._store.appended.items() if newest > self._told.get(name, 0)
        }
        if not fresh:
            return
        recent = {name for name, at in self._told_at.items() if now - at < _TOLD_SECONDS}
        newest = {name: self._store.appended[name] for name in recent | fresh.keys()}
        await self._items.put(_news(self._instance, newest))
        self._told.update(fresh)
        self._told_at = {name: self._told_at.get(name, now) for name in recent} | dict.fromkeys(fresh, now)

    async def _hear(self) -> None:
        for item in await self._items.query(_PARTITION, "SELECT * FROM c", {}):
            if item["id"] != self._instance and self._is_another(item):
                self._recorder.know(item["newest"])
                for partition, newest in item["newest"].items():
                    self._store.notice(newest, partition)
            elif self._is_forgotten(item):
                await self._items.delete_unchanged(item)

    def _is_another(self, item: Item) -> bool:
        """Return whether the document has changed since it was last read."""
        etag, _ = self._seen.get(item["id"], ("", 0.0))
        if etag == item["_etag"]:
            return False
        self._seen[item["id"]] = item["_etag"], time.monotonic()
        return True

    def _is_forgotten(self, item: Item) -> bool:
        _, since = self._seen.get(item["id"], ("", time.monotonic()))
        return time.monotonic() - since > _FORGOTTEN_SECONDS

    async def _look_at_all(self) -> None:
        """Read all ends once in a while, and not all at the same moment."""
        await run_sync(self._recorder.look_for_tenants)
        partitions = await self._store.partitions()
        for partition in partitions:
            await anyio.sleep(_LOOK_AT_ALL_SECONDS / len(partitions))
            await self._look_at(partition)
        if not partitions:
            await anyio.sleep(_LOOK_AT_ALL_SECONDS)

    async def _look_at(self, partition: str) -> None:
        """Read the end of a partition. If that fails, the others are still read."""
        try:
            newest = number_of(await self._store.head(partition))
        except StoreUnavailable as error:
            if not self._hearing.is_failing and partition not in self._unseen:
                log.warning("partition_not_looked_at", partition=partition, error=str(error))
                self._unseen.add(partition)
            return
        self._unseen.discard(partition)
        self._store.notice(newest, partition)


async def leave_word(
    database: CosmosDatabase, container: str, instance: str, newest: Mapping[str, int]
) -> None:
    """Tell the running services what a command has appended: ``newest`` by partition. Otherwise they find it
    within two minutes.

    Raises:
        StoreUnavailable: they were not told.
    """
    await Items(database, container).put(_news(instance, newest))


def _news(instance: str, newest: Mapping[str, int]) -> Item:
    return {"id": instance, PARTITION_KEY: _PARTITION, "newest": dict(newest)}
