"""What must be known of people to decide something about an approval."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import msgspec

from domain.approval.policy import Approver
from domain.delegation import Delegations


class Unknown(Exception):
    """Something is not known yet. The caller may look it up and try again."""

    def __init__(self, groups: frozenset[str] = frozenset(), *, delegations: bool = False) -> None:
        super().__init__(f"groups {sorted(groups)}" + (" and delegations" if delegations else ""))
        self.groups = groups
        self.delegations = delegations


class People(msgspec.Struct, frozen=True):
    """Who is in which group, as far as that was looked up, and who decides for whom.

    If nobody who knows can be ``reached``, decisions are made without it.
    """

    members: Mapping[str, frozenset[str]] = {}
    delegations: Delegations | None = None
    reached: bool = True

    def know(self, groups: Iterable[str]) -> None:
        """Check that these groups are known, and the delegations.

        Raises:
            Unknown: they are not.
        """
        missing = frozenset(groups) - self.members.keys()
        if missing or self.delegations is None:
            raise Unknown(missing, delegations=self.delegations is None)

    def members_of(self, group: str) -> frozenset[str]:
        """Return everybody in a group.

        Raises:
            Unknown: it was not looked up.
        """
        try:
            return self.members[group]
        except KeyError:
            raise Unknown(frozenset({group})) from None

    def delegates_of(self, persons: Iterable[str], now: datetime) -> frozenset[str]:
        """Return who may decide now for one of these persons.

        Raises:
            Unknown: the delegations were not looked up.
        """
        known = self._known()
        return frozenset().union(*(known.delegates_of(person, now) for person in persons))

    def principals_of(self, person: str, now: datetime, *, unless_by: Collection[str] = ()) -> frozenset[str]:
        """Return for whom a person may decide now, without delegations that ``unless_by`` have made for
        others.

        Raises:
            Unknown: the delegations were not looked up.
        """
        return self._known().principals_of(person, now, unless_by=unless_by)

    def is_meant(self, approver: Approver, person: str, roles: frozenset[str]) -> bool:
        """Return whether an approver is that person, or one of their groups or roles."""
        if approver.user is not None:
            return approver.user == person
        if approver.group is not None:
            return person in self.members_of(approver.group)
        return approver.role in roles

    def _known(self) -> Delegations:
        if self.delegations is None:
            raise Unknown(delegations=True)
        return self.delegations


class Ballot(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody votes, with ``digest``, ``stage`` and ``on_behalf_of`` if they want to be sure of
    these."""

    by: str
    roles: frozenset[str] = frozenset()
    comment: str | None = None
    digest: str | None = None
    stage: str | None = None
    on_behalf_of: str | None = None
