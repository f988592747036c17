"""The mark on a log that is being copied to. No transaction covers all partitions, so half a copy can be
seen.

The mark is written before anything else, and deleted when everything is verified. Whoever continues a copy
replaces the mark, so that the former copier does not delete it if it still runs.
"""

from domain.errors import StoreUnavailable
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items

_PARTITION = "copies"
_ID = "half-copy"

_MOST_RACES = 5


class HalfCopy:
    """The mark lies in the container of the log, so whoever can read the log can read the mark."""

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._items = Items(database, container)
        self._ours: Item | None = None

    async def is_marked(self) -> bool:
        """Return whether a copy to this log has begun and has not ended."""
        return await self._items.read(_PARTITION, _ID) is not None

    async def mark(self, copier: str) -> None:
        """Create the mark, or make it ours. ``copier`` must be a unique name.

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
        """Return whether the copy is of the log whose first event has this hash. A copy that has no log yet
        is of this log from now on."""
        if self._ours is not None and not self._ours["first"]:
            await self._items.replace(self._ours | {"first": first}, self._ours["_etag"])
            if await self.is_ours():
                self._ours = await self._items.read(_PARTITION, _ID)
        return self._ours is not None and bool(self._ours["first"] == first)

    async def is_ours(self) -> bool:
        """Return whether nobody else has continued the copy in our place."""
        there = await self._items.read(_PARTITION, _ID)
        return there is not None and self._ours is not None and there["by"] == self._ours["by"]

    async def take_away(self) -> bool:
        """Delete the mark, because the log is complete. Return False if somebody else has taken the copy
        over."""
        return self._ours is None or await self._items.delete_unchanged(self._ours)
