"""The container of the log, asked from threads: the library that uses it is synchronous.

Every call names one tenant's partition. Nothing here asks twice for what may have had its effect, but where
that is harmless; who appends looks whether it did.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from tenacity import Retrying, retry_if_exception, stop_before_delay

from infrastructure.cosmos.containers import indexing_policy
from infrastructure.cosmos.database import Unusable
from infrastructure.cosmos.failures import (
    CONTAINER_IS_MISSING,
    asked_to_wait,
    failures_translated,
    may_pass,
)
from infrastructure.cosmos.items import PARTITION_KEY, Item, Operation
from infrastructure.cosmos.log_documents import INDEXED, INDEXED_LISTS, STREAM_ORDER

T = TypeVar("T")

_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 10
_PATIENCE_SECONDS = 6
"""Less than callers wait: see ``EventStore``."""


class Lost(Exception):
    """A batch was not stored, since an operation of it found something else than it expected."""

    def __init__(self, status: int, operation: int, *, misses_what_it_follows: bool) -> None:
        super().__init__(f"{status} at operation {operation}")
        self.misses_what_it_follows = misses_what_it_follows


class LogContainer:
    """The log's container in a database, made if it is absent. Any thread may use it."""

    def __init__(self, endpoint: str, key: str, database: str, name: str) -> None:
        self._name = name
        self._client = CosmosClient(
            endpoint,
            key,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retry_throttle_backoff_max=_PATIENCE_SECONDS,
            enable_endpoint_discovery=endpoint.startswith("https://"),
        )
        self._database = self._client.get_database_client(database)
        self._container = self._database.get_container_client(name)
        self._call(lambda: self._make(database))

    def read(self, partition: str, id: str) -> Item | None:
        """One item with its ``_etag``."""

        def read() -> Item | None:
            try:
                return dict(self._container.read_item(id, partition_key=partition))
            except CosmosResourceNotFoundError as error:
                if error.sub_status == CONTAINER_IS_MISSING:
                    raise
                return None

        return self._call(read)

    def put(self, item: Item) -> None:
        """Write an item in place of what is there."""
        self._call(lambda: self._container.upsert_item(item, no_response=True))

    def query(
        self, partition: str, matching: str, parameters: Mapping[str, object], limit: int | None = None
    ) -> list[Item]:
        """The items of one partition that match (``FROM c …``), up to ``limit``."""
        named = [{"name": name, "value": value} for name, value in parameters.items()]
        statement = f"SELECT {'' if limit is None else f'TOP {limit} '}* {matching}"

        def query() -> list[Item]:
            rows = self._container.query_items(
                statement, parameters=named, partition_key=partition, max_item_count=limit
            )
            return list(rows)

        return self._call(query)

    def store(
        self, partition: str, order: Item, etag: str | None, items: Sequence[Item], *, after: Sequence[str]
    ) -> str:
        """Create items and replace the document that ends the order, all or nothing; without an etag it is
        to be made. ``after`` are the ids of items that must be there. The order's new etag.

        Raises:
            Lost: an item is there already, one is not, or the order has gone on. So it is too where the
                answer to a first try was lost: whoever looks then finds the items as they were given.
            StoreUnavailable: it is not known whether they are stored.
        """
        end: Operation = ("create", (order,), {})
        if etag is not None:
            end = ("replace", (order["id"], order), {"if_match_etag": etag})
        looks: list[Operation] = [("read", (id,), {}) for id in after]
        operations: list[Operation] = [end, *looks, *(("create", (item,), {}) for item in items)]

        def store() -> str:
            try:
                results = self._container.execute_item_batch(operations, partition_key=partition)
            except CosmosBatchOperationError as error:
                at, status = int(error.error_index or 0), int(error.status_code or 0)
                if status in (404, 409, 412):
                    raise Lost(status, at, misses_what_it_follows=0 < at <= len(looks)) from error
                raise
            return str(results[0]["eTag"])

        return self._call(store)

    def close(self) -> None:
        """Close every connection."""
        self._client.__exit__()  # type: ignore[no-untyped-call]

    def _make(self, database: str) -> None:
        """Another instance may make them at the same moment."""
        with suppress(CosmosResourceExistsError):
            self._client.create_database_if_not_exists(database)
        try:
            properties = self._container.read()
        except CosmosResourceNotFoundError:
            self._make_container()
            return
        paths = properties["partitionKey"]["paths"]
        if paths != [f"/{PARTITION_KEY}"]:
            raise Unusable(f"container {self._name} is partitioned by {', '.join(paths)}")

    def _make_container(self) -> None:
        with suppress(CosmosResourceExistsError):
            self._database.create_container(
                self._name,
                PartitionKey(f"/{PARTITION_KEY}"),
                indexing_policy=indexing_policy(INDEXED, [STREAM_ORDER], INDEXED_LISTS),
            )

    def _call(self, work: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception(may_pass),
            wait=asked_to_wait,
            stop=stop_before_delay(_PATIENCE_SECONDS),
            sleep=time.sleep,
            reraise=True,
        )
        with failures_translated(self._name):
            return retrying(work)
