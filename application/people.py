"""Looks up what must be known of people before something can be decided about an approval."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog

from application.event_store import EventStore
from application.ports import Directory
from application.single_flight_cache import SingleFlightCache
from domain import delegation
from domain.approval import People, Unknown
from domain.delegation import NONE, Delegations, delegations_stream
from domain.errors import DirectoryUnavailable, NotAllowed

KEPT_SECONDS = 1.0
"""How long delegations count as unchanged. A change on another instance takes effect within a second, and one
on this instance at once."""

_MOST_TENANTS = 1024
_MOST_ROUNDS = 100

T = TypeVar("T")

log = structlog.get_logger(__name__)


class PeopleLookup:
    """Who is in which group, and who decides for whom."""

    def __init__(self, store: EventStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory
        self._delegations = SingleFlightCache(self._read, seconds=KEPT_SECONDS, most=_MOST_TENANTS)

    async def informed(self, tenant: str, do: Callable[[People], Awaitable[T]]) -> T:
        """Do something. If something turns out to be unknown, look it up and do it again.

        If it is refused because of delegations that were only remembered, it is tried once more with fresh
        ones.

        Raises:
            DirectoryUnavailable: it is not known now who is in a group.
        """
        at_hand = self._delegations.at_hand(tenant)
        people = People(delegations=at_hand)
        for _ in range(_MOST_ROUNDS):
            try:
                return await do(people)
            except Unknown as gap:
                people = await self._completed(tenant, people, gap)
            except NotAllowed:
                if people.delegations is not at_hand or at_hand is None:
                    raise
                self.forget(tenant)
                at_hand = None
                people = msgspec.structs.replace(people, delegations=await self._delegations.get(tenant))
        raise RuntimeError("what has to be known of people never comes to an end")

    async def informed_or_not(self, tenant: str, do: Callable[[People], Awaitable[T]]) -> T:
        """Do the same as :meth:`informed`, or do it without if it is not known now who is in a group."""
        try:
            return await self.informed(tenant, do)
        except DirectoryUnavailable as error:
            log.warning("directory_unavailable", reason=str(error))
            return await do(People(reached=False))

    async def groups_of(self, tenant: str, person: str) -> frozenset[str]:
        """Return every group that somebody is in.

        Raises:
            DirectoryUnavailable: this is not known now.
        """
        return await self._directory.groups_of(tenant, person)

    async def principals_of(self, tenant: str, person: str, now: datetime) -> frozenset[str]:
        """Return for whom somebody may decide now."""
        return (await self._delegations.get(tenant)).principals_of(person, now)

    def forget(self, tenant: str) -> None:
        """Look a tenant's delegations up again next time."""
        self._delegations.forget(tenant)

    async def _completed(self, tenant: str, people: People, gap: Unknown) -> People:
        members = dict(people.members)
        for group in sorted(gap.groups):
            members[group] = await self._directory.members_of(tenant, group)
        known = await self._delegations.get(tenant) if gap.delegations else people.delegations
        return msgspec.structs.replace(people, members=members, delegations=known)

    async def _read(self, tenant: str) -> Delegations:
        past = await self._store.present(delegations_stream(tenant), delegation.evolve)
        return past.state or NONE
