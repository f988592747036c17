"""Snapshots in Cosmos DB, in a container of their own. Each tenant is a partition."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence

from application.audit.chain import tenant_of
from application.snapshots import Snapshot
from domain.errors import StoreUnavailable
from domain.values import derived_id
from infrastructure.cosmos.containers import Policy, indexing_policy
from infrastructure.cosmos.items import PARTITION_KEY, Item
from infrastructure.cosmos.threaded import ThreadedContainer

POLICY: Policy = indexing_policy(("forgotten",))
"""A snapshot is read by its id, and a tenant's snapshots are read together."""

_KEPT = "FROM c WHERE c.forgotten = false"

_MOST_RACES = 5


class CosmosSnapshots:
    """``tenants`` are those that may have snapshots."""

    def __init__(self, container: ThreadedContainer, tenants: Callable[[], Sequence[str]]) -> None:
        self._container = container
        self._tenants = tenants

    def versions(self, partition: str | None = None) -> Mapping[str, int]:
        """Return the version of the snapshot of each stream that has one: a tenant's, by one query, or
        all."""
        return {
            item["stream"]: item["version"]
            for tenant in (self._tenants() if partition is None else (partition,))
            for item in self._container.query(tenant, _KEPT, {}, fields="c.stream, c.version")
        }

    def get(self, stream: str) -> Snapshot | None:
        """Return the snapshot of a stream, if there is one."""
        item = self._container.read(tenant_of(stream), _id(stream))
        if item is None or item["forgotten"]:
            return None
        return Snapshot(
            stream=stream,
            version=item["version"],
            recipe=item["recipe"],
            leaf=b64decode(item["leaf"]),
            body=b64decode(item["body"]),
            digest=b64decode(item["digest"]),
        )

    def put(self, snapshot: Snapshot) -> None:
        """Store a snapshot in place of the stream's former one, unless the stream was forgotten.

        Raises:
            StoreUnavailable: another process stores a snapshot of the stream each time that this one tries.
        """
        item = _item(snapshot.stream) | {
            "version": snapshot.version,
            "recipe": snapshot.recipe,
            "leaf": b64encode(snapshot.leaf).decode(),
            "body": b64encode(snapshot.body).decode(),
            "digest": b64encode(snapshot.digest).decode(),
        }
        for _ in range(_MOST_RACES):
            there = self._container.read(item[PARTITION_KEY], item["id"])
            if there is not None and there["forgotten"]:
                return
            if self._container.put_in_place_of(there, item):
                return
        raise StoreUnavailable(f"the snapshot of {snapshot.stream} is too busy")

    def forget(self, stream: str) -> None:
        """Delete the snapshot of a stream, and never store another one of it."""
        self._container.put(_item(stream) | {"forgotten": True})

    def close(self) -> None:
        """Do nothing: whoever made the container closes it."""


def _item(stream: str) -> Item:
    return {
        "id": _id(stream),
        PARTITION_KEY: tenant_of(stream),
        "stream": stream,
        "version": 0,
        "forgotten": False,
    }


def _id(stream: str) -> str:
    return derived_id("snapshot", stream)
