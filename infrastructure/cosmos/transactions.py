"""How much a transactional batch of Cosmos DB takes, and what is more than that in several.

The limits: https://learn.microsoft.com/azure/cosmos-db/transactional-batch.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from infrastructure.cosmos.items import Operation

MOST_OPERATIONS = 100

MOST_BYTES = 1_900_000
"""It takes 2 MB as it is sent, with what is said about each operation, which nothing here counts."""


def size_of(given: Sequence[Any]) -> int:
    """The bytes of items, or of what an operation is given, as the SDK sends them: all of it in ASCII."""
    return len(json.dumps(given))


def takes(operations: int, size: int, *, beside: int) -> bool:
    """Whether a batch takes so many operations of so many bytes, ``beside`` so many small ones."""
    return operations + beside <= MOST_OPERATIONS and size <= MOST_BYTES


def parts(operations: Sequence[Operation], *, beside: int = 1) -> Iterator[list[Operation]]:
    """Operations in their order, as many together as a batch takes ``beside`` others; one that is too large
    for any comes alone."""
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
