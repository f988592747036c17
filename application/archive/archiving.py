"""Moves what has ended out of the log into files, one tenant per file, and back.

First the file is on the disk, and read back. Then its events are replaced, family by family, each in one
transaction. So a kill at any time leaves every event in the log or in a file, and another run finishes the
work.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from anyio.to_thread import run_sync

from application.archive import archive_file
from application.archive.damaged import Damaged, given_way_for
from application.archive.erasures import Erasures, Named
from application.archive.families import Family, families_of, together
from application.archive.ports import ArchiveLog, Documents, Finished, Replacement
from application.archived_state import SUFFIX, archived_leaf, archived_state, file_of
from application.audit.anchors import PublicKey
from application.audit.chain import leaf_of_entry
from application.audit.ports import IndexReader, StoredLog, microseconds
from application.audit.rows import noted
from application.event_log import number_of
from application.log_batches import BATCH_BYTES, all_of, size_of
from application.log_copy import Entry
from domain.archived import Moved
from domain.values import timestamp

MOST_IN_A_FILE = 50_000
"""The events of a file. A family is not split. The events of one file are in memory while they are replaced,
some 100 MB."""

_INDEX = "the audit index"

MOST_BYTES_IN_A_FILE = 64 * 1024 * 1024
"""The bytes of these events as they are stored, if they are larger than usual."""

Lines = Callable[[str, Collection[int]], AsyncIterator[bytes]]
"""Returns an export of a tenant's events at some positions."""


class Order(msgspec.Struct, frozen=True):
    """What to archive, where to, and what to note with it."""

    out: Path
    before: datetime
    tenant: str | None
    by: str
    why: str
    now: datetime


class Told(msgspec.Struct, frozen=True):
    """What an archive holds, and how many things have been replaced for it now."""

    tenant: str
    things: int
    events: int
    file: Path
    sha256: str


class Behind(msgspec.Struct, frozen=True):
    """The follower that is furthest behind in a partition, and how many events lie beyond its position."""

    by: str
    events: int


