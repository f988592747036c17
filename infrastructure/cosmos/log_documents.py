"""What the log's container holds: events, and in each tenant's partition the end of its order.

An event's id is derived from its stream and version, so that a version is there once. The document that ends
the order is replaced under its etag by every append: it gives the numbers, and the hash chain goes on from
it at no further cost. So an event carries at once what the audit trail asks for.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from eventsourcing.persistence import Notification, StoredEvent

from application.audit.chain import Head, beginning_of
from application.audit.ports import Indexed
from application.audit.rows import noted, rows_after
from application.event_log import Append, Place
from application.log_copy import Entry
from domain.event import event_id
from domain.values import derived_id
from infrastructure.cosmos.items import PARTITION_KEY, Item

ORDER_ID = "order"
"""The document that ends a tenant's order."""

TENANTS = "tenants"
"""The partition in which each tenant is noted before its first event."""

INDEXED = ("position", "stream", "version", "topic", "actor", "correlationId", "aggregateId", "latestAt")

INDEXED_LISTS = ("keys",)

STREAM_ORDER = ("stream", "version")


class End(msgspec.Struct, frozen=True):
    """The end of a tenant's order, as it was read: the last event's place, the chain, and the etag."""

    head: Head
    stream: str = ""
    version: int = 0
    etag: str | None = None

    @property
    def place(self) -> Place | None:
        """The last event's place; none where there is none."""
        return Place(self.head.position, self.stream, self.version) if self.head.position else None


def end_of(tenant: str, item: Item | None) -> End:
    """The end as a document tells it; the beginning where there is none."""
    if item is None:
        return End(beginning_of(tenant))
    head = Head(
        tenant=tenant,
        number=item["number"],
        position=item["position_"],
        chain=b64decode(item["chain"]),
        latest_at=item["latestAt_"],
    )
    return End(head, item["stream_"], item["version_"], item["_etag"])


def following(end: End, events: Append) -> tuple[Item, Sequence[Item]]:
    """The documents of new events of a tenant, and the one that then ends its order."""
    tenant = end.head.tenant
    heads = {tenant: end.head}
    entries = [
        Entry(number, str(event.originator_id), event.originator_version, event.topic, event.state)
        for number, event in enumerate(events, start=end.head.position + 1)
    ]
    items: list[Item] = []
    events_noted = list(map(noted, entries))
    for event, row in zip(events_noted, rows_after(heads, events_noted), strict=True):
        entry = event.entry
        items.append(
            {
                "id": str(event_id(entry.stream, entry.version)),
                PARTITION_KEY: tenant,
                "position": entry.id,
                "stream": entry.stream,
                "version": entry.version,
                "topic": entry.topic,
                **_told(entry.state),
                "aggregateId": row.aggregate_id,
                "actor": row.actor,
                "correlationId": row.correlation_id,
                "causationId": row.causation_id,
                "at": row.at,
                "latestAt": row.latest_at,
                "leaf": b64encode(row.leaf).decode(),
                "chain": b64encode(row.chain).decode(),
                **({"keys": list(event.keys)} if event.keys else {}),
            }
        )
    head, newest = heads[tenant], entries[-1]
    order: Item = {
        "id": ORDER_ID,
        PARTITION_KEY: tenant,
        "number": head.number,
        "position_": head.position,
        "stream_": newest.stream,
        "version_": newest.version,
        "chain": b64encode(head.chain).decode(),
        "latestAt_": head.latest_at,
    }
    return order, items


def tenant_note(tenant: str) -> Item:
    """What makes a tenant known."""
    return {"id": derived_id("tenant", tenant), PARTITION_KEY: TENANTS, "tenant": tenant}


def entry_of(item: Item) -> Entry:
    """An event as it is stored."""
    return Entry(item["position"], item["stream"], item["version"], item["topic"], _state(item))


def indexed(item: Item) -> Indexed:
    """What is kept of an event beside it. A tenant's partition holds nobody else's: its place in the order is
    that in the chain."""
    name = item["stream"].split("/", 2)
    return Indexed(
        tenant=name[0],
        number=item["position"],
        position=item["position"],
        category="".join(name[1:2]),
        aggregate_id=item["aggregateId"],
        version=item["version"],
        topic=item["topic"],
        actor=item["actor"],
        correlation_id=item["correlationId"],
        causation_id=item["causationId"],
        at=item["at"],
        latest_at=item["latestAt"],
        leaf=b64decode(item["leaf"]),
        chain=b64decode(item["chain"]),
    )


def stored_event(item: Item) -> StoredEvent:
    """An event as the library has it."""
    return StoredEvent(item["stream"], item["version"], item["topic"], _state(item))


def notification(item: Item) -> Notification:
    """An event with its number in the tenant's order."""
    return Notification(
        id=item["position"],
        originator_id=item["stream"],
        originator_version=item["version"],
        topic=item["topic"],
        state=_state(item),
    )


def _told(state: bytes) -> dict[str, Any]:
    """The stored bytes, exactly: the chain is over them. What the service writes is text."""
    try:
        return {"state": state.decode()}
    except UnicodeDecodeError:
        return {"bytes": b64encode(state).decode()}


def _state(item: Item) -> bytes:
    return item["state"].encode() if "state" in item else b64decode(item["bytes"])
