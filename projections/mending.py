"""Live documents made right one by one, in a store that can put no others in their place at once.

Documents are built beside, in a place of their own. Then only those of the live ones that are otherwise are
written: each as a whole, at the version that the log has brought it to, and only in place of what was
compared. So nobody who asks finds one missing, half made or older than before.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from domain.errors import StoreUnavailable
from projections.building import Builder
from projections.comparing import Comparison, Scratch, same
from projections.ports import Container, Document, MendableDocuments
from projections.projection import Key, Projection

_AT_ONCE = 100
_MOST_RACES = 20
_MOST_PASSES = 5


class Mender:
    """Makes the live documents of some projections what the log makes of them, while a follower goes on."""

    def __init__(
        self,
        projections: Sequence[Projection],
        documents: MendableDocuments,
        scratch: Scratch,
        builder: Builder,
        *,
        until_followed: Callable[[], Awaitable[None]],
    ) -> None:
        self._projections = projections
        self._documents = documents
        self._scratch = scratch
        self._builder = builder
        self._until_followed = until_followed
        self._comparison = Comparison(projections, documents, scratch, builder)
        self.mended = 0

    async def mend(self) -> None:
        """Go over all documents until nothing is wrong.

        A follower may hold a wrong document in its hands while that is mended, and write what it makes of it.
        So after a pass that has mended something there is another, once the follower has gone on.

        Raises:
            StoreUnavailable: somebody else keeps writing wrong ones.
        """
        for _ in range(_MOST_PASSES):
            if not [1 for each in self._projections if await self._passed(each.container)]:
                return
            await self._until_followed()
        raise StoreUnavailable(f"documents were wrong again after {_MOST_PASSES} passes")

    async def _passed(self, container: Container) -> int:
        """How many were wrong, but for those that merely lag."""
        wrong, chunk = 0, dict[Key, Document | None]()
        async for pair in self._comparison.unlike(container):
            chunk[pair.key] = pair.found
            if len(chunk) >= _AT_ONCE:
                wrong += await self._mend(container, chunk)
                chunk = {}
        return wrong + await self._mend(container, chunk)

    async def _mend(self, container: Container, found: Mapping[Key, Document | None]) -> int:
        wrong = 0
        for _ in range(_MOST_RACES):
            if not found:
                return wrong
            built = await self._scratch.get_many(container, list(found))
            if any(_is_ahead(document, built.get(key)) for key, document in found.items()):
                await self._builder.catch_up()
                built = await self._scratch.get_many(container, list(found))
            replacements = {
                key: (document, built.get(key))
                for key, document in found.items()
                if not same(built.get(key), document, self._documents.keeps_text)
            }
            left = await self._documents.replace(container, replacements)
            done = [pair for key, pair in replacements.items() if key not in left]
            self.mended += len(done)
            wrong += len([1 for pair in done if not _lagged(*pair)])
            there = await self._documents.get_many(container, list(left))
            found = {key: there.get(key) for key in left}
        raise StoreUnavailable(f"documents of {container.name} are too busy to be mended")


def _is_ahead(found: Document | None, built: Document | None) -> bool:
    return found is not None and (built is None or found.version > built.version)


def _lagged(found: Document | None, right: Document | None) -> bool:
    """It was not wrong, or not so that a follower could make something wrong of it: that is refused."""
    return right is not None and (found is None or found.version < right.version)
