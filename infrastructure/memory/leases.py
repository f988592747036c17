"""Leases for stores that no other process uses: all are free, and none is ever lost."""

import math
from collections.abc import Collection, Mapping, Sequence


class LocalLeases:
    """This process alone uses the stores, so it always holds every lease."""

    seconds = math.inf

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """Return all of them, without fences."""
        return dict.fromkeys(names)

    def surplus(self, holder: str) -> Collection[str]:
        """Return nothing: nobody else wants leases."""
        return ()

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Do nothing: nobody waits for leases."""
