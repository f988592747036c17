"""How much fits in a transactional batch of Cosmos DB, and how more is split into several.

The limits: https://learn.microsoft.com/azure/cosmos-db/transactional-batch
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from infrastructure.cosmos.items import Operation

MOST_OPERATIONS = 100

MOST_BYTES = 1_900_000
"""A batch holds 2 MB as it is sent. That includes what is said about each operation, which nothing here
counts."""


def size_of(given: Sequence[Any]) -> int:
    """Return the size in bytes of items, or of an operation's arguments, as the SDK sends them: all in
    ASCII."""
    return len(json.dumps(given))


def takes(operations: int, size: int, *, beside: int) -> bool:
    """Return whether a batch holds so many operations of so many bytes, and ``beside`` further small ones."""
    return operations + beside <= MOST_OPERATIONS and size <= MOST_BYTES


def parts(operations: Sequence[Operation], *, beside: int = 1) -> Iterator[list[Operation]]:
    """Split operations, in their order, into batches as large as possible with ``beside`` further operations
    in each. An operation that is too large for any batch is alone in its own."""
    part: list[Operation] = []
    size = 0
    for operation in operations:
        more = size_of(operation[1])
        if part and not takes(len(part) + 1, size + more, beside=beside):
            yield part
            part, size = [], 0
        part.append(operation)
        size += more
    if part:
        yield part
