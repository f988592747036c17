"""A log of one order over all tenants as one of an order a tenant, and the other way, between two stores.

Events keep their tenant's order and get other ids, so positions change. Towards an order a tenant, a position
becomes in each tenant's order that of its last event up to there. Towards one order, events are laid so that
positions are lost as little as can be: first what one follower has handled, whose repetitions others would
notice, and among that and the rest first what more followers have handled. That follower's position is then
exactly what it has handled; another's stands before the first event that it has not, and what it handles
again behind that finds itself done.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from application.audit.chain import tenant_of
from application.event_log import BEGINNING, PARTITION, Place, is_position, number_of
from application.log_copy import CannotCopy, Digest, Entry, FollowerPosition, KeptAnchor, LogReader
from application.ports import StepCall, Timer


class TenantsLogReader(LogReader, Protocol):
    """Reads a log of an order a tenant; an entry's id is its number in that order."""

    async def ends(self) -> Mapping[str, Place]:
        """The last event of each tenant that has one."""
        ...

    def events_between(self, tenant: str, after: int, until: int) -> AsyncGenerator[Sequence[Entry], None]:
        """Those of a tenant after a number and up to another."""
        ...


Log = TypeVar("Log", bound=LogReader)


class TenantDigests:
    """SHA-256 a tenant, over stream, version, topic and state of each event in the tenant's order."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[list[int], Any]] = {}
        self._pack = msgspec.msgpack.Encoder().encode

    def add(self, batch: Sequence[Entry]) -> None:
        """The next entries, in the order of the log or tenant by tenant."""
        for entry in batch:
            count, hashed = self._of.setdefault(tenant_of(entry.stream), ([0], sha256()))
            count[0] += 1
            hashed.update(self._pack((entry.stream, entry.version, entry.topic, entry.state)))

    def digest(self) -> Digest:
        """Of each tenant, and of these together."""
        tenants = {name: Digest(count[0], hashed.hexdigest()) for name, (count, hashed) in self._of.items()}
        all_of_them = [(name, each.count, each.sha256) for name, each in sorted(tenants.items())]
        count = sum(each.count for each in tenants.values())
        return Digest(count, sha256(self._pack(all_of_them)).hexdigest(), tenants)


class _InAnyOrder(Generic[Log]):
    """What is the same in every order."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def count(self) -> int:
        """Return how many events there are."""
        return await self._log.count()

    def timers(self) -> AsyncGenerator[Sequence[Timer], None]:
        """Every timer."""
        return self._log.timers()

    def step_calls(self) -> AsyncGenerator[Sequence[StepCall], None]:
        """Every call that a step still wants made."""
        return self._log.step_calls()

    async def anchors(self) -> Sequence[KeptAnchor]:
        """The last anchor of each tenant: signed as it is, with the position that it had."""
        return await self._log.anchors()

    async def finish(self) -> None:
        """The last that is asked."""
        await self._log.finish()


class InTenantsOrders(_InAnyOrder[LogReader]):
    """A log of one order, read as one of an order a tenant. Positions are known once the events are read."""

    def __init__(self, log: LogReader) -> None:
        super().__init__(log)
        self._last: dict[str, Place] = {}
        self._positions: list[FollowerPosition] = []

    async def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Every event, in the order of the log, with its number in its tenant's order."""
        saved = await self._log.positions()
        self._last, self._positions = {}, [each for each in saved if not _is_in_one_order(each)]
        moving = [each for each in saved if _is_in_one_order(each) and each.position != BEGINNING]
        waiting = sorted(moving, key=lambda each: number_of(each.position), reverse=True)
        async for batch in self._log.events():
            numbered: list[Entry] = []
            for entry in batch:
                numbered.append(self._numbered(entry))
                while waiting and number_of(waiting[-1].position) <= entry.id:
                    self._move(waiting.pop(), entry)
            yield numbered
        for each in waiting:
            raise _is_of_another_log(each)

    async def positions(self) -> Sequence[FollowerPosition]:
        """Return every position, ordered by follower and partition."""
        return sorted(self._positions, key=lambda each: (each.follower, each.partition))

    def _numbered(self, entry: Entry) -> Entry:
        tenant = tenant_of(entry.stream)
        before = self._last.get(tenant)
        number = 1 if before is None else before.id + 1
        self._last[tenant] = Place(number, entry.stream, entry.version)
        return msgspec.structs.replace(entry, id=number)

    def _move(self, saved: FollowerPosition, entry: Entry) -> None:
        """``entry`` is the first that is not before the position."""
        if Place(entry.id, entry.stream, entry.version).position != saved.position:
            raise _is_of_another_log(saved)
        self._positions += [
            FollowerPosition(saved.follower, tenant, place.position) for tenant, place in self._last.items()
        ]


