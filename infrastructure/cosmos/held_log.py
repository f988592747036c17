"""Sees that no service is at work on a log in Cosmos DB while it is copied: there is no lock to be held."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import msgspec

from application.log_copy import CannotCopy
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.items import Items
from infrastructure.cosmos.leases import LEASE_ID, LEASE_SECONDS

_LOOK_SECONDS = 0.5


class Beside(msgspec.Struct, frozen=True):
    """Under which leases lies what is beside a log; the names of leases are those of the partitions."""

    followers: Sequence[str]
    """Whose positions there may be."""
    setters: Mapping[str, str]
    """Who sets the timers of each kind."""
    caller: str
    """Who notes the calls that steps want made."""
    anchorer: str
    """Who makes anchors."""
    clocks: Sequence[str]
    """The other leases that an instance holds."""

    @property
    def leases(self) -> Sequence[str]:
        """Every lease that shows an instance at work."""
        return sorted({*self.followers, *self.setters.values(), self.caller, self.anchorer, *self.clocks})


class Leaseholders:
    """Whoever has a lease asks for it anew every two seconds, and its document shows it by another etag."""

    def __init__(self, database: CosmosDatabase, container: str, leases: Sequence[str], place: str) -> None:
        self._database = database
        self._items = Items(database, container)
        self._leases = leases
        self._place = place
        self._seen: Mapping[str, str] = {}

    async def refuse(self) -> None:
        """Watch the leases that somebody has, for as long as one who was killed may have had them.

        Raises:
            CannotCopy: somebody lives. One that has only the role ``api`` has no lease, and is not seen.
        """
        self._seen = await self._held()
        with anyio.move_on_after(LEASE_SECONDS):
            while self._seen:
                await anyio.sleep(_LOOK_SECONDS)
                await self.refuse_who_came()

    async def refuse_who_came(self) -> None:
        """See that nobody has taken or kept a lease since :meth:`refuse` looked.

        Raises:
            CannotCopy: somebody has.
        """
        for name, etag in (await self._held()).items():
            if self._seen.get(name) != etag:
                raise CannotCopy(f"{self._place}: a service is at work on it ({name}); stop it first")

    async def _held(self) -> Mapping[str, str]:
        found: dict[str, str] = {}

        async def look(name: str) -> None:
            there: dict[str, Any] | None = await self._items.read(name, LEASE_ID)
            if there is not None and there["holder"] is not None:
                found[name] = there["_etag"]

        await self._database.for_each(self._leases, look)
        return found
