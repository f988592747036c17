"""The live instances. Each has one document, its session, which it writes again all the time.

An instance holds its leases for as long as its session lasts. So it renews all of them by one small write,
however many they are, and one query tells which other instances there are and what they hold.

A session ends for good when its document is deleted: nobody creates it again, and replacing a document that
does not exist fails. Whoever has seen one etag for the whole time of a lease deletes the document under that
etag. So if a renewal and an end come at the same time, one of them fails.
"""

import time
from collections.abc import Collection, Mapping
from uuid import uuid4

from infrastructure.cosmos.balance import Standing
from infrastructure.cosmos.items import PARTITION_KEY, Item, Items, Operation

PARTITION = "sessions"

_FORGOTTEN_SECONDS = 60.0
"""A session that was silent for so long is ended even if nobody wants its leases."""


class Session:
    """A session of ours. ``fences`` are those of the leases that it holds; ``asked_at`` says when each was
    asked for."""

    def __init__(self, holder: str) -> None:
        self.id = f"{holder}-{uuid4().hex[:8]}"
        self.fences: dict[str, int] = {}
        self.asked_at: dict[str, float] = {}
        self.is_begun = False

    def ask(self, names: Collection[str], seconds: float) -> None:
        """Ask for leases, and forget those that were not asked for again within ``seconds``."""
        now = time.monotonic()
        self.asked_at.update(dict.fromkeys(names, now))
        self.asked_at = {name: at for name, at in self.asked_at.items() if now - at <= seconds}

    @property
    def standing(self) -> Standing:
        """What the others are told of this session."""
        return Standing(sorted(self.fences), sorted(self.asked_at))


class Sessions:
    """The sessions of all instances."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self._found: dict[str, Item] = {}
        self._since: dict[str, tuple[str, float]] = {}
        self._asked_at = 0.0

    async def renew(self, session: Session) -> bool:
        """Write that we are alive, and what we do. Return False if the session has ended."""
        item = _item(session)
        if not session.is_begun:
            if not await self._items.create(item) and await self._items.read(PARTITION, session.id) is None:
                return False
            session.is_begun = True
            return True
        return await self._items.batch(PARTITION, [("replace", (session.id, item), {})]) is None

    async def look(self, seconds: float) -> Mapping[str, Standing]:
        """Return the standing of each session that was written within ``seconds``, as it says itself."""
        asked_at = time.monotonic()
        found = {item["id"]: item for item in await self._items.query(PARTITION, "SELECT * FROM c", {})}
        now = time.monotonic()
        self._since = {
            id: self._since[id] if self._since.get(id, ("", 0))[0] == item["_etag"] else (item["_etag"], now)
            for id, item in found.items()
        }
        self._found, self._asked_at = found, asked_at
        for id, item in found.items():
            if self._silent_seconds(id) > max(seconds, _FORGOTTEN_SECONDS):
                await self._items.delete_unchanged(item)
        return {
            id: Standing(item["holds"], item.get("asks", ()))
            for id, item in found.items()
            if self._silent_seconds(id) <= seconds
        }

    def written_at(self, session: Session) -> int | None:
        """Return when Cosmos DB last wrote a session of ours, by its own clock, in whole seconds of Unix
        time, or None if the last look has not found it."""
        item = self._found.get(session.id)
        return None if item is None else int(item["_ts"])

    async def has_ended(self, id: str, seconds: float) -> bool:
        """Return whether a session has ended. One that was silent for ``seconds`` is ended by this.

        That a session does not exist must be established by a write, because a read may lag behind.
        """
        item = self._found.get(id)
        if item is None:
            nobody: Item = {"id": id, PARTITION_KEY: PARTITION}
            made_and_gone: list[Operation] = [("create", (nobody,), {}), ("delete", (id,), {})]
            return await self._items.batch(PARTITION, made_and_gone) is None
        if self._silent_seconds(id) <= seconds:
            return False
        return await self._items.delete_unchanged(item)

    async def end(self, session: Session) -> None:
        """End a session. It holds nothing from now on."""
        await self._items.delete(PARTITION, session.id)

    def _silent_seconds(self, id: str) -> float:
        return self._asked_at - self._since[id][1]


def _item(session: Session) -> Item:
    standing = session.standing
    return {"id": session.id, PARTITION_KEY: PARTITION, "holds": standing.holds, "asks": standing.asks}
