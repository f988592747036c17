"""What archiving needs of the store, as protocols."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from application.log_copy import Entry


class Replacement(msgspec.Struct, frozen=True):
    """A stored event, and the state that is to stand in place of its own."""

    entry: Entry
    state: bytes


class Followers(Protocol):
    """Those who follow the log, and save how far they have come."""

    async def handled_until(self, partition: str) -> tuple[int, str] | None:
        """The id up to which every one of them has come in a partition, and the name of the last of them;
        none where nobody has followed it."""
        ...


class ArchiveLog(Followers, Protocol):
    """The log where events give way to what is left of them.

    All raise StoreUnavailable when the store is away.
    """

    at_once: int
    """How many give way in one transaction, or a family if that is more: events, and the things' ends."""

    async def replace(self, replacements: Sequence[Replacement], ends: Sequence[tuple[str, int]]) -> bool:
        """Replace the states of events, all of them or none, so that no append comes in between.

        A store whose transaction does not take them all (Cosmos DB) does it step by step, and the same call
        goes on after a crash; whoever would append to one of the streams meanwhile is told to wait.

        Nothing is done where one of the states is not what it was, or one of the streams goes on after the
        version that it is to end with.
        """
        ...

    async def tidy(self) -> str | None:
        """Give back the room, as far as the store can do that beside others; what is left for somebody
        else to do, if it may not."""
        ...


Finished = Callable[[Sequence[Entry]], bool]
"""Whether a thing has come to an end that it stays at, by all its events."""

Documents = Callable[[Sequence[Entry]], dict[str, list[str]]]
"""The ids of the documents that a thing's events make, by container."""
