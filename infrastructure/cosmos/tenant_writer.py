"""Appends a tenant's events as they come from another log, in transactions, and goes on where another ended.

What is stored of a tenant is always the beginning of its order. So whoever comes after a copy that died
passes over as many events as there are, and sees by the hash chain that they are these.
"""

import json
from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from application.audit.chain import Head, beginning_of
from application.audit.rows import noted, rows_after
from application.log_copy import CannotCopy, Entry
from infrastructure.cosmos.items import Item
from infrastructure.cosmos.log_container import LogContainer, Lost
from infrastructure.cosmos.log_documents import ORDER_ID, End, end_of, following, tenant_note
from infrastructure.cosmos.recorder import MOST_BYTES, MOST_OPERATIONS

_MOST_EVENTS = MOST_OPERATIONS - 1
"""Beside the document that ends the order. The event before need not be looked for: we have stored it."""


class TenantWriter:
    """One tenant's; synchronous, and used by one thread at a time. To repeat a call that failed is safe."""

    def __init__(self, container: LogContainer, tenant: str) -> None:
        self._container = container
        self._tenant = tenant
        self._head = beginning_of(tenant)
        self._stored: End | None = None

    def put(self, entries: Sequence[Entry]) -> None:
        """Store the tenant's next events, or see that they are stored.

        Raises:
            CannotCopy: others are stored in their place, or somebody else appends, or one is too large.
            StoreUnavailable: some may be stored; the same call goes on.
        """
        if self._stored is None:
            self._stored = self._present_end()
            if self._stored.etag is None:
                self._container.put(tenant_note(self._tenant))
        rest = [entry for entry in entries if entry.id > self._head.number]
        there = [entry for entry in rest if entry.id <= self._stored.head.number]
        if there:
            self._pass_over(there)
        rest = rest[len(there) :]
        while rest:
            rest = rest[self._store(rest[:_MOST_EVENTS]) :]

    def _pass_over(self, entries: Sequence[Entry]) -> None:
        assert self._stored is not None
        heads = {self._tenant: self._head}
        for _ in rows_after(heads, map(noted, entries)):
            pass
        self._head = heads[self._tenant]
        stored = self._stored.head
        if self._head.number == stored.number and self._head.chain != stored.chain:
            raise CannotCopy(
                f"the target holds half a copy of another log: its {stored.number} events of {self._tenant}"
                " are not the source's. Take an empty database"
            )

    def _store(self, entries: Sequence[Entry]) -> int:
        """Store as many as go into one transaction; how many."""
        assert self._stored is not None
        end = End(self._head, self._stored.stream, self._stored.version, self._stored.etag)
        order, items = following(end, [_event(entry) for entry in entries])
        while len(items) > 1 and _size(items) > MOST_BYTES:
            order, items = following(end, [_event(entry) for entry in entries[: len(items) // 2]])
        if _size(items) > MOST_BYTES:
            raise CannotCopy(
                f"event {entries[0].version} of {entries[0].stream} has {_size(items):,} bytes, and a"
                f" transaction of Cosmos DB takes {MOST_BYTES:,}"
            )
        head = end_of(self._tenant, order | {"_etag": ""}).head
        try:
            etag = self._container.store(self._tenant, order, end.etag, items, after=())
        except Lost as lost:
            etag = self._etag_if_stored(head, lost)
        self._head, last = head, entries[len(items) - 1]
        self._stored = End(head, last.stream, last.version, etag)
        return len(items)

    def _etag_if_stored(self, head: Head, lost: Lost) -> str:
        """The answer to a first try may have been lost: then it is in the way of its own repetition."""
        present = self._present_end()
        if present.head != head or present.etag is None:
            raise CannotCopy(f"somebody else appends to {self._tenant}: {lost}") from lost
        return present.etag

    def _present_end(self) -> End:
        return end_of(self._tenant, self._container.read(self._tenant, ORDER_ID))


def _event(entry: Entry) -> StoredEvent:
    return StoredEvent(entry.stream, entry.version, entry.topic, entry.state)


def _size(items: Sequence[Item]) -> int:
    return len(json.dumps(items))
