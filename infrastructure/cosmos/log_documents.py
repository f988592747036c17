"""What the log's container holds of events: each has a document of its own.

Its id is derived from stream and version, so that a version is there once. The document that ends the order
(``ends.py``) gives the numbers, and the hash chain goes on from it at no further cost. So an event carries at
once what the audit trail asks for.
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
"""What Cosmos DB adds to an item: ``_rid``, ``_self``, ``_etag``, ``_attachments`` and ``_ts``."""


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
    """What makes a tenant known."""
    return {"id": derived_id("tenant", tenant), PARTITION_KEY: TENANTS, "tenant": tenant}


def end_mark(partition: str, stream: str, version: int, archive: str) -> Item:
    """What stands where an archived stream would go on after a version: an append finds its version taken."""
    return {
        "id": event_id(stream, version + 1),
        PARTITION_KEY: partition,
        "ended": stream,
        "archive": archive,
    }


def is_event(item: Item) -> bool:
    """Whether it is no mark, and no signpost."""
    return "topic" in item


def with_state(item: Item, state: bytes) -> Item:
    """An event's document with another state; the hashes stay, and what the trail asks for."""
    kept = {name: value for name, value in item.items() if name not in _STATES and not name.startswith("_")}
    return kept | _told(state)


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


def bytes_of_state(item: Item) -> int:
    """How many an event is, and a mark is none."""
    return len(_state(item)) if "state" in item or "bytes" in item else 0


def _size(item: Item) -> int:
    """Its bytes as it is stored, without the indexes."""
    return len(json.dumps(item, ensure_ascii=False).encode()) + _BYTES_OF_THE_SYSTEM


def _told(state: bytes) -> dict[str, Any]:
    """The stored bytes, exactly: the chain is over them. What the service writes is text."""
    try:
        return {"state": state.decode()}
    except UnicodeDecodeError:
        return {"bytes": b64encode(state).decode()}


def _state(item: Item) -> bytes:
    return item["state"].encode() if "state" in item else b64decode(item["bytes"])
