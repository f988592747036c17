"""Finds an event by its number in its tenant's chain: a log that has moved may have it elsewhere."""

from application.audit.ports import Indexed, IndexReader


async def numbered(index: IndexReader, tenant: str, number: int) -> Indexed | None:
    """What is kept of a tenant's event with a number. The index is by positions, which grow with the
    numbers: so it is asked again and again, each time for half of what is left."""
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
