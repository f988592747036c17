"""Positions that last as long as the process."""

from collections.abc import Mapping, Sequence

from domain.lease import Lease


class MemoryCheckpoints:
    """For a follower that only reads."""

    passed_seconds = 1.0

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str], str] = {}

    async def load(self, follower: str, partition: str, lease: Lease) -> str | None:
        """Return the position after the last event handled, or None before the first."""
        return self._positions.get((follower, partition))

    async def load_all(
        self, follower: str, partitions: Sequence[str], lease: Lease
    ) -> Mapping[str, str | None]:
        """Return the position in each of some partitions."""
        return {partition: await self.load(follower, partition, lease) for partition in partitions}

    async def save(self, follower: str, partition: str, position: str, lease: Lease) -> None:
        """Save a position."""
        self._positions[follower, partition] = position

    async def save_all(self, follower: str, positions: Mapping[str, str], lease: Lease) -> None:
        """Save the position in each of some partitions."""
        for partition, position in positions.items():
            self._positions[follower, partition] = position

    async def forget(self, follower: str, partitions: Sequence[str], lease: Lease) -> None:
        """Delete the positions in some partitions, so that the follower begins again at the first event."""
        for partition in partitions:
            self._positions.pop((follower, partition), None)
