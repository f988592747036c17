"""Sees that no service is at work on a log in Cosmos DB while it is copied: there is no lock to be held."""

from collections.abc import Mapping

import anyio

from application.log_copy import CannotCopy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.leases import LEASE_SECONDS
from infrastructure.cosmos.sessions import PARTITION as SESSIONS

_LOOK_SECONDS = 0.5


class Leaseholders:
    """Whoever may have a lease has a session, and writes it anew every 1.5 s under another etag."""

    def __init__(self, database: CosmosDatabase, container: str, place: str) -> None:
        self._items = Items(database, container)
        self._place = place
        self._seen: Mapping[str, str] = {}

    async def refuse(self) -> None:
        """Watch the sessions that there are, for as long as one of somebody who was killed may have lasted.

        Raises:
            CannotCopy: somebody lives. One that has only the role ``api`` has no session, and is not seen.
        """
        self._seen = await self._sessions()
        with anyio.move_on_after(LEASE_SECONDS):
            while self._seen:
                await anyio.sleep(_LOOK_SECONDS)
                await self.refuse_who_came()

    async def refuse_who_came(self) -> None:
        """See that no session was begun or goes on since :meth:`refuse` looked.

        Raises:
            CannotCopy: one was, or does.
        """
        for id, etag in (await self._sessions()).items():
            if self._seen.get(id) != etag:
                raise CannotCopy(f"{self._place}: a service is at work on it ({id}); stop it first")

    async def _sessions(self) -> Mapping[str, str]:
        rows = await self._items.query(SESSIONS, "SELECT c.id, c._etag FROM c", {})
        return {row["id"]: row["_etag"] for row in rows}
