"""Leases where no other process has the same stores: all are free, and none is ever lost."""

import math
from collections.abc import Collection, Mapping, Sequence


class LocalLeases:
    """What one process alone may do, it may do always."""

    seconds = math.inf

    async def hold(self, names: Sequence[str], holder: str) -> Mapping[str, int | None]:
        """All of them, without a fence."""
        return dict.fromkeys(names)

    def surplus(self, holder: str) -> Collection[str]:
        """None: nobody else wants them."""
        return ()

    async def release(self, names: Sequence[str], holder: str) -> None:
        """Nobody waits for them."""
