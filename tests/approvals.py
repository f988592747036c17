"""Approvals for tests: a directory with fixed groups, and terms without requirements."""

from collections.abc import Collection, Mapping
from datetime import datetime

from application.approval_terms import Terms
from application.approvals import ApprovalHandlers
from application.command import Command
from application.delegations import DelegationHandlers
from application.dispatcher import Handler
from application.event_store import EventStore
from application.people import PeopleLookup
from application.ports import Clock
from domain.approval import Circumstances, People
from domain.business_time import ALWAYS
from domain.delegation import NONE
from domain.errors import DirectoryUnavailable
from tests.builders import NOW


class KnownGroups:
    """A directory with the same groups for every tenant. It can be made unavailable."""

    def __init__(self, groups: Mapping[str, Collection[str]] | None = None) -> None:
        self.groups = {name: frozenset(members) for name, members in (groups or {}).items()}
        self.away = False

    async def members_of(self, tenant: str, group: str) -> frozenset[str]:
        """Return the members of a group."""
        if self.away:
            raise DirectoryUnavailable("it is away")
        return self.groups.get(group, frozenset())

    async def groups_of(self, tenant: str, person: str) -> frozenset[str]:
        """Return the groups of a person."""
        if self.away:
            raise DirectoryUnavailable("it is away")
        return frozenset(name for name, members in self.groups.items() if person in members)


class SameTerms:
    """The same terms for every tenant."""

    def __init__(self, terms: Terms | None = None) -> None:
        self._terms = terms or Terms()

    def of(self, tenant: str) -> Terms:
        """Return the terms."""
        return self._terms


def approval_handlers(
    store: EventStore, clock: Clock, directory: KnownGroups | None = None, terms: Terms | None = None
) -> Mapping[type[Command], Handler]:
    """Return the handlers of the commands on approvals and delegations."""
    people = PeopleLookup(store, directory or KnownGroups())
    return {
        **ApprovalHandlers(store, clock, people, SameTerms(terms)).handlers(),
        **DelegationHandlers(store, clock, people).handlers(),
    }


def around(now: datetime = NOW) -> Circumstances:
    """Return circumstances without groups and delegations, in which every hour is a business hour."""
    return Circumstances(now, People(delegations=NONE), ALWAYS)
