"""The container of the log, in which an append is one batch."""

from collections.abc import Sequence

from infrastructure.cosmos.containers import indexing_policy
from infrastructure.cosmos.items import Item, Operation
from infrastructure.cosmos.log_documents import INDEXED, INDEXED_LISTS, STREAM_ORDER
from infrastructure.cosmos.threaded import Refused, ThreadedContainer


class Lost(Exception):
    """A batch was not stored, since an operation of it found something else than it expected."""

    def __init__(self, refused: Refused, *, misses_what_it_follows: bool) -> None:
        super().__init__(str(refused))
        self.misses_what_it_follows = misses_what_it_follows


class LogContainer(ThreadedContainer):
    """The log's container in a database, made if it is absent."""

    def __init__(self, endpoint: str, key: str, database: str, name: str) -> None:
        super().__init__(
            endpoint, key, database, name, indexing_policy(INDEXED, [STREAM_ORDER], INDEXED_LISTS)
        )

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
        try:
            results = self.batch(partition, [end, *looks, *(("create", (item,), {}) for item in items)])
        except Refused as refused:
            raise Lost(refused, misses_what_it_follows=0 < refused.operation <= len(looks)) from refused
        return str(results[0]["eTag"])
