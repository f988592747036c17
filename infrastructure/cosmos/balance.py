"""Who does which shares: every instance works it out for itself from what the sessions tell, alike.

The leases of one role's shares differ by a number at the end of the name. Of these nobody takes more than a
fair part while another who asks for them too has less, and who does two more than another gives one up. So
an instance that comes is given its part one by one, and an instance that is alone does all.
"""

from collections.abc import Collection, Mapping, Sequence
from zlib import crc32

import msgspec


class Standing(msgspec.Struct, frozen=True):
    """What a session that lives holds, and what it asks for."""

    holds: Collection[str]
    asks: Collection[str]

    def has_of(self, role: str) -> int:
        """How many shares of a role."""
        return sum(role_of(name) == role for name in self.holds)


def role_of(name: str) -> str:
    """What a lease's holder does: the name without its share's number, if it has one."""
    role, _, number = name.rpartition("-")
    return role if role and number.isdecimal() else name


def to_take(own: str, standings: Mapping[str, Standing], free: Collection[str]) -> Sequence[str]:
    """Of the leases that nobody holds and session ``own`` asks for, those that it may take now."""
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
    """One share of each role of which another session, which asks for it, has two fewer than ``own``."""
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
