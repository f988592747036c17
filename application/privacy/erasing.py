"""Erasing: a key is destroyed, every process forgets it, and the log records which documents to make again.

The steps, each of which can be repeated, so that a service or the next erasure completes an interrupted one:

1. Delete the key (for a deal, all its keys) and note that, in one transaction.
2. Wait until no process has the key in memory. No new values can be sealed with it then.
3. Find the streams with values that it has sealed, and append events that name them.
4. Make their documents again, as far as this process can reach them.
5. Mark the note as done.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
from anyio.to_thread import run_sync

from application.audit.ports import IndexReader, StoredLog, Wanted
from application.audit.rows import noted
from application.event_log import number_of
from application.event_store import EventStore
from application.log_copy import Entry
from application.ports import Clock
from application.privacy.deals import streams_of
from application.privacy.losses import KeyName, keys_in, lost_of
from application.privacy.ports import Erasure, PersonalKeys
from domain.event import Event, Metadata
from domain.privacy import ErasureCarriedOut, erasure_stream, evolve, kept_subject
from domain.values import derived_id

STREAMS_AN_EVENT = 500

_READ_AT_ONCE = 1000
_PAGE = 1000

ACTOR = "system:erase"


Remake = Callable[[Sequence[str]], Awaitable[None]]
"""Makes the documents of streams again, as far as they can be reached."""


class ErasedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A destroyed key, and how many streams have values that it had sealed."""

    tenant: str
    key_id: str
    streams: int


