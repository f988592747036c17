"""Leases: what only one instance at a time may do is done under a lease."""

from typing import Protocol


class Lease(Protocol):
    """The permission to be the one that does something, until another takes over.

    ``fence`` is higher with each holder, so that a store can recognize a former one by it. It is None if no
    other process could ever hold the lease.
    """

    @property
    def name(self) -> str:
        """What it permits to do."""
        ...

    @property
    def fence(self) -> int | None:
        """The holder's number."""
        ...

    def check(self) -> None:
        """Do nothing while nobody else can have taken over. Call this right before what cannot be taken back.

        Raises:
            LeaseLost: somebody may have taken over.
        """
        ...


class Unrivalled:
    """A lease that is never lost, and has no fence, because nobody else can do ``name`` on the same
    stores."""

    fence = None

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self) -> None:
        """Do nothing: nobody takes over."""
