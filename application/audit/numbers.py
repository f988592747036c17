"""Finds an event by its number in its tenant's chain. A log that was moved may have it at another
position."""

from application.audit.ports import Indexed, IndexReader


async def numbered(index: IndexReader, tenant: str, number: int) -> Indexed | None:
    """Return the index's row for a tenant's event with a number. The index is ordered by position, which
    grows with the number, so this is a binary search."""
    low, high = 1, (await index.head(tenant)).position
    while low <= high:
        middle = (low + high) // 2
        row = await index.preceding(tenant, middle + 1)
        if row is None or row.number < number:
            low = middle + 1
        elif row.number > number:
            high = row.position - 1
        else:
            return row
    return None