class UnderKey(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams have values that a key has sealed, and the names of these members, as far as they are
    indexed and not archived. The names help if people of different kinds have the same ID, and so the same
    key. ``also`` are the other subjects whose keys are destroyed with it."""

    streams: int
    members: Sequence[str]
    also: Sequence[str] = ()


class _Place(msgspec.Struct, frozen=True):
    at: tuple[str | int, ...]
    key: str


class _Stored(msgspec.Struct, frozen=True):
    sealed: tuple[_Place, ...] = ()


_stored = msgspec.json.Decoder(_Stored)


class Erasing:
    """Carries out erasures, while services may run. ``wait`` returns when no process has a destroyed key in
    memory any more."""

    def __init__(
        self,
        store: EventStore,
        log: StoredLog,
        index: IndexReader,
        keys: PersonalKeys,
        clock: Clock,
        *,
        wait: Callable[[], Awaitable[None]],
        remake: Remake,
    ) -> None:
        self._store = store
        self._log = log
        self._index = index
        self._keys = keys
        self._clock = clock
        self._wait = wait
        self._remake = remake

    async def would_erase(self, tenant: str, subject: str) -> UnderKey | None:
        """Return what would be erased with a subject's key and those destroyed with it, or None if there is
        no key."""
        subjects = await self._subjects(tenant, subject)
        keys = {each: found[0] for each in subjects if (found := await run_sync(self._keys.of, tenant, each))}
        streams, members = set[str](), set[str]()
        for key_id in keys.values():
            for stream in await self._streams(tenant, key_id):
                streams.add(stream)
                members |= await self._members(tenant, stream, key_id)
        if not keys:
            return None
        also = tuple(each for each in keys if each not in _names_of(subject))
        return UnderKey(streams=len(streams), members=sorted(members), also=also)

    async def _subjects(self, tenant: str, subject: str) -> list[str]:
        return [*_names_of(subject), *await streams_of(subject, tenant, self._index, self._log)]

    async def _members(self, tenant: str, stream: str, key_id: str) -> set[str]:
        """Return the names of the members of a stream that a key has sealed."""
        wanted = Wanted(tenant=tenant, aggregate_id=stream.split("/", 2)[2])
        partition, beyond, found = self._log.partition_of(tenant), 0, set[str]()
        while rows := await self._index.page(wanted, beyond=beyond, limit=_PAGE):
            async for part in self._log.at(partition, [row.position for row in rows]):
                for entry in part.entries.values():
                    sealed = _sealed_in(entry.state)
                    found.update(str(place.at[-1]) for place in sealed if place.key == key_id)
            beyond = rows[-1].position
        return found

    async def erase(self, tenant: str, subject: str, reason: str | None) -> list[ErasedKey]:
        """Destroy a subject's key (for a deal, also those of its streams), and complete interrupted erasures.
        If the store needs several transactions, the subject's key is destroyed last: as long as it exists,
        the erasure has to be repeated.
        """
        subjects = [*reversed(await self._subjects(tenant, subject))]
        await run_sync(self._keys.destroy, tenant, subjects, reason, self._clock.now())
        return await self._go_on()

    async def erase_again(self) -> list[ErasedKey]:
        """Destroy again every key whose erasure the log records, because a backup may have brought it
        back."""
        reached = {each: await self._reached(each) for each in await self._log.partitions()}
        for head in await self._index.heads():
            wanted, beyond = Wanted(tenant=head.tenant, topic=ErasureCarriedOut.TOPIC), 0
            while rows := await self._index.page(wanted, beyond=beyond, limit=_PAGE):
                ids = {row.aggregate_id for row in rows}
                await run_sync(self._keys.destroy_again, head.tenant, ids, self._clock.now())
                beyond = rows[-1].position
        for partition, position in reached.items():
            async for entry in self._beyond(partition, position):
                if entry.topic == ErasureCarriedOut.TOPIC:
                    tenant, _, key_id = entry.stream.split("/", 2)
                    await run_sync(self._keys.destroy_again, tenant, [key_id], self._clock.now())
        return await self._go_on()

    async def lost(self) -> list[KeyName]:
        """Return all lost keys: those that sealed values in the log name."""
        named = set[KeyName]()
        for partition in await self._log.partitions():
            async for entry in self._beyond(partition, 0):
                named |= keys_in(entry)
        return await lost_of(named, self._keys, self._log)

    async def give_up(self, reason: str | None) -> list[ErasedKey]:
        """Record every lost key as destroyed. If one is found later, it decrypts its values again."""
        now = self._clock.now()
        return [
            await self._record_one(
                Erasure(number=0, tenant=key.tenant, key_id=key.id, reason=reason, erased_at=now)
            )
            for key in await self.lost()
        ]

    async def complete(self) -> list[ErasedKey]:
        """Complete the erasures of others, unless they complete them during the waiting time."""
        if not await run_sync(self._keys.untold):
            return []
        await self._wait()
        return await self._record_all(await run_sync(self._keys.untold))

    async def _go_on(self) -> list[ErasedKey]:
        if not (untold := await run_sync(self._keys.untold)):
            return []
        await self._wait()
        return await self._record_all(untold)

    async def _record_all(self, untold: Sequence[Erasure]) -> list[ErasedKey]:
        told = []
        for erasure in untold:
            told.append(await self._record_one(erasure))
            await run_sync(self._keys.note_told, erasure.number)
        return told

    async def _record_one(self, erasure: Erasure) -> ErasedKey:
        streams = await self._streams(erasure.tenant, erasure.key_id)
        await self._record(erasure, streams)
        await self._remake(streams)
        return ErasedKey(tenant=erasure.tenant, key_id=erasure.key_id, streams=len(streams))

    async def _record(self, erasure: Erasure, streams: Sequence[str]) -> None:
        """Append an event for each ``STREAMS_AN_EVENT`` streams. An event that exists already is not
        repeated."""
        chunks = [
            tuple(streams[at : at + STREAMS_AN_EVENT]) for at in range(0, len(streams), STREAMS_AN_EVENT)
        ] or [()]
        for number, chunk in enumerate(chunks, start=1):
            event = ErasureCarriedOut(
                key_id=erasure.key_id,
                streams=chunk,
                part=number,
                parts=len(chunks),
                reason=erasure.reason,
                erased_at=erasure.erased_at,
            )
            await self._store.execute(
                erasure_stream(erasure.tenant, erasure.key_id),
                evolve=evolve,
                decide=_just(event),
                meta=_meta(erasure, chunk),
                now=self._clock.now(),
            )

    async def _streams(self, tenant: str, key_id: str) -> list[str]:
        """Return the streams with values that a key has sealed: from the index, and from the log those events
        that were not indexed at the beginning, because the index may advance meanwhile."""
        partition = self._log.partition_of(tenant)
        reached = await self._reached(partition)
        found, after = set[str](), ""
        while page := await self._index.sealed_streams(tenant, key_id, after, _PAGE):
            found.update(page)
            after = page[-1]
        async for entry in self._beyond(partition, reached):
            if key_id in noted(entry).keys:
                found.add(entry.stream)
        return sorted(found)

    async def _reached(self, partition: str) -> int:
        """Return the ID of the last event that is indexed."""
        return number_of(await self._index.reached(partition))

    async def _beyond(self, partition: str, after: int) -> AsyncIterator[Entry]:
        """Yield the events of the log after an ID."""
        while entries := await self._log.read(partition, after, _READ_AT_ONCE):
            for entry in entries:
                yield entry
            after = entries[-1].id


def _names_of(subject: str) -> Sequence[str]:
    """Return the forms under which a subject's keys are stored: the present one, and that of earlier releases
    in SQLite and Cosmos DB, which accept subjects that PostgreSQL does not.
    """
    kept = kept_subject(subject)
    return [kept] if kept == subject or "\0" in subject else [kept, subject]


def _sealed_in(state: bytes) -> Sequence[_Place]:
    """Return the sealed places of a state, or none if the event is archived or damaged."""
    try:
        return _stored.decode(state).sealed
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ()


def _just(event: Event) -> Callable[[int | None], Sequence[Event]]:
    return lambda told: (event,)


def _meta(erasure: Erasure, streams: Sequence[str]) -> Metadata:
    """Return the metadata of an event. Its command ID depends on the streams, so that streams which a repeat
    finds in addition are recorded too."""
    said = msgspec.json.encode((erasure.key_id, erasure.erased_at, streams)).decode()
    command_id = derived_id("erasure", said)
    return Metadata(tenant=erasure.tenant, actor=ACTOR, correlation_id=erasure.key_id, command_id=command_id)
