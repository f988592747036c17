"""Documents that come up to date late, or not at all."""

from collections.abc import Sequence

import anyio

from projections.ports import Container, Document
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
