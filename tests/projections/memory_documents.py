"""Documents in dictionaries: the port's smallest adapter, which passes the same cases as the real ones."""

from collections.abc import AsyncIterator, Sequence

import msgspec

from application.log_batches import page_of
from projections.ports import Container, Document, Json, Page, Query

Key = tuple[str, str]


class MemoryDocuments:
    """Documents that last as long as a test."""

    keeps_text = True

    def __init__(self) -> None:
        self.containers: dict[str, dict[Key, Document]] = {}

    def of(self, container: Container) -> dict[Key, Document]:
        """A container's documents under (tenant, id)."""
        return self.containers.setdefault(container.name, {})

    async def get(self, container: Container, tenant: str, id: str) -> Document | None:
        return self.of(container).get((tenant, id))

    async def get_many(self, container: Container, keys: Sequence[Key]) -> dict[Key, Document]:
        return {key: self.of(container)[key] for key in keys if key in self.of(container)}

    async def put(self, container: Container, documents: Sequence[Document]) -> None:
        kept = self.of(container)
        for document in documents:
            key = (document.tenant, document.id)
            if key not in kept or document.version > kept[key].version:
                kept[key] = msgspec.structs.replace(document, based_on=None)

    async def query(self, container: Container, tenant: str, query: Query) -> Page:
        matching, below = [], query.below.items()
        for document in self.of(container).values():
            body = msgspec.json.decode(document.body, type=dict)
            place = (body[container.sort_field], document.id)
            if (
                document.tenant == tenant
                and all(body.get(name) == value for name, value in query.equal.items())
                and all(_held(body, name) & set(texts) for name, texts in query.any_of.items())
                and all(text not in _held(body, name) for name, text in query.none_of.items())
                and all(isinstance(body.get(name), str) and body[name] < text for name, text in below)
                and (query.sort_from is None or place[0] >= query.sort_from)
                and (query.sort_before is None or place[0] < query.sort_before)
            ):
                matching.append((place, document))
        matching.sort(key=lambda each: each[0], reverse=not query.oldest_first)
        rest = [each for each in matching if query.after is None or _is_beyond(each[0], query)]
        shown, more = page_of(rest, query.limit, lambda each: len(each[1].body), query.room)
        return Page(
            tuple(document for _, document in shown),
            len(matching) if query.counted else len(shown),
            shown[-1][0] if more else None,
        )

    async def scan(self, container: Container, tenants: Sequence[str]) -> AsyncIterator[Sequence[Document]]:
        for _, document in sorted(self.of(container).items()):
            yield [document]

    async def clear(self, container: Container) -> None:
        self.of(container).clear()

    async def ping(self) -> None:
        return None


def _held(body: Json, name: str) -> set[str]:
    held = body.get(name)
    return {text for text in held if isinstance(text, str)} if isinstance(held, list) else set()


def _is_beyond(place: Key, query: Query) -> bool:
    assert query.after is not None
    return place > query.after if query.oldest_first else place < query.after
