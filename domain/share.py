"""Tenants, or streams, are divided into shares, so that the same work can be done side by side.

Where each tenant's events have an order of their own, what a role does for one share is done under one
lease. Which share a tenant is in never changes, so that what lies beside the log lies with that lease. A log
that has one order for all is followed as a whole.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32


class Share(NamedTuple):
    """One of ``of`` shares of a log's partitions, or of its streams; the only one is the whole."""

    number: int = 0
    of: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether every partition is in it."""
        return self.of == 1

    def has(self, name: str) -> bool:
        """Whether the partition, or the stream, of a name is in it."""
        return share_of(name, self.of) == self

    def lease(self, role: str) -> str:
        """The name of the lease under which a role's work on it is done."""
        return f"{role}-{self.number}"


WHOLE = Share()


def share_of(name: str, of: int) -> Share:
    """The share that the partition, or the stream, of a name is in."""
    return Share(crc32(name.encode()) % of, of)


def shares(of: int) -> Sequence[Share]:
    """All of them."""
    return [Share(number, of) for number in range(of)]
