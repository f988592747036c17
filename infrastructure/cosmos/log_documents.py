"""The documents of the log's container: one for each event, and those around them.

An event's id is derived from its stream and version, so each version can exist only once. The document that
ends the order (``ends.py``) gives the numbers and continues the hash chain at no further cost. So an event is
stored with everything that the audit trail asks for.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from eventsourcing.persistence import Notification, StoredEvent

from application.audit.ports import Indexed
from application.audit.rows import noted, rows_after
from application.event_log import Append
from application.log_copy import Entry
from domain.event import event_id
from domain.values import derived_id
from infrastructure.cosmos.ends import End, order_of
from infrastructure.cosmos.items import PARTITION_KEY, Item

TENANTS = "tenants"
"""The partition in which each tenant is noted before its first event."""

INDEXED = ("position", "stream", "version", "topic", "actor", "correlationId", "aggregateId", "latestAt")

INDEXED_LISTS = ("keys",)

STREAM_ORDER = ("stream", "version")

_STATES = ("state", "bytes")

_BYTES_OF_THE_SYSTEM = 250
"""The bytes that Cosmos DB adds to an item: ``_rid``, ``_self``, ``_etag``, ``_attachments`` and ``_ts``."""


def following(end: End, events: Append) -> tuple[Item, Sequence[Item]]:
    """Return the documents of a tenant's new events, and the document that then ends its order."""
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
                "id": event_id(entry.stream, entry.version),
                PARTITION_KEY: end.partition,
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
    newest = entries[-1]
    then = msgspec.structs.replace(
        end,
        head=heads[tenant],
        stream=newest.stream,
        version=newest.version,
        size=end.size + sum(map(_size, items)),
        sized=end.sized + len(items),
    )
    return order_of(then), items


def tenant_note(tenant: str) -> Item:
    """Return the document that makes a tenant known."""
    return {"id": derived_id("tenant", tenant), PARTITION_KEY: TENANTS, "tenant": tenant}


def end_mark(partition: str, stream: str, version: int, archive: str) -> Item:
    """Return the document that stands after the last version of an archived stream, so that an append finds
    its version taken."""
    return {
        "id": event_id(stream, version + 1),
        PARTITION_KEY: partition,
        "ended": stream,
        "archive": archive,
    }


def is_event(item: Item) -> bool:
    """Return whether an item is an event, and no mark or signpost."""
    return "topic" in item


def with_state(item: Item, state: bytes) -> Item:
    """Return an event's document with another state. The hashes and what the audit trail asks for stay."""
    kept = {name: value for name, value in item.items() if name not in _STATES and not name.startswith("_")}
    return kept | _told(state)


def entry_of(item: Item) -> Entry:
    """Return an event as it is stored."""
    return Entry(item["position"], item["stream"], item["version"], item["topic"], _state(item))


def indexed(item: Item) -> Indexed:
    """Return the index's row that is stored with an event. A tenant's partition holds nobody else's events,
    so the event's place in the order is also its place in the chain."""
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
    """Return an event in the library's form."""
    return StoredEvent(item["stream"], item["version"], item["topic"], _state(item))


def notification(item: Item) -> Notification:
    """Return an event with its number in the tenant's order."""
    return Notification(
        id=item["position"],
        originator_id=item["stream"],
        originator_version=item["version"],
        topic=item["topic"],
        state=_state(item),
    )


def bytes_of_state(item: Item) -> int:
    """Return the size of an event's state. A mark has none."""
    return len(_state(item)) if "state" in item or "bytes" in item else 0


def _size(item: Item) -> int:
    """Return an item's size as it is stored, without the indexes."""
    return len(json.dumps(item, ensure_ascii=False).encode()) + _BYTES_OF_THE_SYSTEM


def _told(state: bytes) -> dict[str, Any]:
    """Return the property that holds the stored bytes exactly, because the chain is computed over them. What
    the service writes is text."""
    try:
        return {"state": state.decode()}
    except UnicodeDecodeError:
        return {"bytes": b64encode(state).decode()}


def _state(item: Item) -> bytes:
    return item["state"].encode() if "state" in item else b64decode(item["bytes"])
