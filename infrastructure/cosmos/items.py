"""The items of one container. Every call names a partition, except :meth:`Items.everywhere`.

A query without a partition key silently crosses all partitions: it is slow and expensive, and returns other
tenants' documents.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from application.log_batches import taken_as_they_come
from infrastructure.cosmos.database import CosmosDatabase
from infrastructure.cosmos.failures import failures_translated, tells_absence

PARTITION_KEY = "tenantId"

Item = dict[str, Any]

AS_MANY_AS_GO = -1
"""The rows of an answer: as many as fit in 4 MB. Without this Cosmos DB returns a hundred, so that 500 rows
took five requests."""

Operation = tuple[str, tuple[Any, ...], dict[str, Any]]
"""An operation of a batch, as the SDK takes it."""


def nothing(row: Any) -> int:
    """Return 0 as the size of a row, if there is room for all rows."""
    return 0


def as_sent(operations: Sequence[Operation]) -> list[Operation]:
    """Return a copy of the operations for one try. The SDK removes the etags from what it is given, so a
    second try would have none, and overwrite what somebody else has written."""
    return [(name, given, dict(conditions)) for name, given, conditions in operations]


_NOT_IN_IDS = frozenset("/\\?#")
_NOT_AS_EXPECTED = (404, 409, 412)


class Items:
    """Every call names its tenant, or an item that does, except :meth:`everywhere`.

    All raise StoreUnavailable if the account is away or the container is gone.
    """

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._name = container
        self._container = database.proxy.get_container_client(container)

    async def read(self, tenant: str, id: str) -> Item | None:
        """Return one item with its ``_etag``, if it exists.

        Raises:
            ValueError: no item can have such an id. The SDK checks this only for writes; a read would go
                elsewhere.
        """
        if set(id) & _NOT_IN_IDS:
            raise ValueError(f"an id in Cosmos DB cannot hold {' '.join(sorted(_NOT_IN_IDS))}: {id}")

        async def read() -> Item | None:
            try:
                return dict(await self._container.read_item(id, partition_key=tenant))
            except CosmosResourceNotFoundError as error:
                _raise_if_about_no_item(error)
                return None

        return await self._database.call(self._name, "read", read)

    async def create(self, item: Item) -> bool:
        """Create an item. Return False if one with its id exists."""

        async def create() -> bool:
            try:
                await self._container.create_item(item)
            except CosmosResourceExistsError:
                return False
            return True

        return await self._database.call(self._name, "create", create)

    async def put(self, item: Item) -> None:
        """Write an item. It replaces one that is there."""
        await self._database.call(self._name, "put", lambda: self._container.upsert_item(item))

    async def replace(self, item: Item, etag: str) -> bool:
        """Replace an item. Return False if its etag is no longer ``etag``, or if it is gone."""

        async def replace() -> bool:
            try:
                await self._container.replace_item(
                    item["id"], item, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            except CosmosAccessConditionFailedError:
                return False
            except CosmosResourceNotFoundError as error:
                _raise_if_about_no_item(error)
                return False
            return True

        return await self._database.call(self._name, "replace", replace)

    async def put_in_place_of(self, there: Item | None, item: Item) -> bool:
        """Create an item, or replace the item ``there``. Return False if that has changed or is gone, or if
        another one exists."""
        return await (self.create(item) if there is None else self.replace(item, there["_etag"]))

    async def delete(self, tenant: str, id: str) -> None:
        """Delete an item if it exists."""

        async def delete() -> None:
            try:
                await self._container.delete_item(id, partition_key=tenant)
            except CosmosResourceNotFoundError as error:
                _raise_if_about_no_item(error)

        await self._database.call(self._name, "delete", delete)

    async def delete_unchanged(self, item: Item) -> bool:
        """Delete an item. Return False if it has changed since it was read, or if it is gone."""

        async def delete() -> bool:
            try:
                await self._container.delete_item(
                    item["id"],
                    partition_key=item[PARTITION_KEY],
                    etag=item["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
            except CosmosAccessConditionFailedError:
                return False
            except CosmosResourceNotFoundError as error:
                _raise_if_about_no_item(error)
                return False
            return True

        return await self._database.call(self._name, "delete", delete)

    async def batch(self, tenant: str, operations: Sequence[Operation]) -> int | None:
        """Execute operations in one tenant's partition, all or none.

        Return the index of the operation that was refused, or None if all are done. A batch whose answer was
        lost is sent again, and may then be refused because of itself.
        """

        async def batch() -> int | None:
            try:
                await self._container.execute_item_batch(as_sent(operations), partition_key=tenant)
            except CosmosBatchOperationError as error:
                if error.status_code not in _NOT_AS_EXPECTED:
                    raise
                return int(error.error_index or 0)
            return None

        return await self._database.call(self._name, "batch", batch)

    async def query(
        self,
        tenant: str,
        statement: str,
        parameters: Mapping[str, object],
        *,
        operation: str = "query",
        size: Callable[[Any], int] = nothing,
        room: int = 1,
        one_more: bool = False,
    ) -> list[Any]:
        """Return the rows of a query over one tenant's items. The names in ``parameters`` begin with ``@``.
        If ``size`` is given, the rows end with the one that fills ``room``, or one row later if ``one_more``.
        Answers come 4 MB at a time, and no answer is requested beyond that row."""
        named = [{"name": name, "value": value} for name, value in parameters.items()]

        async def query() -> list[Any]:
            rows = self._container.query_items(
                statement, parameters=named, partition_key=tenant, max_item_count=AS_MANY_AS_GO
            )
            return await taken_as_they_come(rows, size, room, one_more=one_more)

        return await self._database.call(self._name, operation, query)

    async def everywhere(self, statement: str) -> AsyncGenerator[Sequence[Any], None]:
        """Yield the rows of a query over the items of all tenants, an answer at a time. This is for commands
        that look for what nobody knows of. It looks at every item, so no request of a client may wait for it.

        Raises:
            StoreUnavailable: the caller has to begin again, because half an answer cannot be continued.
        """
        answers = self._container.query_items(statement, max_item_count=AS_MANY_AS_GO).by_page()

        async def following() -> list[Any] | None:
            with failures_translated(self._name):
                async for answer in answers:
                    return [row async for row in answer]
            return None

        call = partial(self._database.call, self._name, "everywhere", following, is_bounded=False)
        while (rows := await call()) is not None:
            yield rows


def _raise_if_about_no_item(error: CosmosResourceNotFoundError) -> None:
    if not tells_absence(error):
        raise error
