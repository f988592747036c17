"""Documents folded from their streams, part by part, because a stream may be larger than memory."""

from collections.abc import AsyncIterable, Sequence
from typing import NamedTuple

from anyio.to_thread import run_sync

from application.deciders import Committed
from application.event_store import EventStore
from domain.event import Recorded
from projections.projection import DocumentFold, Projection

_FEW_EVENTS = 200
"""At most this many events are folded in the event loop; more would block it, and are folded in a thread."""


class Folded(NamedTuple):
    """A document, the ``version`` of the last event that it was folded from, and ``reached``, the version of
    the last event that was read: some events of a stream may be about other documents."""

    body: bytes
    version: int
    reached: int


async def folded(projection: Projection, id: str, parts: AsyncIterable[Sequence[Recorded]]) -> Folded:
    """Return a document as it is after events that come in parts.

    Raises:
        ProjectionGap: the events do not lead to that document.
    """
    fold, reached = DocumentFold(projection, id), 0
    async for events in parts:
        if len(events) <= _FEW_EVENTS:
            fold.take(events)
        else:
            await run_sync(fold.take, events)
        reached = events[-1].version if events else reached
    return Folded(fold.body(), fold.version, reached)


async def document_after(store: EventStore, projection: Projection, id: str, committed: Committed) -> bytes:
    """Return a document as it is after a command."""
    return (await folded(projection, id, store.parts_left_by(committed))).body
