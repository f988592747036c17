"""What the stores hold, read past the service: SQL and the Cosmos SDK, and JSON decoded here."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from tests.cosmos import Account, administrator

CONTAINERS = (
    "workflow_workflows",
    "workflow_steps",
    "workflow_executions",
    "hitl_approvals",
    "hitl_delegations",
    "workflow_backfills",
    "workflow_job_runs",
    "workflow_tasks",
)


class StoredEvent(msgspec.Struct, kw_only=True):
    """A row of the events' table. ``state`` is ``{"v", "at", "meta", "data"}``."""

    position: int
    stream: str
    version: int
    topic: str
    state: dict[str, Any]

    @property
    def meta(self) -> dict[str, Any]:
        """Who caused it, and through what."""
        meta: dict[str, Any] = self.state["meta"]
        return meta

    @property
    def data(self) -> dict[str, Any]:
        """What happened."""
        data: dict[str, Any] = self.state["data"]
        return data


class StoredDocument(msgspec.Struct, kw_only=True):
    """A document under the partition that it was found in. ``exact`` is what a rebuild must give again."""

    container: str
    tenant: str
    id: str
    version: int
    body: dict[str, Any]
    exact: str


_EVENTS = (
    "SELECT notification_id, originator_id, originator_version, topic, state"
    " FROM workflow_orchestrator_events ORDER BY notification_id"
)
_SQLITE_EVENTS = (
    "SELECT rowid, originator_id, originator_version, topic, state FROM stored_events ORDER BY rowid"
)


def sqlite_events(path: Path) -> list[StoredEvent]:
    """The log in a SQLite file, also while a service writes to it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return [_event(row) for row in connection.execute(_SQLITE_EVENTS)]


def postgres_events(url: str) -> list[StoredEvent]:
    """The log in PostgreSQL."""
    with psycopg.connect(url) as connection:
        return [_event(row) for row in connection.execute(_EVENTS)]


def sqlite_documents(path: Path) -> list[StoredDocument]:
    """Every row of every container."""
    found = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        for container in CONTAINERS:
            rows = connection.execute(
                f'SELECT tenant, id, version, body FROM "{container}" ORDER BY tenant, id'
            )
            for tenant, id, version, body in rows:
                text = body if isinstance(body, str) else bytes(body).decode()
                found.append(
                    StoredDocument(
                        container=container,
                        tenant=tenant,
                        id=id,
                        version=version,
                        body=msgspec.json.decode(text),
                        exact=text,
                    )
                )
    return found


async def cosmos_events(account: Account, database: str, tenants: Iterable[str]) -> list[StoredEvent]:
    """The log in Cosmos DB, one tenant's order after the other, numbered through. Where a tenant's goes on in
    another partition, that has the tenant's name and a number."""
    found: list[StoredEvent] = []
    async with administrator(account) as client:
        proxy = client.get_database_client(database).get_container_client("workflow_events")
        for tenant in tenants:
            partition, number = tenant, 0
            while items := await _events_in(proxy, partition):
                for item in items:
                    row = (len(found) + 1, item["stream"], item["version"], item["topic"])
                    found.append(_event((*row, item["state"].encode())))
                number += 1
                partition = f"{tenant}~{number}"
    return found


async def _events_in(proxy: Any, partition: str) -> list[dict[str, Any]]:
    statement = "SELECT * FROM c WHERE IS_DEFINED(c.topic) ORDER BY c.position"
    return [item async for item in proxy.query_items(statement, partition_key=partition)]


async def cosmos_documents(account: Account, database: str, tenants: Iterable[str]) -> list[StoredDocument]:
    """Every item of the tenants' partitions, and of any other that there should not be."""
    found = []
    async with administrator(account) as client:
        for container in CONTAINERS:
            proxy = client.get_database_client(database).get_container_client(container)
            seen = set()
            for tenant in tenants:
                rows = proxy.query_items("SELECT * FROM c", partition_key=tenant)
                async for item in rows:
                    seen.add((tenant, item["id"]))
                    found.append(_document(container, tenant, item))
            found += [
                _document(container, f"elsewhere: {item['tenantId']}", item)
                async for item in proxy.query_items("SELECT * FROM c")
                if (item["tenantId"], item["id"]) not in seen
            ]
    return sorted(found, key=lambda each: (each.container, each.tenant, each.id))


def _document(container: str, tenant: str, item: dict[str, Any]) -> StoredDocument:
    own = {name: value for name, value in item.items() if not name.startswith("_")}
    body = {name: value for name, value in own.items() if name != "streamVersion"}
    return StoredDocument(
        container=container,
        tenant=tenant,
        id=item["id"],
        version=item.get("streamVersion", 0),
        body=body,
        exact=msgspec.json.encode(own, order="sorted").decode(),
    )


def _event(row: tuple[Any, ...]) -> StoredEvent:
    position, stream, version, topic, state = row
    return StoredEvent(
        position=position,
        stream=stream,
        version=version,
        topic=topic,
        state=msgspec.json.decode(bytes(state)),
    )
