"""Shares: tenants, or streams, are divided so that the same work can be done concurrently.

If each tenant's events have an order of their own, a role's work for one share is done under one lease. The
share of a tenant never changes, so what lies beside the log lies with that lease. A log with one order for
all is followed as a whole.
"""

from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32


class Share(NamedTuple):
    """One of ``of`` shares of a log's partitions, or of its streams. A single share is the whole."""

    number: int = 0
    of: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether every partition is in it."""
        return self.of == 1

    def has(self, name: str) -> bool:
        """Return whether the partition, or the stream, of a name is in it."""
        return share_of(name, self.of) == self

    def lease(self, role: str) -> str:
        """Return the name of the lease under which a role's work for it is done."""
        return f"{role}-{self.number}"


WHOLE = Share()


def share_of(name: str, of: int) -> Share:
    """Return the share that the partition, or the stream, of a name is in."""
    return Share(crc32(name.encode()) % of, of)


def shares(of: int) -> Sequence[Share]:
    """Return all shares."""
    return [Share(number, of) for number in range(of)]
