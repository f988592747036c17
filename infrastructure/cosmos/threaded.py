"""A container that is used from threads: the event store's library and its threads are synchronous.

Every call names one partition. Nothing here repeats a request that may have had its effect, unless that is
harmless. A writer checks whether it had.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from azure.core import MatchConditions
from azure.core.pipeline.transport import RequestsTransport
from azure.cosmos import CosmosClient, CosmosList, PartitionKey
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from requests import Session
from requests.adapters import HTTPAdapter
from tenacity import Retrying, retry_if_exception, stop_before_delay

from application.log_batches import taken
from infrastructure.cosmos.containers import Policy
from infrastructure.cosmos.database import Unusable
from infrastructure.cosmos.failures import (
    asked_to_wait,
    failures_translated,
    may_pass,
    tells_absence,
)
from infrastructure.cosmos.items import AS_MANY_AS_GO, PARTITION_KEY, Item, Operation, as_sent, nothing
from infrastructure.cosmos.observing import Observe, note_charge, told, unobserved

T = TypeVar("T")

_CONNECT_SECONDS = 3
_ANSWER_SECONDS = 10
_PATIENCE_SECONDS = 6
"""Shorter than callers wait: see ``EventStore``."""


_CATCHING_UP = "catching-up"

_CONNECTIONS = 32
"""More than there are threads at a time: those of commands, reads and concurrent queries."""


def _transport() -> RequestsTransport:
    """Return the SDK's transport, with more connections kept open. The SDK keeps ten, and closes each further
    one after use."""
    session, adapter = Session(), HTTPAdapter(pool_maxsize=_CONNECTIONS)
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return RequestsTransport(session=session)


class Refused(Exception):
    """A batch was not done, because one of its operations found something else than it expected."""

    def __init__(self, status: int, operation: int) -> None:
        super().__init__(f"{status} at operation {operation}")
        self.status = status
        self.operation = operation


class ThreadedContainer:
    """A container of a database. Both are created if they are absent. Any thread may use this.

    All raise StoreUnavailable when the account is away.
    """

    def __init__(self, endpoint: str, key: str, database: str, name: str, policy: Policy) -> None:
        self._name = name
        self._observe: Observe = unobserved
        self._client = CosmosClient(
            endpoint,
            key,
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_ANSWER_SECONDS,
            retry_throttle_backoff_max=_PATIENCE_SECONDS,
            enable_endpoint_discovery=endpoint.startswith("https://"),
            raw_response_hook=note_charge,
            transport=_transport(),
        )
        self._database = self._client.get_database_client(database)
        self._container = self._database.get_container_client(name)
        self._call("manage", lambda: self._make(database, policy))

    def tell(self, observe: Observe) -> None:
        """Report each call to ``observe`` from now on. The library creates the log's container, and does not
        know whom to report to."""
        self._observe = observe

    def read(self, partition: str, id: str) -> Item | None:
        """Return one item with its ``_etag``, if it exists."""

        def read() -> Item | None:
            try:
                return dict(self._container.read_item(id, partition_key=partition))
            except CosmosResourceNotFoundError as error:
                if not tells_absence(error):
                    raise
                return None

        return self._call("read", read)

    def put(self, item: Item) -> None:
        """Write an item. It replaces one that is there."""
        self._call("put", lambda: self._container.upsert_item(item, no_response=True))

    def put_in_place_of(self, there: Item | None, item: Item) -> bool:
        """Create an item, or replace the item ``there``. Return False if there is another one meanwhile."""

        def put() -> bool:
            try:
                if there is None:
                    self._container.create_item(item, no_response=True)
                else:
                    self._container.replace_item(
                        item["id"],
                        item,
                        etag=there["_etag"],
                        match_condition=MatchConditions.IfNotModified,
                        no_response=True,
                    )
            except (CosmosResourceExistsError, CosmosAccessConditionFailedError):
                return False
            except CosmosResourceNotFoundError as error:
                if not tells_absence(error):
                    raise
                return False
            return True

        return self._call("create" if there is None else "replace", put)

    def query(
        self,
        partition: str,
        matching: str,
        parameters: Mapping[str, object],
        limit: int | None = None,
        *,
        fields: str = "*",
        size: Callable[[Item], int] = nothing,
        room: int = 1,
    ) -> list[Item]:
        """Return the items of one partition that match (``FROM c …``), or some fields of them, up to
        ``limit``. If ``size`` is given, they end with the item that fills ``room``."""
        named = [{"name": name, "value": value} for name, value in parameters.items()]
        statement = f"SELECT {'' if limit is None else f'TOP {limit} '}{fields} {matching}"

        def query() -> list[Item]:
            rows = self._container.query_items(
                statement, parameters=named, partition_key=partition, max_item_count=AS_MANY_AS_GO
            )
            return taken(rows, size, room)

        return self._call("query", query)

    def batch(self, partition: str, operations: Sequence[Operation]) -> Sequence[Mapping[str, Any]]:
        """Execute operations in one partition, all or none. Return the result of each.

        Raises:
            Refused: one found something else than it expected. This also happens if the answer to a first try
                was lost.
            StoreUnavailable: it is not known whether they are done.
        """

        def send() -> Sequence[Mapping[str, Any]]:
            try:
                results = self._container.execute_item_batch(as_sent(operations), partition_key=partition)
            except CosmosBatchOperationError as error:
                status = int(error.status_code or 0)
                if status in (404, 409, 412):
                    raise Refused(status, int(error.error_index or 0)) from error
                raise
            self._note_session(results)
            return results

        return self._call("batch", send)

    def catch_up(self, partition: str) -> None:
        """Make each later read by this client see everything that was committed in a partition until now.

        A replica may lag behind as far as the client's session allows. A write by the client moves the
        session beyond everything that was committed before; the SDK notes that for single items without our
        help. The item is always the same one, and is deleted again.
        """
        item: Item = {"id": _CATCHING_UP, PARTITION_KEY: partition}

        def take_away() -> None:
            with suppress(CosmosResourceNotFoundError):
                self._container.delete_item(_CATCHING_UP, partition_key=partition)

        self._call("put", lambda: self._container.upsert_item(item, no_response=True))
        self._call("delete", take_away)

    def close(self) -> None:
        """Close all connections."""
        self._client.__exit__()  # type: ignore[no-untyped-call]

    def _note_session(self, results: CosmosList) -> None:
        """Make our next reads see what was stored. The SDK (4.17) does so after all writes except batches."""
        client = self._container.client_connection
        stored = (each.get("resourceBody") or {} for each in results)
        item = next((each for each in stored if "_self" in each), None)
        if client.session is not None and item is not None:
            headers = results.get_response_headers()
            with suppress(CosmosHttpResponseError):  # a token that it cannot take: it is stored all the same
                client.session.update_session(client, item, headers)  # type: ignore[no-untyped-call]

    def _make(self, database: str, policy: Policy) -> None:
        """Create the database and the container. Another instance may create them at the same moment."""
        with suppress(CosmosResourceExistsError):
            self._client.create_database_if_not_exists(database)
        try:
            properties = self._container.read()
        except CosmosResourceNotFoundError:
            with suppress(CosmosResourceExistsError):
                self._database.create_container(
                    self._name, PartitionKey(f"/{PARTITION_KEY}"), indexing_policy=policy
                )
            return
        paths = properties["partitionKey"]["paths"]
        if paths != [f"/{PARTITION_KEY}"]:
            raise Unusable(f"container {self._name} is partitioned by {', '.join(paths)}")

    def _call(self, operation: str, work: Callable[[], T]) -> T:
        retrying = Retrying(
            retry=retry_if_exception(may_pass),
            wait=asked_to_wait,
            stop=stop_before_delay(_PATIENCE_SECONDS),
            sleep=time.sleep,
            reraise=True,
        )
        with told(self._observe, self._name, operation), failures_translated(self._name):
            return retrying(work)
