"""Parts that one instance does together, under one lease."""

from collections.abc import Sequence

from application.leadership import PassingPart
from application.side_by_side import all_of
from domain.lease import Lease


class JointPart:
    """One part made of several that work together within a process."""

    def __init__(self, name: str, parts: Sequence[PassingPart]) -> None:
        self.name = name
        self._parts = parts

    @property
    def failing_seconds(self) -> float:
        """How long one of them has not worked."""
        return max(part.failing_seconds for part in self._parts)

    async def take_over(self, lease: Lease) -> None:
        """Do what each does once."""
        for part in self._parts:
            await part.take_over(lease)

    async def run(self, lease: Lease) -> None:
        """Run all of them. When one fails, the others end too.

        Raises:
            LeaseLost: another instance does them now.
        """
        await all_of(lambda part: part.run(lease), self._parts)

    def stop(self) -> None:
        """Ask :meth:`run` to return, for good."""
        for part in self._parts:
            part.stop()

    def leave(self) -> None:
        """Ask :meth:`run` to return; it may be run again."""
        for part in self._parts:
            part.leave()