class Archiving:
    """Archives from one log and its index."""

    def __init__(
        self,
        log: StoredLog,
        index: IndexReader,
        archive: ArchiveLog,
        lines: Lines,
        finished: Finished,
        documents: Documents,
        keys: Mapping[str, PublicKey],
    ) -> None:
        self._log = log
        self._index = index
        self._archive = archive
        self._lines = lines
        self._finished = finished
        self._documents = documents
        self._keys = keys
        self._erasures = Erasures(index, log)
        self._behind: dict[str, Behind] = {}
        self.held_back: dict[str, Behind] = {}
        """The partitions in which a follower is behind, which may hold something back."""
        self.left_to_do: str | None = None
        """What the store could not do itself to free the space."""
        self.refused: dict[str, str] = {}
        """The tenants that are not archived because something of theirs is not as it was written, with what
        it is."""
        self.damaged: list[Damaged] = []
        """Archives that were begun, and cannot be finished."""

    async def plan(self, order: Order) -> AsyncIterator[tuple[str, Sequence[Family]]]:
        """Yield the families of each tenant that would be archived, as many as fit in a file. Nothing is
        changed."""
        here = (
            await self._log.partitions() if order.tenant is None else [self._log.partition_of(order.tenant)]
        )
        places = {partition: await self._until(order, partition) for partition in here}
        for head in await self._index.heads():
            if order.tenant not in (None, head.tenant):
                continue
            partition = self._log.partition_of(head.tenant)
            if partition not in places:
                places[partition] = await self._until(order, partition)
            named = await self._erasures.of(head.tenant, until=places[partition])
            chosen: list[Family] = []
            events, held = 0, 0
            async for family in families_of(head.tenant, self._index, self._log, until=places[partition]):
                size = await self._size_if_it_may_go(partition, family, order.before, named)
                if size is not None:
                    chosen.append(family)
                    events += sum(len(thing.positions) for thing in family)
                    held += size
                if events >= MOST_IN_A_FILE or held >= MOST_BYTES_IN_A_FILE:
                    yield head.tenant, chosen
                    chosen, events, held = [], 0, 0
            if chosen:
                yield head.tenant, chosen

    async def run(self, order: Order) -> AsyncIterator[Told]:
        """Finish what was begun, then archive each tenant's events. A tenant that cannot be archived does not
        stop the others.

        Raises:
            NoArchive: a file is not what was just written; nothing of it has been replaced since.
            OSError: a file cannot be written.
        """
        for path in archive_file.pending_in(order.out):
            try:
                told = await self._finish(path, order)
            except archive_file.NoArchive as error:
                given_way = await given_way_for(self._log, path.name)
                self.damaged.append(Damaged(archive_file.pending(path), str(error), given_way))
                continue
            yield told
        async for tenant, families in self.plan(order):
            if tenant in self.refused:
                continue
            positions = {position for family in families for thing in family for position in thing.positions}
            stamp = order.now.strftime("%Y%m%dT%H%M%SZ")
            path = archive_file.free(order.out / file_of(tenant, f"{stamp}-{min(positions)}"))
            try:
                await archive_file.write(path, self._lines(tenant, positions), self._keys)
            except archive_file.NoArchive as error:
                self.refused[tenant] = str(error)
                continue
            yield await self._finish(path, order)

    async def restore(self, file: Path) -> int:
        """Put the events of an archive back in their places. Return how many were missing there.

        Raises:
            NoArchive: the file is not what was written, or it is of another log.
        """
        await run_sync(archive_file.verify, file, self._keys)
        restored, found = 0, False
        partition = self._log.partition_of(archive_file.tenant_of(file))
        things = _by_stream(archive_file.entries_in(file))
        for some in _lots([[thing] for thing in things.values()], self._archive.at_once):
            entries = [entry for family in some for thing in family for entry in thing]
            here = await all_of(self._log.at(partition, [entry.id for entry in entries]))
            places = [(entry, await self._place(entry, here.get(entry.id))) for entry in entries]
            found = found or any(place is not None for _, place in places)
            replacements = [
                Replacement(place, entry.state)
                for entry, place in places
                if place is not None and archived_leaf(place.state) == leaf_of_entry(entry)
            ]
            if replacements and await self._archive.replace(replacements, ()):
                restored += len(replacements)
        if not found:
            raise archive_file.NoArchive(f"{file}: this log has none of its events, not even their hashes")
        return restored

    async def _place(self, entry: Entry, here: Entry | None) -> Entry | None:
        """Return where an event is now. It has another id in a log that was copied from a store with another
        order."""
        if here is not None and (here.stream, here.version) == (entry.stream, entry.version):
            return here
        return await self._log.find(entry.stream, entry.version)

    async def _until(self, order: Order, partition: str) -> int:
        """Return the id up to which all followers have handled the events, and the index has them."""
        indexed = (number_of(await self._index.reached(partition)), _INDEX)
        until, by = min(indexed, await self._archive.handled_until(partition) or indexed)
        self._behind[partition] = Behind(by, max(0, await self._log.last(partition) - until))
        if self._behind[partition].events:
            next_ones = await self._log.read(partition, until, 1)
            if next_ones and noted(next_ones[0]).at < microseconds(order.before):
                self.held_back[partition] = self._behind[partition]
        return until

    async def _size_if_it_may_go(
        self, partition: str, family: Family, before: datetime, named: Named
    ) -> int | None:
        """Return the bytes of a family's events, if it has ended and everybody has handled it."""
        if any(thing.latest_at >= microseconds(before) for thing in family):
            return None
        if any(thing.stream in named.open for thing in family):
            self.held_back[partition] = self._behind[partition]
            return None
        size = 0
        for thing in family:
            entries = await all_of(self._log.at(partition, thing.positions))
            events = [entries[position] for position in thing.positions if position in entries]
            whole = [entry.version for entry in events] == list(range(1, len(thing.positions) + 1))
            if not whole or not self._finished(events):
                return None
            size += size_of(events)
        return size

    async def _finish(self, path: Path, order: Order) -> Told:
        """Replace the events of a file in the log. Events that are no longer as they are in the file stay."""
        pending = archive_file.pending(path)
        await run_sync(archive_file.verify, pending, self._keys)
        digest = await run_sync(archive_file.sha256_of, pending)
        moved = Moved(sha256=digest, events=0, at=timestamp(order.now), by=order.by, why=order.why)
        tenant = archive_file.tenant_of(pending)
        until = await self._until(order, self._log.partition_of(tenant))
        named = await self._erasures.of(tenant, until=until)
        archive = path.name.removeprefix(f"{tenant}-").removesuffix(SUFFIX)
        things = _by_stream(archive_file.entries_in(pending))
        families = together([thing[0] for thing in things.values()])
        done = 0
        for some in _lots(
            [[things[stream] for stream in family] for family in families], self._archive.at_once
        ):
            if await self._give_way([thing for family in some for thing in family], archive, moved, named):
                done += sum(map(len, some))
                continue
            for family in some:
                done += len(family) if await self._give_way(family, archive, moved, named) else 0
        archive_file.finish(path)
        self.left_to_do = await self._archive.tidy()
        events = sum(map(len, things.values()))
        return Told(tenant, done, events, path, digest)

    async def _give_way(
        self, things: Sequence[Sequence[Entry]], archive: str, moved: Moved, named: Named
    ) -> bool:
        notes = [
            msgspec.structs.replace(
                moved,
                events=len(thing),
                documents=self._documents(thing),
                erased=named.handled.get(thing[0].stream, {}),
            )
            for thing in things
        ]
        replacements = [
            each
            for thing, note in zip(things, notes, strict=True)
            for each in _replacements(thing, archive, note)
        ]
        return await self._archive.replace(
            replacements, [(thing[-1].stream, thing[-1].version) for thing in things]
        )


def _replacements(thing: Sequence[Entry], archive: str, note: Moved) -> list[Replacement]:
    return [
        Replacement(
            entry,
            archived_state(
                entry.state,
                leaf=leaf_of_entry(entry),
                archive=archive,
                moved=note if entry.version == 1 else None,
            ),
        )
        for entry in thing
    ]


def _by_stream(entries: Iterator[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.stream, []).append(entry)
    return found


def _lots(
    families: Sequence[Sequence[Sequence[Entry]]], at_once: int
) -> Iterator[Sequence[Sequence[Sequence[Entry]]]]:
    """Yield families in groups, each for one transaction."""
    some: list[Sequence[Sequence[Entry]]] = []
    events, held = 0, 0
    for family in families:
        count = sum(map(len, family)) + len(family)
        size = sum(map(size_of, family))
        if some and (events + count > at_once or held + size > BATCH_BYTES):
            yield some
            some, events, held = [], 0, 0
        some.append(family)
        events += count
        held += size
    if some:
        yield some
