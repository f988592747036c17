"""Appends a tenant's events as they come from another log, in transactions, and continues where another copy
ended.

What is stored of a tenant is always the beginning of its order. So a copy that follows one that died skips as
many events as there are, and checks by the hash chain that they are the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from eventsourcing.persistence import StoredEvent

from application.archived_state import left_of
from application.audit.chain import Head, beginning_of
from application.audit.rows import noted, rows_after
from application.log_copy import CannotCopy, Entry
from infrastructure.cosmos.ends import End, end_of
from infrastructure.cosmos.items import Item
from infrastructure.cosmos.log_container import LogContainer, Lost
from infrastructure.cosmos.log_documents import end_mark, following, tenant_note
from infrastructure.cosmos.transactions import MOST_BYTES, MOST_OPERATIONS, size_of, takes

_END_OPERATIONS = 1
"""The document that ends the order, in addition to the events. The preceding event need not be checked,
because we have stored it."""


class _Archived(NamedTuple):
    """An archived stream, and how many events it has."""

    stream: str
    version: int
    archive: str


class TenantWriter:
    """Writes one tenant's events. It is synchronous, and one thread at a time may use it. A call that failed
    can be repeated."""

    def __init__(self, container: LogContainer, tenant: str) -> None:
        self._container = container
        self._tenant = tenant
        self._head = beginning_of(tenant)
        self._stored: End | None = None
        self._ending: dict[str, _Archived] = {}

    def put(self, entries: Sequence[Entry]) -> None:
        """Store the tenant's next events, or check that they are stored.

        Raises:
            CannotCopy: others are stored in their place, somebody else appends, or an event is too large.
            StoreUnavailable: some may be stored; the same call continues.
        """
        if self._stored is None:
            self._stored = self._container.end(self._tenant)
            if not self._stored.head.number:
                self._container.put(tenant_note(self._tenant))
        rest = [entry for entry in entries if entry.id > self._head.number]
        while rest:
            self._stored = stored = self._container.with_room(self._stored)
            if there := [entry for entry in rest if entry.id <= stored.head.number]:
                self._pass_over(there, stored.head)
                rest = rest[len(there) :]
            else:
                rest = rest[self._store(rest, stored) :]

    def _pass_over(self, entries: Sequence[Entry], stored: Head) -> None:
        """Check that entries are those that are stored. The answer to a batch of our own may have been
        lost."""
        heads = {self._tenant: self._head}
        for _ in rows_after(heads, map(noted, entries)):
            pass
        self._ending = self._marked(entries)[1]
        self._head = heads[self._tenant]
        if self._head.number == stored.number and self._head.chain != stored.chain:
            raise CannotCopy(
                f"the target holds half a copy of another log: its {stored.number} events of {self._tenant}"
                " are not the source's. Take an empty database"
            )

    def _store(self, entries: Sequence[Entry], end: End) -> int:
        """Store as many entries as fit in one transaction behind the end of the order. Return how many."""
        count = min(len(entries), MOST_OPERATIONS - _END_OPERATIONS)
        while True:
            order, items = following(end, [_event(entry) for entry in entries[:count]])
            ended, ending = self._marked(entries[:count])
            marks = [end_mark(end.partition, *each) for each in ended]
            if count == 1 or _goes_at_once(items, marks):
                break
            count //= 2
        if (size := size_of(items)) > MOST_BYTES:
            raise CannotCopy(
                f"event {entries[0].version} of {entries[0].stream} has {size:,} bytes, and a"
                f" transaction of Cosmos DB takes {MOST_BYTES:,}"
            )
        stored = end_of(self._tenant, order | {"_etag": ""}, end)
        try:
            etag = self._container.store(end.partition, order, end.etag, [*items, *marks], after=())
        except Lost as lost:
            etag = self._etag_if_stored(stored.head, lost)
        self._head, self._ending = stored.head, ending
        self._stored = msgspec.structs.replace(stored, etag=etag)
        return count

    def _marked(self, entries: Sequence[Entry]) -> tuple[Sequence[_Archived], dict[str, _Archived]]:
        """Return the archived streams that end with one of these entries, and those that will end later. What
        archiving leaves of a first event tells where its stream ends."""
        ending, ended = dict(self._ending), []
        for entry in entries:
            left = left_of(entry.state) if entry.version == 1 else None
            if left is not None and left.moved is not None:
                ending[entry.stream] = _Archived(entry.stream, left.moved.events, left.archive)
            if (archived := ending.get(entry.stream)) and entry.version == archived.version:
                ended.append(ending.pop(entry.stream))
        return ended, ending

    def _etag_if_stored(self, head: Head, lost: Lost) -> str:
        """Return the etag if the batch was stored by a first try whose answer was lost. That try prevents its
        own repetition."""
        present = self._container.end(self._tenant)
        if present.head != head or present.etag is None:
            raise CannotCopy(f"somebody else appends to {self._tenant}: {lost}") from lost
        return present.etag


def _event(entry: Entry) -> StoredEvent:
    return StoredEvent(entry.stream, entry.version, entry.topic, entry.state)


def _goes_at_once(items: Sequence[Item], marks: Sequence[Item]) -> bool:
    return takes(len(items) + len(marks), size_of([*items, *marks]), beside=_END_OPERATIONS)
