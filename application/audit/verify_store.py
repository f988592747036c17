"""Checks a live store: compares its log with the index beside it, and with anchors stored outside.

The log and the index are read side by side in the order of each partition, ``AT_ONCE`` events at a time.
Events that are appended meanwhile are not checked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from application.archived_state import archive_of
from application.audit.anchors import Anchor
from application.audit.chain import Head, beginning_of, genesis_of, link_after, linked, tenant_of
from application.audit.findings import Anchored, Finding, Kind, Report
from application.audit.ports import Indexed, IndexReader, StoredLog
from application.audit.rows import noted
from application.audit.verify_keys import KeyCheck
from application.audit.verify_sealed import SealedCheck
from application.audit.verify_snapshots import SnapshotCheck
from application.event_log import number_of
from application.log_copy import Entry

AT_ONCE = 2_000

MOST_LOOKED_INTO = 10_000
"""How many events in a wrong place are kept until the whole partition has been read."""

_NOTHING, _EVERYTHING = -(2**62), 2**62
"""IDs before and after all others. An inserted event may come before the first one."""

T = TypeVar("T")

Progress = Callable[[int], None]


async def verify_store(
    log: StoredLog,
    index: IndexReader,
    anchors: Mapping[str, Sequence[Anchor]],
    report: Report,
    progress: Progress = lambda events: None,
    *,
    snapshots: SnapshotCheck | None = None,
    keys: KeyCheck | None = None,
) -> None:
    """Add what is found in a store to the report, and in its ``snapshots`` and ``keys`` if they are given."""
    partitions = await log.partitions()
    reached = {partition: await _reached(index, partition) for partition in partitions}
    if not any(until is not None for until in reached.values()):
        report.notes.append("there is no index beside the log: only anchors can show changes")
    sealed = SealedCheck(index)
    comparison = _Comparison(anchors, sealed, report)
    for partition, until in reached.items():
        await _compare(comparison, log, index, partition, until, progress, snapshots, keys)
    if snapshots is not None:
        snapshots.end(report)
    await sealed.end(report)
    if keys is not None:
        await keys.end(report)
    await comparison.end({head.tenant: head for head in await index.heads() if _was_read(head, log, reached)})


async def _reached(index: IndexReader, partition: str) -> int | None:
    """Return the ID of the last indexed event of a partition, or None if there is no index."""
    position = await index.reached(partition)
    return None if position is None else number_of(position)


def _was_read(head: Head, log: StoredLog, reached: Mapping[str, int | None]) -> bool:
    """Return whether all events up to a head were read, because those appended meanwhile were not."""
    return head.position <= (reached.get(log.partition_of(head.tenant)) or 0)


async def _compare(
    comparison: "_Comparison",
    log: StoredLog,
    index: IndexReader,
    partition: str,
    until: int | None,
    progress: Progress,
    snapshots: SnapshotCheck | None,
    keys: KeyCheck | None,
) -> None:
    comparison.begin(is_indexed=until is not None)
    entries = _one_by_one(lambda after: log.read(partition, after, AT_ONCE), lambda entry: entry.id)
    rows = _one_by_one(lambda after: index.read(partition, after, AT_ONCE), lambda row: row.position)
    entry, row = await anext(entries, None), await anext(rows, None)
    while entry is not None or row is not None:
        at = min(_EVERYTHING if entry is None else entry.id, _EVERYTHING if row is None else row.position)
        if until is not None and at > until:
            break
        is_entry, is_row = entry is not None and entry.id == at, row is not None and row.position == at
        comparison.compare(entry if is_entry else None, row if is_row else None)
        if entry is not None and is_entry:
            if snapshots is not None:
                snapshots.take(entry)
            if keys is not None:
                keys.take(noted(entry))
            entry = await anext(entries, None)
            if not comparison.events % AT_ONCE:
                progress(AT_ONCE)
        if is_row:
            row = await anext(rows, None)
    await comparison.end_of_partition(log)


async def _one_by_one(
    read: Callable[[int], Awaitable[Sequence[T]]], place: Callable[[T], int]
) -> AsyncIterator[T]:
    after = _NOTHING
    while batch := await read(after):
        for each in batch:
            yield each
        after = place(batch[-1])


class _Comparison:
    """Compares the log and the index, partition by partition, while they are read."""

    def __init__(self, anchors: Mapping[str, Sequence[Anchor]], sealed: SealedCheck, report: Report) -> None:
        self._report = report
        self._sealed = sealed
        self._is_indexed = False
        self._anchored = {tenant: Anchored(tenant, some, report) for tenant, some in anchors.items()}
        self._heads: dict[str, Head] = {}
        self._ends: dict[str, tuple[int, bytes]] = {}
        """The end of each chain according to the index: number and hash."""
        self._latest: dict[str, int] = {}
        """The latest time of each tenant's events, according to the index."""
        self._not_indexed: list[Entry] = []
        self._not_in_log: list[Indexed] = []
        self._newest = 0

    @property
    def events(self) -> int:
        """How many events of the log have been read."""
        return self._report.events

    def begin(self, *, is_indexed: bool) -> None:
        """Begin a partition."""
        self._is_indexed = is_indexed
        self._newest = 0
        self._not_indexed.clear()
        self._not_in_log.clear()

    def compare(self, entry: Entry | None, row: Indexed | None) -> None:
        """Compare what the log and the index have at one position."""
        if row is not None:
            self._follow(row)
        leaf = None if entry is None else self._walk(entry)
        if entry is None or row is None or (row.stream, row.version) != (entry.stream, entry.version):
            if entry is not None and self._is_indexed:
                self._keep(self._not_indexed, entry)
            if row is not None:
                self._keep(self._not_in_log, row)
        elif row.leaf != leaf:
            self._add("edited", f"{_named(row)} has changed since it was indexed", row)
        else:
            self._check_columns(entry, row)

    async def end_of_partition(self, log: StoredLog) -> None:
        """Find out, after a partition has been read, which events were moved, deleted or inserted."""
        moved: set[tuple[str, int]] = set()
        for row in self._not_in_log:
            elsewhere = await log.find(row.stream, row.version)
            if elsewhere is not None:
                moved.add((row.stream, row.version))
                self._add("reordered", f"{_named(row)} was moved, to position {elsewhere.id}", row)
            elif row.position > self._newest:
                self._add("truncated", f"{_named(row)} is missing; the log ends before it", row)
            else:
                self._add("deleted", f"{_named(row)} is missing", row)
        for entry in self._not_indexed:
            if (entry.stream, entry.version) not in moved:
                self._report.add(
                    Finding(
                        kind="inserted",
                        what=f"the event at position {entry.id} ({entry.stream} {entry.version}) was"
                        " inserted, or replaced another: the index does not know it",
                        tenant_id=tenant_of(entry.stream),
                        stream=entry.stream,
                        version=entry.version,
                        position=entry.id,
                    )
                )

    async def end(self, heads: Mapping[str, Head]) -> None:
        """Check, after everything has been read, the ends of the chains against the anchors and the index's
        heads."""
        for tenant, anchored in self._anchored.items():
            anchored.end(self._heads[tenant].number if tenant in self._heads else 0)
        self._report.note_archives()
        for tenant, head in self._heads.items():
            self._report.heads[tenant] = head.number, head.chain.hex()
        for head in heads.values():
            number, chain = self._ends.get(head.tenant, (0, genesis_of(head.tenant)))
            if (head.number, head.chain) != (number, chain):
                what = (
                    f"according to the index, the chain ends with {head.chain.hex()} after event"
                    f" {head.number}, but according to its rows with {chain.hex()} after {number}"
                )
            elif head.latest_at != self._latest.get(head.tenant, 0):
                what = "the index has another time for the tenant's latest event than its own rows"
            else:
                continue
            self._report.add(Finding(kind="index_altered", what=what, tenant_id=head.tenant, number=number))

    def _keep(self, found: list[T], one: T) -> None:
        if len(found) < MOST_LOOKED_INTO:
            found.append(one)
        else:
            self._report.more += 1

    def _walk(self, entry: Entry) -> bytes:
        """Add an event to the chain that is computed from the log's bytes. Return its leaf."""
        tenant = tenant_of(entry.stream)
        before = self._heads.get(tenant) or beginning_of(tenant)
        link = link_after(before, entry)
        if (archive := archive_of(entry.stream, entry.state)) is not None:
            self._report.archived[archive] = self._report.archived.get(archive, 0) + 1
        self._heads[tenant] = Head(tenant=tenant, number=link.number, position=entry.id, chain=link.chain)
        if tenant in self._anchored:
            self._anchored[tenant].walk(link.number, link.chain)
        self._newest = entry.id
        self._report.events += 1
        return link.leaf

    def _follow(self, row: Indexed) -> None:
        """Check that a row's hash follows from the previous one. Continue from the hash that the row has."""
        number, chain = self._ends.get(row.tenant, (0, genesis_of(row.tenant)))
        if row.number != number + 1:
            self._add("index_altered", f"in the index, {_named(row)} comes after event {number}", row)
        elif row.chain != linked(chain, row.leaf):
            self._add(
                "index_altered", f"in the index, {_named(row)} does not follow from event {number}", row
            )
        elif row.latest_at != max(self._latest.get(row.tenant, 0), row.at):
            what = f"in the index, the latest time up to {_named(row)} is not that of its events"
            self._add("index_altered", what, row)
        self._ends[row.tenant] = row.number, row.chain
        self._latest[row.tenant] = row.latest_at

    def _check_columns(self, entry: Entry, row: Indexed) -> None:
        """Check that the index's columns, by which events are found, are the values of the event."""
        told = noted(entry)
        if (entry.topic, told.actor, told.correlation_id, told.causation_id, told.at) != (
            row.topic,
            row.actor,
            row.correlation_id,
            row.causation_id,
            row.at,
        ):
            self._add("index_altered", f"the index has other values for {_named(row)} than the event", row)
        self._sealed.take(told)

    def _add(self, kind: Kind, what: str, row: Indexed) -> None:
        self._report.add(
            Finding(
                kind=kind,
                what=what,
                tenant_id=row.tenant,
                number=row.number,
                stream=row.stream,
                version=row.version,
                position=row.position,
            )
        )


def _named(row: Indexed) -> str:
    return f"event {row.number} ({row.stream} {row.version})"
