"""Leave to be the one that does something: what one instance at a time may do is done under a lease."""

from typing import Protocol


class Lease(Protocol):
    """Leave to be the one that does something, until another takes over.

    ``fence`` is higher with each holder, so that a store can tell a former one by it; none where no other
    process could ever hold it.
    """

    @property
    def name(self) -> str:
        """What it is leave to do."""
        ...

    @property
    def fence(self) -> int | None:
        """The holder's number."""
        ...

    def check(self) -> None:
        """Do nothing while nobody else can have taken over. Ask right before what cannot be taken back.

        Raises:
            LeaseLost: somebody may have.
        """
        ...


class Unrivalled:
    """Never lost, and without a fence: nobody else can do ``name`` on the same stores."""

    fence = None

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self) -> None:
        """Nobody takes over."""
