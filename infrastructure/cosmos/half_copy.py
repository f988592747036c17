"""The mark on a log that is being copied to: no transaction holds all partitions, so half a copy can be seen.

It is made before anything else is written and taken away when all is verified. Whoever goes on with a copy
replaces it, so that the one before, should it still be at work, does not take it away.
"""

from domain.errors import StoreUnavailable
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items

_PARTITION = "copies"
_ID = "half-copy"

_MOST_RACES = 5


class HalfCopy:
    """In the container of the log: wherever that is read, the mark can be read too."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._items = Items(database, container)
        self._ours: Item | None = None

    async def is_marked(self) -> bool:
        """Whether a copy to here has begun and has not ended."""
        return await self._items.read(_PARTITION, _ID) is not None

    async def mark(self, copier: str) -> None:
        """Make the mark, or make it ours; ``copier`` is nobody else's name.

        Raises:
            StoreUnavailable: others make it theirs again and again.
        """
        for _ in range(_MOST_RACES):
            there = await self._items.read(_PARTITION, _ID)
            item: Item = {"id": _ID, PARTITION_KEY: _PARTITION, "first": "", **(there or {}), "by": copier}
            await self._items.put_in_place_of(there, item)
            self._ours = await self._items.read(_PARTITION, _ID)
            if self._ours is not None and self._ours["by"] == copier:
                return
        raise StoreUnavailable("others go on with the same copy again and again")

    async def is_of(self, first: str) -> bool:
        """Whether it is of the log whose first event has this hash; from now on, if it was of none."""
        if self._ours is not None and not self._ours["first"]:
            await self._items.replace(self._ours | {"first": first}, self._ours["_etag"])
            if await self.is_ours():
                self._ours = await self._items.read(_PARTITION, _ID)
        return self._ours is not None and bool(self._ours["first"] == first)

    async def is_ours(self) -> bool:
        """Whether nobody has gone on with the copy in our place."""
        there = await self._items.read(_PARTITION, _ID)
        return there is not None and self._ours is not None and there["by"] == self._ours["by"]

    async def take_away(self) -> bool:
        """The log is whole; false if somebody else is at it."""
        return self._ours is None or await self._items.delete_unchanged(self._ours)
