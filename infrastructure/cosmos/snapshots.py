"""Snapshots in Cosmos DB, in a container of their own, in which a tenant is a partition."""

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
"""A stream's is read by its id, and a tenant's together."""

_KEPT = "FROM c WHERE c.forgotten = false"

_MOST_RACES = 5


class CosmosSnapshots:
    """``tenants`` are those in whose partitions there may be some."""

    def __init__(self, container: ThreadedContainer, tenants: Callable[[], Sequence[str]]) -> None:
        self._container = container
        self._tenants = tenants

    def versions(self, partition: str | None = None) -> Mapping[str, int]:
        """The streams that have one, with the version that it is of: a tenant's by one query, or all."""
        return {
            item["stream"]: item["version"]
            for tenant in (self._tenants() if partition is None else (partition,))
            for item in self._container.query(tenant, _KEPT, {}, fields="c.stream, c.version")
        }

    def get(self, stream: str) -> Snapshot | None:
        """A stream's."""
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
        """Keep it in place of the one that is there; not of a stream that was forgotten.

        Raises:
            StoreUnavailable: another process keeps one of the stream at every moment.
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
        """Throw a stream's away, and keep none of it again."""
        self._container.put(_item(stream) | {"forgotten": True})

    def close(self) -> None:
        """Nothing: whoever made the container closes it."""


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
