"""Checks that no service uses a log in Cosmos DB while it is copied. Cosmos DB has no lock to hold."""

from collections.abc import Mapping

import anyio

from application.log_copy import CannotCopy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.leases import LEASE_SECONDS
from infrastructure.cosmos.sessions import PARTITION as SESSIONS

_LOOK_SECONDS = 0.5


class Leaseholders:
    """Every instance that may hold a lease has a session, and writes it every 1.5 s, which changes its
    etag."""

    def __init__(self, database: CosmosDatabase, container: str, place: str) -> None:
        self._items = Items(database, container)
        self._place = place
        self._seen: Mapping[str, str] = {}

    async def refuse(self) -> None:
        """Watch the existing sessions for as long as the session of a killed instance may last.

        Raises:
            CannotCopy: an instance is alive. One that has only the role ``api`` has no session, and is not
                seen.
        """
        self._seen = await self._sessions()
        with anyio.move_on_after(LEASE_SECONDS):
            while self._seen:
                await anyio.sleep(_LOOK_SECONDS)
                await self.refuse_who_came()

    async def refuse_who_came(self) -> None:
        """Check that since :meth:`refuse` looked no session was begun, and none was written.

        Raises:
            CannotCopy: one was.
        """
        for id, etag in (await self._sessions()).items():
            if self._seen.get(id) != etag:
                raise CannotCopy(f"{self._place}: a service is at work on it ({id}); stop it first")

    async def _sessions(self) -> Mapping[str, str]:
        rows = await self._items.query(SESSIONS, "SELECT c.id, c._etag FROM c", {})
        return {row["id"]: row["_etag"] for row in rows}
