"""Which data lies beside a log in Cosmos DB, and where: in the partition of the lease under which it
changes."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.share import share_of, shares


class Beside(msgspec.Struct, frozen=True):
    """A lease's name is also its partition's name. A role that works in shares has a lease for each share."""

    followers: Mapping[str, str | None]
    """The followers that may have a position, and the role of each. A follower without a role has a lease of
    its own name."""
    kinds: Collection[str]
    """The kinds of timers."""
    setter: str
    """The role that sets timers."""
    caller: str
    """The role that notes the calls that steps ask for."""
    anchorer: str
    """The part that makes anchors, under a lease of that name."""
    shares: int

    def place(self, follower: str, partition: str) -> str:
        """Return where a follower's position in a partition of the log lies."""
        role = self.followers.get(follower)
        return follower if role is None else self.place_of(role, partition)

    def place_of(self, role: str, partition: str) -> str:
        """Return where a role keeps its data about a partition of the log."""
        return share_of(partition, self.shares).lease(role)

    def places(self, role: str) -> Sequence[str]:
        """Return all places in which a role keeps data."""
        return [share.lease(role) for share in shares(self.shares)]

    def all_places(self) -> Sequence[str]:
        """Return all places of positions."""
        roles = sorted({role for role in self.followers.values() if role is not None})
        own = sorted(follower for follower, role in self.followers.items() if role is None)
        return [*own, *(place for role in roles for place in self.places(role))]
