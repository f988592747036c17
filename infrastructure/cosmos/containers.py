"""Creates and empties containers, and adds the indexes that are missing."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.exceptions import (
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from infrastructure.cosmos.database import CosmosDatabase, Unusable
from infrastructure.cosmos.items import PARTITION_KEY
from projections.ports import Container

log = structlog.get_logger(__name__)

Policy = dict[str, Any]

_PATH = f"/{PARTITION_KEY}"
_EVERYTHING = "/*"
_TEXTS = "/[]/?"
"""The path of the values in a list."""


def orders(container: Container) -> list[tuple[str, ...]]:
    """Return the orders, all descending, that queries ask for. Each needs its own composite index.

    They are the order by time and id, alone and behind the fields of the filters: Cosmos DB uses a composite
    index for filters and an order together if the index begins with the filters' fields.
    """
    newest = (container.sort_field, "id")
    filters = [*((field,) for field in container.filter_fields), *container.filters_together]
    return [newest, *((*fields, *newest) for fields in filters)]


def indexing_policy(
    fields: Sequence[str], orders: Sequence[Sequence[str]] = (), lists: Sequence[str] = ()
) -> Policy:
    """Return a policy with indexes on the fields that are queried. An index on anything else would cost at
    each write without use."""
    paths = [
        *(f"/{field}/?" for field in (PARTITION_KEY, *fields)),
        *(f"/{field}{_TEXTS}" for field in lists),
    ]
    return {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": path} for path in paths],
        "excludedPaths": [{"path": _EVERYTHING}],
        "compositeIndexes": [_composite(order) for order in orders],
    }


def policy_of(container: Container) -> Policy:
    """Return the indexing policy of a container of documents."""
    fields = (container.sort_field, *container.filter_fields, *container.below_fields)
    return indexing_policy(fields, orders(container), container.list_fields)


class CosmosContainers:
    """The containers of one database."""

    def __init__(self, database: CosmosDatabase) -> None:
        self._database = database

    async def exists(self, name: str) -> bool:
        """Return whether the container exists."""
        return await self._properties(name) is not None

    async def ensure(self, name: str, policy: Policy) -> None:
        """Create a container if it is absent, and add the indexes on orders and lists that it lacks.

        Indexes that others have made stay, because other services may read the container.

        Raises:
            Unusable: the container exists with another partition key.
        """
        properties = await self._properties(name)
        if properties is None:
            await self._make(name, {"indexingPolicy": policy}, None)
            return
        paths = properties["partitionKey"]["paths"]
        if paths != [_PATH]:
            raise Unusable(f"container {name} is partitioned by {', '.join(paths)}, and not by {_PATH}")
        mended = _mended(properties["indexingPolicy"], policy)
        if mended is not None:
            log.warning("cosmos_indexes_added", container=name)
            await self._database.call(
                name,
                "manage",
                lambda: self._database.proxy.replace_container(
                    name,
                    PartitionKey(_PATH),
                    indexing_policy=mended,
                    default_ttl=properties.get("defaultTtl"),
                    conflict_resolution_policy=properties.get("conflictResolutionPolicy"),
                    analytical_storage_ttl=properties.get("analyticalStorageTtl"),
                    computed_properties=properties.get("computedProperties"),
                ),
            )

    async def empty(self, name: str, policy: Policy) -> None:
        """Delete a container and create it again as it was, with its own throughput if it has any.

        Deleting item by item would need a query over all partitions, and a charge for each item.
        """
        properties = await self._properties(name)
        throughput = await self._throughput(name) if properties else None

        async def delete() -> None:
            try:
                await self._database.proxy.delete_container(name)
            except CosmosResourceNotFoundError:
                return

        await self._database.call(name, "manage", delete)
        await self._make(name, properties or {"indexingPolicy": policy}, throughput)

    async def _make(
        self, name: str, properties: dict[str, Any], throughput: ThroughputProperties | None
    ) -> None:
        """Create a container. Another instance may create the same one at the same moment."""

        async def make() -> None:
            with suppress(CosmosResourceExistsError):
                await self._database.proxy.create_container(
                    name,
                    PartitionKey(_PATH),
                    indexing_policy=properties["indexingPolicy"],
                    default_ttl=properties.get("defaultTtl"),
                    unique_key_policy=properties.get("uniqueKeyPolicy"),
                    conflict_resolution_policy=properties.get("conflictResolutionPolicy"),
                    offer_throughput=throughput,
                )

        await self._database.call(name, "manage", make)

    async def _properties(self, name: str) -> dict[str, Any] | None:
        async def read() -> dict[str, Any] | None:
            try:
                return dict(await self._database.proxy.get_container_client(name).read())
            except CosmosResourceNotFoundError:
                return None

        return await self._database.call(name, "manage", read)

    async def _throughput(self, name: str) -> ThroughputProperties | None:
        """Return None if the container shares the database's throughput, or if the account is serverless."""

        async def read() -> ThroughputProperties | None:
            try:
                found = await self._database.proxy.get_container_client(name).get_throughput()
            except CosmosHttpResponseError as error:
                if error.status_code in (400, 404):
                    return None
                raise
            if found.auto_scale_max_throughput:
                return ThroughputProperties(
                    auto_scale_max_throughput=found.auto_scale_max_throughput,
                    auto_scale_increment_percent=found.auto_scale_increment_percent,
                )
            return ThroughputProperties(offer_throughput=found.offer_throughput)

        return await self._database.call(name, "manage", read)


def _composite(order: Sequence[str]) -> list[dict[str, str]]:
    return [{"path": f"/{field}", "order": "descending"} for field in order]


def _mended(existing: Policy, wanted: Policy) -> Policy | None:
    """Return the policy with the missing indexes added, or None if none is missing.

    Composite indexes and those on lists are checked: without the latter, a query for what waits for a person
    would read everything that a tenant has. Indexes on other fields are not checked: without one, a filter
    costs more but works.
    """
    composites, paths = existing.get("compositeIndexes", []), existing.get("includedPaths", [])
    there, included = {_key(each) for each in composites}, {each["path"] for each in paths}
    lacking = [each for each in wanted["compositeIndexes"] if _key(each) not in there]
    lists = [each for each in wanted["includedPaths"] if each["path"].endswith(_TEXTS)]
    unread = [each for each in lists if not {each["path"], _EVERYTHING} & included]
    if not lacking and not unread:
        return None
    return existing | {"compositeIndexes": [*composites, *lacking], "includedPaths": [*paths, *unread]}


def _key(composite: Sequence[dict[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((part["path"], part.get("order", "ascending")) for part in composite)
