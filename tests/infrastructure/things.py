"""Documents of no meaning, for the tests of the stores of documents."""

from typing import Any

import msgspec

from projections.ports import Container, Document, Documents, Page, Query
from tests.builders import TENANT

THINGS = Container(
    "things",
    sort_field="createdAt",
    filter_fields=("kind", "status"),
    filters_together=(("kind", "status"),),
    list_fields=("asked", "done"),
    below_fields=("due",),
)
OTHERS = Container("other_things", sort_field="createdAt")


def thing(
    id: str, *, tenant: str = TENANT, version: int = 1, at: str = "2026-01-01", **more: Any
) -> Document:
    """A document; ``at`` is what it is sorted by."""
    body = {"id": id, "tenantId": tenant, "createdAt": at, **more}
    return Document(tenant, id, version, msgspec.json.encode(body))


def ids(page: Page) -> list[str]:
    return [document.id for document in page.documents]


async def all_pages(documents: Documents, *, limit: int, tenant: str = TENANT, **asked: Any) -> list[Page]:
    pages: list[Page] = []
    after = None
    while not pages or after is not None:
        page = await documents.query(THINGS, tenant, Query(after=after, limit=limit, **asked))
        pages.append(page)
        after = page.next_after
    return pages