class _Stretch(msgspec.Struct, frozen=True):
    """Events of a tenant after a number and up to another, between which no follower's position is."""

    tenant: str
    after: int
    until: int
    handled_by: frozenset[str]


class InOneOrder(_InAnyOrder[TenantsLogReader]):
    """A log of an order a tenant, read as one of one order; what ``first`` has handled comes first."""

    def __init__(self, log: TenantsLogReader, *, first: str) -> None:
        super().__init__(log)
        self._first = first
        self._laid: Sequence[_Stretch] | None = None

    async def events(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Every event, in the order that they are given, and with their ids in it."""
        id = 0
        for stretch in await self._stretches():
            async for batch in self._log.events_between(stretch.tenant, stretch.after, stretch.until):
                yield [
                    msgspec.structs.replace(entry, id=id + number) for number, entry in enumerate(batch, 1)
                ]
                id += len(batch)

    async def positions(self) -> Sequence[FollowerPosition]:
        """Return every position, ordered by follower and partition."""
        saved = await self._log.positions()
        stretches = await self._stretches()
        found = [each for each in saved if not is_position(each.position)]
        for follower in {each.follower for each in saved if is_position(each.position)}:
            id, last = 0, None
            for stretch in stretches:
                if follower not in stretch.handled_by:
                    break
                id, last = id + stretch.until - stretch.after, stretch
            if last is not None:
                place = await self._place(last.tenant, last.until)
                position = Place(id, place.stream, place.version).position
                found.append(FollowerPosition(follower, PARTITION, position))
        return sorted(found, key=lambda each: (each.follower, each.partition))

    async def _stretches(self) -> Sequence[_Stretch]:
        if self._laid is None:
            cuts: dict[str, dict[str, int]] = {}
            for each in await self._log.positions():
                if is_position(each.position) and each.position != BEGINNING:
                    cuts.setdefault(each.partition, {})[each.follower] = await self._cut(each)
            ends = await self._log.ends()
            found = [
                stretch
                for tenant, end in sorted(ends.items())
                for stretch in _stretches_of(tenant, end.id, cuts.get(tenant, {}))
            ]
            self._laid = sorted(
                found, key=lambda each: (self._first in each.handled_by, len(each.handled_by)), reverse=True
            )
        return self._laid

    async def _cut(self, saved: FollowerPosition) -> int:
        number = number_of(saved.position)
        end = (await self._log.ends()).get(saved.partition)
        if end is None or number > end.id:
            raise _is_of_another_log(saved)
        if (await self._place(saved.partition, number)).position != saved.position:
            raise _is_of_another_log(saved)
        return number

    async def _place(self, tenant: str, number: int) -> Place:
        """Asked for again and again: followers stand at the ends, mostly."""
        end = (await self._log.ends())[tenant]
        if end.id == number:
            return end
        async for batch in self._log.events_between(tenant, number - 1, number):
            return Place(batch[0].id, batch[0].stream, batch[0].version)
        raise CannotCopy(f"event {number} of {tenant} is missing")


def _stretches_of(tenant: str, end: int, cuts: Mapping[str, int]) -> Iterator[_Stretch]:
    for after, until in pairwise(sorted({0, *cuts.values(), end})):
        yield _Stretch(
            tenant, after, until, frozenset(name for name, number in cuts.items() if number >= until)
        )


def _is_in_one_order(saved: FollowerPosition) -> bool:
    """What else is kept beside positions, such as how far the clock was watched, is none."""
    return saved.partition == PARTITION and is_position(saved.position)


def _is_of_another_log(saved: FollowerPosition) -> CannotCopy:
    return CannotCopy(
        f"the position {saved.position} of {saved.follower} is not of this log, so it is not known what has"
        " been handled: start a service on it once, and copy then"
    )
