"""What lies beside a log in Cosmos DB, and where: with the lease under which it changes."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.share import share_of, shares


class Beside(msgspec.Struct, frozen=True):
    """The names of leases are those of the partitions; of a role that works in shares, each share has one."""

    followers: Mapping[str, str | None]
    """Whose positions there may be, and the role of each; one that has none has a lease of its own name."""
    kinds: Collection[str]
    """Of timers."""
    setter: str
    """The role that sets timers."""
    caller: str
    """The role that notes the calls that steps want made."""
    anchorer: str
    """Who makes anchors, under a lease of that name."""
    shares: int

    def place(self, follower: str, partition: str) -> str:
        """Where a follower's position in a partition of the log lies."""
        role = self.followers.get(follower)
        return follower if role is None else self.place_of(role, partition)

    def place_of(self, role: str, partition: str) -> str:
        """Where lies what a role keeps about a partition of the log."""
        return share_of(partition, self.shares).lease(role)

    def places(self, role: str) -> Sequence[str]:
        """All places in which a role keeps anything."""
        return [share.lease(role) for share in shares(self.shares)]

    def all_places(self) -> Sequence[str]:
        """All places of positions."""
        roles = sorted({role for role in self.followers.values() if role is not None})
        own = sorted(follower for follower, role in self.followers.items() if role is None)
        return [*own, *(place for role in roles for place in self.places(role))]
