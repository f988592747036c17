"""The items of one container. Nothing else asks Cosmos DB for items, and one call alone without a partition.

A query without a partition key crosses all of them silently: slow, dear, and other tenants' documents.
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
"""Rows in an answer: all up to 4 MB. Who is not told gives a hundred, so that five requests went for 500."""

Operation = tuple[str, tuple[Any, ...], dict[str, Any]]
"""One of a batch, as the SDK takes it."""


def nothing(row: Any) -> int:
    """The size of a row where there is room for all."""
    return 0


def as_sent(operations: Sequence[Operation]) -> list[Operation]:
    """The operations for one try: the SDK takes the etags out of what it is given, so that a second try would
    come without, and overwrite what somebody else has written."""
    return [(name, given, dict(conditions)) for name, given, conditions in operations]


_NOT_IN_IDS = frozenset("/\\?#")
_NOT_AS_EXPECTED = (404, 409, 412)


class Items:
    """Every call names its tenant, or an item that does; but for what goes :meth:`everywhere`.

    All raise StoreUnavailable when the account is away or the container is gone.
    """

    def __init__(self, database: CosmosDatabase, container: str) -> None:
        self._database = database
        self._name = container
        self._container = database.proxy.get_container_client(container)

    async def read(self, tenant: str, id: str) -> Item | None:
        """One item with its ``_etag``.

        Raises:
            ValueError: no item can have such an id. The SDK says so of writes only, and reads elsewhere.
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
        """Make an item; false if there is one with its id."""

        async def create() -> bool:
            try:
                await self._container.create_item(item)
            except CosmosResourceExistsError:
                return False
            return True

        return await self._database.call(self._name, "create", create)

    async def put(self, item: Item) -> None:
        """Write an item in place of what is there."""
        await self._database.call(self._name, "put", lambda: self._container.upsert_item(item))

    async def replace(self, item: Item, etag: str) -> bool:
        """Replace an item; false if it has changed since it had ``etag``, or is gone."""

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
        """Create an item, or replace the one that is there; false if that is not there any more."""
        return await (self.create(item) if there is None else self.replace(item, there["_etag"]))

    async def delete(self, tenant: str, id: str) -> None:
        """Delete an item; one that is not there is fine."""

        async def delete() -> None:
            try:
                await self._container.delete_item(id, partition_key=tenant)
            except CosmosResourceNotFoundError as error:
                _raise_if_about_no_item(error)

        await self._database.call(self._name, "delete", delete)

    async def delete_unchanged(self, item: Item) -> bool:
        """Delete an item; false if it has changed since it was read, or is gone."""

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
        """Operations in one tenant's partition, all or none.

        The number of the one that found something else than it expected; none if all are done. A batch whose
        answer was lost is sent again, and may be in its own way.
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
        """The rows of a query over one tenant's items; ``parameters`` by name, with their ``@``. All of them,
        or, where their ``size`` counts, up to the one that fills the ``room``, or ``one_more``: answers come
        4 MB at a time, and what lies behind it is not asked for.
        """
        named = [{"name": name, "value": value} for name, value in parameters.items()]

        async def query() -> list[Any]:
            rows = self._container.query_items(
                statement, parameters=named, partition_key=tenant, max_item_count=AS_MANY_AS_GO
            )
            return await taken_as_they_come(rows, size, room, one_more=one_more)

        return await self._database.call(self._name, operation, query)

    async def everywhere(self, statement: str) -> AsyncGenerator[Sequence[Any], None]:
        """The rows of a query over the items of all tenants, an answer at a time: for a command that finds
        what nobody knows of. It looks at every item, and no request may wait for that.

        Raises:
            StoreUnavailable: it is to be begun again. Half an answer cannot be gone on with.
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
