"""Delegations: who decides for whom while they are away. One stream per tenant, so that no two make a
cycle."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from domain.errors import (
    BadInput,
    DelegationMakesCycle,
    DelegationNotFound,
    NotAllowed,
    TooManyDelegations,
    VersionMismatch,
)
from domain.event import Event, stored_as
from domain.faults import Fault
from domain.values import StreamName

LONGEST = timedelta(days=366)
"""The longest time of one delegation, because nobody is away for ever."""

MOST_OF_ONE = 20
"""The most delegations of one person that have not ended."""

MOST_A_TENANT = 2_000
"""The most delegations that have not ended. Each new one is compared with all of them."""


def delegations_stream(tenant: str) -> str:
    """Return the name of the stream of a tenant's delegations."""
    return str(StreamName(tenant, "delegations", "all"))


@stored_as("delegation.made", version=2, upcasters={1: lambda stored: stored})
class DelegationMade(Event, frozen=True, kw_only=True, omit_defaults=True):
    """``to`` may decide for ``by`` from one time on, up to but excluding another.

    ``made_by`` is who made it, which may be an operator. Before version 2 this was not stored.
    """

    delegation_id: str
    by: str
    to: str
    starts_at: datetime
    ends_at: datetime
    made_at: datetime
    reason: str | None = None
    made_by: str | None = None


@stored_as("delegation.ended")
class DelegationEnded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A delegation was taken back before its end."""

    delegation_id: str
    ended_at: datetime


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """A delegation that has not been taken back, since the ``version`` of the stream that all of them
    share."""

    delegation_id: str
    by: str
    to: str
    starts_at: datetime
    ends_at: datetime
    version: int = 1
    made_by: str | None = None

    def is_made_for_another(self, makers: Collection[str]) -> bool:
        """Return whether one of these people has made it, and not for themselves."""
        return self.made_by in makers and self.made_by != self.by

    def holds(self, moment: datetime) -> bool:
        """Return whether it is in force."""
        return self.starts_at <= moment < self.ends_at

    def overlaps(self, other: "Delegation") -> bool:
        """Return whether both are in force at some time."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at


class Delegations(msgspec.Struct, frozen=True):
    """A tenant's delegations that may still matter."""

    running: Mapping[str, Delegation] = {}
    version: int = 0

    def principals_of(self, person: str, now: datetime, *, unless_by: Collection[str] = ()) -> frozenset[str]:
        """Return for whom a person may decide now, directly or through others. What ``unless_by`` have made
        for somebody else does not count."""
        counting = (each for each in self._holding(now) if not each.is_made_for_another(unless_by))
        return _reached(person, ((each.to, each.by) for each in counting))

    def delegates_of(self, person: str, now: datetime) -> frozenset[str]:
        """Return who may decide now for a person, directly or through others."""
        return _reached(person, ((each.by, each.to) for each in self._holding(now)))

    def _holding(self, now: datetime) -> Collection[Delegation]:
        return [each for each in self.running.values() if each.holds(now)]


NONE = Delegations()


def delegate(state: Delegations | None, made: DelegationMade) -> tuple[Event, ...]:
    """Let somebody decide for another while they are away.

    Raises:
        BadInput: it is to oneself, of no time, too long, or over already.
        DelegationMakesCycle: at some time both would decide for each other, perhaps through others.
        TooManyDelegations: the tenant has as many as it may have.
    """
    running = (state or NONE).running
    if made.delegation_id in running:
        return ()
    _check(made)
    going_on = [each for each in running.values() if each.ends_at > made.made_at]
    if sum(each.by == made.by for each in going_on) >= MOST_OF_ONE:
        raise TooManyDelegations(f"{made.by} has {MOST_OF_ONE} delegations that have not ended")
    if len(going_on) >= MOST_A_TENANT:
        raise TooManyDelegations(f"there are {MOST_A_TENANT} delegations that have not ended")
    from_now_on = max(made.starts_at, made.made_at)
    _refuse_cycle(msgspec.structs.replace(_delegation(made, 1), starts_at=from_now_on), running.values())
    return (made,)


def end(
    state: Delegations | None,
    delegation_id: str,
    *,
    by: str,
    may_do_all: bool,
    now: datetime,
    expected_version: int | None = None,
) -> tuple[Event, ...]:
    """Take a delegation back. Its giver may do so, or an operator. ``expected_version`` is that of the
    delegation itself: changes to others in the stream do not count.

    Raises:
        DelegationNotFound: there is none of that id, or it is over.
        VersionMismatch: it is at another version.
        NotAllowed: it is another's.
    """
    found = (state or NONE).running.get(delegation_id)
    if found is None or found.ends_at <= now:
        raise DelegationNotFound(f"there is no delegation {delegation_id}, or it has ended")
    if expected_version not in (None, found.version):
        raise VersionMismatch(
            f"the current version is {found.version}, not the expected one",
            {"version": found.version},
        )
    if by != found.by and not may_do_all:
        raise NotAllowed(f"only {found.by} or an operator may end this delegation")
    return (DelegationEnded(delegation_id=delegation_id, ended_at=now),)


def evolve(state: Delegations | None, event: Event) -> Delegations:
    """The delegations after ``event``; those that are over by then are forgotten."""
    running, version = (state or NONE).running, (state or NONE).version + 1
    match event:
        case DelegationMade():
            left = {id: each for id, each in running.items() if each.ends_at > event.made_at}
            return Delegations({**left, event.delegation_id: _delegation(event, version)}, version)
        case DelegationEnded():
            left = {id: each for id, each in running.items() if id != event.delegation_id}
            return Delegations(left, version)
    raise TypeError(f"{event!r} is of no delegation")


def _delegation(made: DelegationMade, version: int) -> Delegation:
    return Delegation(
        delegation_id=made.delegation_id,
        version=version,
        by=made.by,
        to=made.to,
        starts_at=made.starts_at,
        ends_at=made.ends_at,
        made_by=made.made_by,
    )


def _check(made: DelegationMade) -> None:
    faults = []
    if made.by == made.to:
        faults.append(Fault("to", "must not be the person who delegates"))
    if made.ends_at <= max(made.starts_at, made.made_at):
        faults.append(Fault("endsAt", "must be later than startsAt, and than now"))
    elif made.ends_at - made.starts_at > LONGEST:
        faults.append(Fault("endsAt", f"must be at most {LONGEST.days} days after startsAt"))
    if faults:
        raise BadInput("the delegation cannot be created", faults)


def _refuse_cycle(new: Delegation, running: Iterable[Delegation]) -> None:
    """Whether there is one can change only where some delegation begins."""
    beside = [each for each in running if each.overlaps(new)]
    onward = _reached(new.to, ((each.by, each.to) for each in beside)) | {new.to}
    backward = _reached(new.by, ((each.to, each.by) for each in beside)) | {new.by}
    beside = [each for each in beside if each.by in onward and each.to in backward]
    for moment in sorted({new.starts_at, *(max(each.starts_at, new.starts_at) for each in beside)}):
        if new.by in _reached(new.to, ((each.by, each.to) for each in beside if each.holds(moment))):
            raise DelegationMakesCycle(
                f"{new.to} has already delegated to {new.by} for that time, directly or through others",
                {"by": new.by, "to": new.to},
            )


def _reached(person: str, links: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Everybody to whom the links lead from a person."""
    onward: dict[str, list[str]] = {}
    for start, end in links:
        onward.setdefault(start, []).append(end)
    found: set[str] = set()
    pending = [person]
    while pending:
        for other in onward.get(pending.pop(), ()):
            if other not in found:
                found.add(other)
                pending.append(other)
    return frozenset(found - {person})
