"""Documents that come up to date late, or not at all, or are found late."""

from collections import Counter
from collections.abc import Sequence

import anyio

from projections.ports import Container, Document, Page, Query
from tests.harness import Service


class SlowDocuments:
    """Holds every write back, of one container or of all."""

    def __init__(self, running: Service, name: str | None, seconds: float) -> None:
        documents = running.container.stores.documents
        self.released = anyio.Event()
        self._put = documents.put
        self._name, self._seconds = name, seconds
        documents.put = self.put  # type: ignore[method-assign]

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        if self._name in (None, container.name):
            with anyio.move_on_after(self._seconds):
                await self.released.wait()
        await self._put(container, documents)


class HeldQueries:
    """Finds nothing, and for the ``held`` tenants only once it is released."""

    def __init__(self, *held: str) -> None:
        self.queries = Counter[str]()
        self.is_asked, self.released = anyio.Event(), anyio.Event()
        self._held = held

    async def query(self, container: Container, tenant: str, query: Query) -> Page:
        self.queries[tenant] += 1
        if tenant in self._held:
            self.is_asked.set()
            await self.released.wait()
        return Page((), 0, None)
