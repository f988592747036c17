"""Which instance does which shares. Every instance computes this from the same sessions, with the same
result.

The leases of one role's shares differ by a number at the end of the name. An instance takes at most its fair
part of them while another instance that asks for them has fewer. An instance that does two more than another
gives one up. So a new instance receives its part one by one, and an instance that is alone does all of them.
"""

from collections.abc import Collection, Mapping, Sequence
from zlib import crc32

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """What a live session holds, and what it asks for."""

    holds: Collection[str]
    asks: Collection[str]

    def has_of(self, role: str) -> int:
        """Return how many shares of a role the session holds."""
        return sum(role_of(name) == role for name in self.holds)


def role_of(name: str) -> str:
    """Return the role of a lease's holder: the lease's name without the number of its share."""
    role, _, number = name.rpartition("-")
    return role if role and number.isdecimal() else name


def to_take(own: str, standings: Mapping[str, Standing], free: Collection[str]) -> Sequence[str]:
    """Return the free leases that session ``own`` asks for and may take now."""
    taken: list[str] = []
    for role, names in _by_role(free).items():
        asking = {id: each for id, each in standings.items() if role in map(role_of, each.asks)}
        shares = {name for each in standings.values() for name in each.asks if role_of(name) == role}
        fair = -(-len(shares) // max(1, len(asking)))
        count = standings[own].has_of(role)
        for name in sorted(names, key=lambda name: crc32(f"{own} {name}".encode())):
            others = [each for id, each in asking.items() if id != own and name in each.asks]
            if count < fair or all(each.has_of(role) >= fair for each in others):
                taken.append(name)
                count += 1
    return taken


def to_give_up(own: str, standings: Mapping[str, Standing]) -> Sequence[str]:
    """Return one share of each role of which another session that asks for it has at least two fewer than
    ``own``."""
    given_up = []
    for role, names in _by_role(standings[own].holds).items():
        count = standings[own].has_of(role)
        for name in sorted(names):
            if any(
                count - each.has_of(role) >= 2
                for id, each in standings.items()
                if id != own and name in each.asks
            ):
                given_up.append(name)
                break
    return given_up


def _by_role(names: Collection[str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(role_of(name), []).append(name)
    return found
