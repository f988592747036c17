"""Live documents held against those that the log makes; nothing is changed.

The log is folded into a place of its own, up to the position that the live documents are known to have
reached. They may be further: what has changed since is followed event by event, until a document is at the
version that was found.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import msgspec

from projections.building import Builder, Site
from projections.ports import Container, Document, Documents
from projections.projection import Key, Projection, State, decoded
from projections.size_limit import encoded_within_limit, lacks_parts, without_large_parts

_LARGEST_EXACT = 2**53


class Scratch(Site, Protocol):
    """A place for documents that nobody asks for, which remembers what was held against them."""

    async def tenants(self) -> Sequence[str]:
        """Everybody who has a document there."""
        ...

    async def forget_held(self, container: Container) -> None:
        """Nothing has been held against any document of a container."""
        ...

    async def note_held(self, container: Container, keys: Sequence[Key]) -> None:
        """These have been held against what is there."""
        ...

    async def not_held(self, container: Container, after: Key | None, limit: int) -> list[Document]:
        """Up to ``limit`` documents that nothing was held against, in the order of their keys."""
        ...


class Difference(msgspec.Struct, frozen=True):
    """A live document that the log does not make, or not so, and how it differs."""

    container: str
    tenant: str
    id: str
    what: str


class Pair(msgspec.Struct, frozen=True):
    """A document as it was built and as it was found; not the same."""

    key: Key
    built: Document | None
    found: Document | None


class Comparison:
    """Of the documents of some projections with what ``builder`` makes in ``scratch``."""

    def __init__(
        self, projections: Sequence[Projection], documents: Documents, scratch: Scratch, builder: Builder
    ) -> None:
        self._projections = projections
        self._documents = documents
        self._scratch = scratch
        self._builder = builder
        self.left_alone: Counter[str] = Counter()
        """How many documents of each container another service has made, and no event of ours."""

    async def differences(self) -> AsyncIterator[Difference]:
        """Every difference, at the position that was built to; the builder is at the log's end afterwards."""
        ahead: dict[str, dict[Key, Pair]] = {}
        for projection in self._projections:
            container = projection.container
            ahead[container.name] = {}
            async for pair in self.unlike(container):
                if _may_be_ahead(pair):
                    ahead[container.name][pair.key] = pair
                else:
                    yield Difference(container.name, *pair.key, told(pair, self._documents.keeps_text))
        async for difference in self._not_made_since(ahead):
            yield difference

    async def unlike(self, container: Container) -> AsyncIterator[Pair]:
        """What was found otherwise than it was built, not at all, or besides; but for what another service
        has put there, which is no business of ours."""
        await self._scratch.forget_held(container)
        self.left_alone[container.name] = 0
        tenants = await self._scratch.tenants()
        async for page in self._documents.scan(container, tenants):
            keys = [(found.tenant, found.id) for found in page]
            built = await self._scratch.get_many(container, keys)
            for key, found in zip(keys, page, strict=True):
                if found.is_anothers and key not in built:
                    self.left_alone[container.name] += 1
                elif not same(built.get(key), found, self._documents.keeps_text):
                    yield Pair(key, built.get(key), found)
            await self._scratch.note_held(container, keys)
        after: Key | None = None
        while missing := await self._scratch.not_held(container, after, 500):
            for document in missing:
                after = (document.tenant, document.id)
                yield Pair(after, document, None)

    async def _not_made_since(self, ahead: dict[str, dict[Key, Pair]]) -> AsyncIterator[Difference]:
        """What was found at a later version than was built, and what the log makes of it up to its end."""
        if not any(ahead.values()):
            return
        reached: dict[tuple[str, Key], str] = {}

        def look(container: str, key: Key, state: State) -> None:
            pair = ahead[container].get(key)
            if pair is None or pair.found is None or pair.found.version != state[0]:
                return
            made = Document(*key, state[0], encoded_within_limit(state[1]))
            if same(made, pair.found, self._documents.keeps_text):
                del ahead[container][key]
            else:
                text = self._documents.keeps_text
                reached[(container, key)] = told(Pair(key, made, pair.found), text)

        await self._builder.catch_up(watch=look)
        for container, pairs in ahead.items():
            for key, pair in pairs.items():
                what = reached.get((container, key)) or told(pair, self._documents.keeps_text)
                yield Difference(container, *key, what)


def same(built: Document | None, found: Document | None, keeps_text: bool) -> bool:
    """Whether two documents are one: byte for byte, where their store keeps the text.

    Where parts were left out, since they were too large, others may be left out of the same document at
    another time; so these are not compared.
    """
    if built is None or found is None:
        return built is found
    if built.version != found.version:
        return False
    if built.body == found.body:
        return True
    if lacks_parts(built.body):
        return _small_parts(built) == _small_parts(found)
    return not keeps_text and _content(built) == _content(found)


def told(pair: Pair, keeps_text: bool) -> str:
    """How the document differs, in a few words."""
    built, found = pair.built, pair.found
    if found is None:
        return f"is missing; the log makes it, at version {built.version if built else 0}"
    if built is None:
        return f"is there at version {found.version}; the log makes none"
    if built.version != found.version:
        return f"is at version {found.version}; by the log it is at {built.version}"
    try:
        here, there = _content(built), _content(found)
    except msgspec.DecodeError:
        return "is no JSON object"
    fields = [name for name in {**here, **there} if here.get(name, _NONE) != there.get(name, _NONE)]
    return f"differs in {', '.join(fields)}" if fields else "has the same content in another text"


_NONE = object()


def _may_be_ahead(pair: Pair) -> bool:
    if pair.found is None:
        return False
    return pair.built is None or pair.found.version > pair.built.version


def _content(document: Document) -> dict[str, Any]:
    content: dict[str, Any] = _as_doubles(decoded(document.body))
    return content


def _small_parts(document: Document) -> dict[str, Any]:
    try:
        return without_large_parts(_content(document))
    except msgspec.DecodeError:
        return {}


def _as_doubles(value: Any) -> Any:
    """JSON with large integers as a store that keeps doubles gives them back."""
    if isinstance(value, dict):
        return {name: _as_doubles(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_doubles(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_EXACT:
        return float(value)
    return value
