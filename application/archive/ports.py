"""What archiving needs from the store, as protocols."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from application.log_copy import Entry


class Replacement(msgspec.Struct, frozen=True):
    """A stored event, and the state that will replace its own."""

    entry: Entry
    state: bytes


class Followers(Protocol):
    """The followers of the log, which save how far they have come."""

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        """Return the id that all of them have reached in a partition, and the follower that is furthest
        behind, or None if nobody has followed it."""
        ...


class ArchiveLog(Followers, Protocol):
    """The log in which archiving replaces events by what it leaves of them.

    All raise StoreUnavailable when the store is away.
    """

    at_once: int
    """How many events, and ends of streams, are replaced in one transaction; more if one family has more."""

    async def replace(self, replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> bool:
        """Replace the states of events, all of them or none, so that no append comes in between.

        A store whose transactions are too small for all of them (Cosmos DB) does it step by step, and the
        same call continues after a crash. Whoever wants to append to one of the streams meanwhile is told to
        wait.

        Nothing is done if one of the states has changed, or if one of the streams continues after the version
        with which it should end.
        """
        ...

    async def tidy(self) -> str | None:
        """Free the space, as far as the store can do that while others use it. Return what somebody else has
        to do, if we may not."""
        ...


Finished = Callable[[Sequence[Entry]], bool]
"""Returns whether a thing has ended for good, given all its events."""

Documents = Callable[[Sequence[Entry]], dict[str, list[str]]]
"""Returns the ids of the documents that a thing's events make, by container."""
