"""Tenants are divided into shares, so that several instances can do the same work side by side.

Where each tenant's events have an order of their own, what a role does for one share is done under one
lease. Which share a tenant is in never changes, so that what lies beside the log lies with that lease. A log
that has one order for all is followed as a whole.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32


class Share(NamedTuple):
    """One of ``of`` shares of a log's partitions; the only one is the whole."""

    number: int = 0
    of: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether every partition is in it."""
        return self.of == 1

    def has(self, partition: str) -> bool:
        """Whether a partition is in it."""
        return share_of(partition, self.of) == self

    def lease(self, role: str) -> str:
        """The name of the lease under which a role's work on it is done."""
        return f"{role}-{self.number}"


WHOLE = Share()


def share_of(partition: str, of: int) -> Share:
    """The share that a partition is in."""
    return Share(crc32(partition.encode()) % of, of)


def shares(of: int) -> Sequence[Share]:
    """All of them."""
    return [Share(number, of) for number in range(of)]
