"""Documents made again after an erasure: the same versions, without what can be read no more.

Only documents that are there are made again, each at the version that it is at; whatever is made later is
made out of events that read as erased anyway.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from domain.archived import documents_left
from domain.errors import StoreUnavailable
from domain.event import Recorded
from domain.values import category_of
from projections.ports import Document, MendableDocuments
from projections.projection import Key, Projection, State, follow
from projections.size_limit import encoded_within_limit

Loads = Callable[[str], Awaitable[Sequence[Recorded]]]
"""Every event of a stream, or what is left of them."""

_AT_ONCE = 100
"""Streams whose documents are written together."""

_MOST_RACES = 20

log = structlog.get_logger(__name__)


def states_of(projection: Projection, events: Sequence[Recorded]) -> dict[Key, dict[int, State]]:
    """Every state that a stream's documents come through, by their versions."""
    current: dict[Key, State] = {}
    states: dict[Key, dict[int, State]] = {}
    for recorded in events:
        if ids := projection.reads(recorded.event):
            try:
                changed = follow(projection, current, recorded, ids)
            except MemoryError:
                raise
            except Exception:
                name, what = projection.container.name, recorded.stream
                log.exception("document_left_behind", projection=name, what=what, version=recorded.version)
                continue
            for key in changed:
                states.setdefault(key, {})[recorded.version] = current[key]
    return states


class Remaker:
    """Makes the live documents of a projection again."""

    def __init__(self, projection: Projection, documents: MendableDocuments, loads: Loads) -> None:
        self._projection = projection
        self._documents = documents
        self._loads = loads

    async def remake(self, streams: Sequence[str]) -> None:
        """Make those of some streams again.

        Raises:
            StoreUnavailable: somebody else keeps writing them.
        """
        streams = [stream for stream in streams if category_of(stream) == self._projection.category]
        for begin in range(0, len(streams), _AT_ONCE):
            gone: list[Key] = []
            states: dict[Key, dict[int, State]] = {}
            for stream in streams[begin : begin + _AT_ONCE]:
                events = await self._loads(stream)
                if left := documents_left(self._projection.container.name, events):
                    gone += left
                else:
                    states |= states_of(self._projection, events)
            if gone:
                await self._take_away(gone)
            if states:
                await self._replace(states)

    async def _take_away(self, keys: Sequence[Key]) -> None:
        """Those of an archived stream: nobody can make them again without what was erased."""
        container = self._projection.container
        for _ in range(_MOST_RACES):
            found = await self._documents.get_many(container, keys)
            keys = list(
                await self._documents.replace(container, {key: (each, None) for key, each in found.items()})
            )
            if not keys:
                return
        raise StoreUnavailable(f"documents of {container.name} are too busy to be taken away")

    async def _replace(self, states: Mapping[Key, Mapping[int, State]]) -> None:
        container, keys = self._projection.container, list(states)
        for _ in range(_MOST_RACES):
            found = await self._documents.get_many(container, keys)
            replacements = {
                key: (document, Document(*key, document.version, encoded_within_limit(state[1])))
                for key, document in found.items()
                if (state := states[key].get(document.version)) is not None
            }
            left = await self._documents.replace(container, replacements)
            if not left:
                return
            keys = list(left)
        raise StoreUnavailable(f"documents of {container.name} are too busy to be made again")
